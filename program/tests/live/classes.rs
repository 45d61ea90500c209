//! What real attacks look like in the kernel's table.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::net::{ATTACKER, ATTACKERS, Net, ROUTERS, VICTIM, VICTIMS};

#[track_caller]
fn is(told: &Value, class: &str) {
    assert_eq!(told["class"], class, "{told:#}");
    assert!(told["confidence"].as_f64().unwrap() >= 0.5);
}

#[track_caller]
fn targets(told: &Value, address: &str) {
    assert_eq!(
        told["culprits"]["top_destinations"][0]["address"], address,
        "{told:#}"
    );
}

fn net_with_traffic(tools: &[&str]) -> Option<Net> {
    let net = Net::new(tools)?;
    net.serve(80);
    net.background(80);
    Some(net)
}

#[test]
fn ordinary_traffic() {
    let Some(net) = net_with_traffic(&[]) else {
        return;
    };
    is(&net.report(""), "normal");
}

#[test]
fn syns_from_made_up_addresses() {
    let Some(net) = net_with_traffic(&["hping3"]) else {
        return;
    };
    net.hping(3, &format!("-S -p 80 -i u1000 --rand-source {VICTIM}"));
    let told = net.report("");
    is(&told, "spoofed_syn_flood");
    targets(&told, VICTIM);
    assert!(
        told["culprits"]["sources"].as_u64().unwrap() > 500,
        "{told:#}"
    );
}

#[test]
fn syns_from_one_host() {
    let Some(net) = net_with_traffic(&["hping3"]) else {
        return;
    };
    // The attacker's kernel would answer SYN/ACKs of connections that it does not know.
    net.must(ATTACKERS, "nft add table ip t");
    net.must(
        ATTACKERS,
        "nft add chain ip t o { type filter hook output priority 0; }",
    );
    net.must(ATTACKERS, "nft add rule ip t o tcp flags rst drop");
    net.hping(3, &format!("-S -p 80 -i u1000 {VICTIM}"));
    let told = net.report("");
    is(&told, "syn_flood");
    assert_eq!(
        told["culprits"]["top_prefixes"][0]["prefix"],
        format!("{ATTACKER}/32")
    );
}

#[test]
fn datagrams_and_pings() {
    let Some(net) = net_with_traffic(&["hping3"]) else {
        return;
    };
    net.hping(
        2,
        &format!("--udp -p 9999 -d 400 -i u1000 --rand-source {VICTIM}"),
    );
    let told = net.report("");
    is(&told, "udp_flood");
    targets(&told, VICTIM);
    net.must(ROUTERS, "conntrack -F");
    net.background(80);
    net.hping(2, &format!("--icmp -i u1000 --rand-source {VICTIM}"));
    is(&net.report(""), "icmp_flood");
}

#[test]
fn acks_of_no_connection() {
    let Some(net) = net_with_traffic(&["hping3"]) else {
        return;
    };
    // A victim that answers each with RST leaves no entry; one behind a filter leaves all.
    net.must(VICTIMS, "nft add table ip t");
    net.must(
        VICTIMS,
        "nft add chain ip t i { type filter hook input priority 0; }",
    );
    net.must(
        VICTIMS,
        "nft add rule ip t i ct state new tcp flags & (syn | ack) == ack drop",
    );
    net.must(VICTIMS, "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0");
    net.must(VICTIMS, "nft add rule ip t i ct state invalid drop");
    net.hping(3, &format!("-A -p 80 -i u1000 --rand-source {VICTIM}"));
    let told = net.report("");
    is(&told, "ack_flood");
    targets(&told, VICTIM);
    // Refused, they are only counted.
    net.must(ROUTERS, "conntrack -F");
    net.must(ROUTERS, "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0");
    let _flood = net.start(
        ATTACKERS,
        &format!("timeout 8 hping3 -q -A -p 80 -i u1000 --rand-source {VICTIM}"),
    );
    thread::sleep(Duration::from_millis(300));
    is(&net.report("--for 3"), "ack_flood");
}

