//! What the advice says it frees is what it frees.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::net::{ATTACKERS, Net, ROUTERS, VICTIM, VICTIMS};

fn within(told: u64, freed: u64, percent: u64) {
    assert!(
        told.abs_diff(freed) * 100 <= told * percent,
        "told {told}, freed {freed}"
    );
}

/// The advice whose last command begins so.
#[track_caller]
fn advice<'a>(told: &'a Value, command: &str) -> &'a Value {
    let all = told["advice"].as_array().unwrap();
    let is_it = |one: &&Value| {
        let last = one["commands"].as_array().unwrap().last().unwrap();
        last.as_str().unwrap().starts_with(command)
    };
    all.iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("no {command} in {told:#}"))
}

fn apply(net: &Net, who: char, advice: &Value) {
    for command in advice["commands"].as_array().unwrap() {
        let line = command.as_str().unwrap().replace('\'', "");
        let ours = line.strip_prefix("ipct ");
        let ours = ours.map(|rest| format!("{} {rest}", env!("CARGO_BIN_EXE_ipct")));
        net.must(who, &ours.unwrap_or(line));
    }
}

#[test]
fn what_a_deletion_frees() {
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    net.hping(2, "-S -p 80 -i u1000 --rand-source 198.51.100.77");
    net.hping(
        1,
        &format!("--udp -p 9999 -d 100 -i u1000 --rand-source {VICTIM}"),
    );
    // Answered ones are to stay.
    for port in 1..=300 {
        let entry = "-I -p udp -s 203.0.113.2 -d 198.51.100.9 --dport 53 -t 120 -u SEEN_REPLY";
        net.must(ROUTERS, &format!("conntrack {entry} --sport {port}"));
    }
    let told = net.report("");
    for command in [
        "conntrack -D -p tcp --state SYN_SENT",
        "ipct --kernel -D -p udp",
    ] {
        let advice = advice(&told, command);
        let before = net.entries();
        apply(&net, ROUTERS, advice);
        within(advice["frees"].as_u64().unwrap(), before - net.entries(), 5);
    }
}

#[test]
fn what_dropping_a_prefix_frees_and_that_it_does_not_come_back() {
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    let flood = format!("--udp -p 9999 -d 300 -i u1000 {VICTIM}");
    net.hping(2, &flood);
    let told = net.report("");
    let advice = advice(&told, "conntrack -D -s 203.0.113.2/32");
    let before = net.entries();
    apply(&net, ROUTERS, advice);
    let freed = before - net.entries();
    within(advice["frees"].as_u64().unwrap(), freed, 5);
    assert!(freed > 500, "{freed}");
    net.hping(1, &flood);
    assert!(net.entries() < 20, "they came back");
}

#[test]
fn what_a_lower_timeout_frees_while_the_flood_goes_on() {
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    net.must(
        ROUTERS,
        "sysctl -qw net.netfilter.nf_conntrack_udp_timeout=20",
    );
    let _flood = net.start(
        ATTACKERS,
        &format!("timeout 90 hping3 -q --udp -p 9999 -d 100 -i u4000 --rand-source {VICTIM}"),
    );
    thread::sleep(Duration::from_secs(23));
    let told = net.report("");
    let advice = advice(&told, "sysctl -w net.netfilter.nf_conntrack_udp_timeout=10");
    let before = told["entries"].as_u64().unwrap();
    apply(&net, ROUTERS, advice);
    thread::sleep(Duration::from_secs(22));
    within(
        advice["frees"].as_u64().unwrap(),
        before - net.report("")["entries"].as_u64().unwrap(),
        5,
    );
}

#[test]
fn what_a_limit_of_each_sources_connections_frees_when_the_flood_comes_again() {
    let Some(net) = Net::new(&[]) else {
        return;
    };
    net.serve(80);
    let flood = || {
        net.inside(ATTACKERS, || {
            let victim = SocketAddr::from((VICTIM.parse::<IpAddr>().unwrap(), 80));
            let open = |_| TcpStream::connect_timeout(&victim, Duration::from_millis(20)).ok();
            (0..500).map(open).collect::<Vec<_>>()
        })
    };
    let held = flood();
    let told = net.report("");
    assert_eq!(told["class"], "connection_flood");
    let limit = advice(&told, "nft 'add rule inet ipct_limit");
    let before = net.entries();
    apply(&net, ROUTERS, limit);
    drop(held);
    net.must(ROUTERS, "conntrack -F");
    let held = flood();
    within(limit["frees"].as_u64().unwrap(), before - net.entries(), 5);
    drop(held);
}

#[test]
fn what_dropping_an_amplifiers_answers_frees_and_that_they_do_not_come_back() {
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    let flood = format!("--udp -s 53 -k -d 900 -i u1000 --rand-source {VICTIM}");
    net.hping(2, &flood);
    let told = net.report("");
    assert_eq!(told["class"], "reflection");
    let drops = advice(&told, "conntrack -D -p udp --sport 53");
    let before = net.entries();
    apply(&net, ROUTERS, drops);
    within(drops["frees"].as_u64().unwrap(), before - net.entries(), 5);
    net.hping(1, &flood);
    assert!(net.entries() < 20, "they came back");
}

#[test]
fn what_a_lower_timeout_of_syns_frees_while_the_flood_goes_on() {
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    net.must(
        ROUTERS,
        "sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_syn_sent=30",
    );
    let _flood = net.start(
        ATTACKERS,
        "timeout 90 hping3 -q -S -p 80 -i u4000 --rand-source 198.51.100.77",
    );
    thread::sleep(Duration::from_secs(33));
    let told = net.report("");
    let lower = advice(
        &told,
        "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_syn_sent=20",
    );
    let before = told["entries"].as_u64().unwrap();
    apply(&net, ROUTERS, lower);
    thread::sleep(Duration::from_secs(32));
    within(
        lower["frees"].as_u64().unwrap(),
        before - net.report("")["entries"].as_u64().unwrap(),
        5,
    );
}

#[test]
fn what_a_syn_proxy_frees_when_the_flood_comes_again_and_that_clients_still_get_through() {
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    net.serve(80);
    let flood = format!("-S -p 80 -i u1000 --rand-source {VICTIM}");
    net.hping(2, &flood);
    let told = net.report("");
    let proxy = advice(&told, "nft 'add rule ip ipct_proxy forward");
    let before = net.entries();
    apply(&net, ROUTERS, proxy);
    net.must(ROUTERS, "conntrack -F");
    net.hping(2, &flood);
    within(proxy["frees"].as_u64().unwrap(), before - net.entries(), 5);
    net.background(80);
}

#[test]
fn what_refusing_the_middle_of_nothing_frees_when_the_flood_comes_again() {
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    // A victim that answers each with RST leaves no entry; one behind a filter leaves all.
    for line in [
        "nft add table ip t",
        "nft add chain ip t i { type filter hook input priority 0; }",
        "nft add rule ip t i tcp dport 80 drop",
    ] {
        net.must(VICTIMS, line);
    }
    let flood = format!("-A -p 80 -i u1000 --rand-source {VICTIM}");
    net.hping(2, &flood);
    let told = net.report("");
    assert_eq!(told["class"], "ack_flood");
    let refuse = advice(&told, "nft add rule inet ipct_drop invalid");
    let before = net.entries();
    apply(&net, ROUTERS, refuse);
    net.must(ROUTERS, "conntrack -F");
    net.hping(2, &flood);
    within(refuse["frees"].as_u64().unwrap(), before - net.entries(), 5);
}