#[test]
fn a_scan_by_nmap() {
    let Some(net) = net_with_traffic(&["nmap"]) else {
        return;
    };
    net.must(VICTIMS, "nft add table ip t");
    net.must(
        VICTIMS,
        "nft add chain ip t i { type filter hook input priority 0; }",
    );
    net.must(VICTIMS, "nft add rule ip t i tcp dport != 80 drop");
    net.must(
        ATTACKERS,
        &format!("nmap -sS -Pn -n -T5 --max-retries 0 -p 1-500 {VICTIM}"),
    );
    let told = net.report("");
    is(&told, "scan");
    assert_eq!(told["culprits"]["top_sources"][0]["address"], ATTACKER);
}

#[test]
fn an_inside_host_that_scans_out() {
    let Some(net) = net_with_traffic(&["nmap"]) else {
        return;
    };
    net.must(
        ATTACKERS,
        "nmap -sS -Pn -n -T5 --max-retries 0 -S 192.168.7.2 -e e0 -p 23 45.60.1.0/25",
    );
    let told = net.report("");
    is(&told, "outbound_abuse");
    assert_eq!(told["culprits"]["top_sources"][0]["address"], "192.168.7.2");
}

#[test]
fn connections_that_say_nothing() {
    let Some(net) = net_with_traffic(&[]) else {
        return;
    };
    let held = net.inside(ATTACKERS, || {
        let open = |_| TcpStream::connect((VICTIM, 80)).unwrap();
        (0..500).map(open).collect::<Vec<_>>()
    });
    let told = net.report("");
    is(&told, "connection_flood");
    assert_eq!(told["culprits"]["top_sources"][0]["address"], ATTACKER);
    assert!(told["all"]["assured"].as_u64().unwrap() >= 500);
    drop(held);
}

#[test]
fn a_service_that_does_not_close() {
    let Some(net) = net_with_traffic(&[]) else {
        return;
    };
    let (keep, kept) = mpsc::channel::<TcpStream>();
    net.inside(VICTIMS, || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let _ = keep.send(connection);
            }
        });
    });
    net.inside(ATTACKERS, || {
        for _ in 0..120 {
            let mut connection = TcpStream::connect((VICTIM, 8080)).unwrap();
            connection.write_all(b"hello").unwrap();
        }
    });
    thread::sleep(Duration::from_millis(500));
    let told = net.report("");
    is(&told, "connection_leak");
    assert_eq!(told["culprits"]["top_ports"][0]["port"], 8080);
    drop(kept);
}

#[test]
fn a_real_name_server_that_answers_a_victim() {
    let Some(net) = net_with_traffic(&["hping3", "dnsmasq"]) else {
        return;
    };
    let text = "x".repeat(250);
    let record = format!("--txt-record=big.test,{text},{text},{text},{text},{text}");
    let line = format!(
        "dnsmasq --keep-in-foreground --no-resolv --no-hosts --no-daemon --conf-file=/dev/null --edns-packet-max=4096 {record}"
    );
    let _server = net.start(VICTIMS, &line);
    thread::sleep(Duration::from_millis(800));
    // A question for TXT of big.test, with room for 4,096 bytes (RFC 6891).
    let mut question =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03big\x04test\x00\x00\x10\x00\x01"
            .to_vec();
    question.extend(b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("question");
    std::fs::write(&file, &question).unwrap();
    let options = format!(
        "--udp -p 53 -d {} -E {} -i u2000 -a 203.0.113.99 {VICTIM}",
        question.len(),
        file.display()
    );
    net.hping(3, &options);
    let told = net.report("");
    is(&told, "reflection");
    assert_eq!(
        told["culprits"]["top_sources"][0]["address"],
        "203.0.113.99"
    );
    assert_eq!(told["culprits"]["top_ports"][0]["amplifier"], "DNS");
}
