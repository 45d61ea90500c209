//! Traffic flows, and our table is the one that Linux has for it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::road::{NOBODY, Road, SERVER};
use crate::table::assert_same;
use crate::threads::{CHOWN, NET_ADMIN, assert_only};
use crate::traffic::{Servers, all_kinds};

#[track_caller]
fn flows_through(road: &Road, daemon: &Daemon) {
    let _servers = Servers::start(road);
    all_kinds(road);
    let table = assert_same(road, daemon);
    let has = |words: &[&str]| {
        table
            .keys()
            .any(|entry| words.iter().all(|word| entry.contains(word)))
    };
    for words in [
        &["tcp 6 TIME_WAIT", "dport=80", "ASSURED"][..],
        &["tcp 6 SYN_SENT", NOBODY, "UNREPLIED"],
        &["udp 17", "src=10.1.0.2", "dport=53"],
        &["udp 17", "src=fd01::2", "dport=53"],
        &["udp 17", "dport=5353", "UNREPLIED"],
        &["icmp 1", SERVER],
        &["sctp 132 ESTABLISHED", "dport=9", "ASSURED"],
        &["gre 47", SERVER, "ASSURED"],
        &["icmpv6 58", "fd03::2"],
    ] {
        assert!(has(words), "no {words:?} in {table:#?}");
    }
}

#[test]
fn one_queue() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let daemon = Daemon::start(&road.ours, "--queue 0");
    flows_through(&road, &daemon);
    // Each verdict needs CAP_NET_ADMIN.
    assert!(assert_only(daemon.id(), CHOWN | NET_ADMIN) >= 8);
    let log = daemon.stop();
    assert!(log.contains("worker 0: packets="), "{log}");
    // With the daemon, the queue is gone, and no rule says that packets pass then.
    assert!(!road.is_open());
}

#[test]
fn four_queues_however_the_kernel_spreads_packets() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-balance 0:3");
    let daemon = Daemon::start(&road.ours, "--queue 0-3");
    flows_through(&road, &daemon);
    assert!(
        daemon.counter("queue_handed_over") > 0,
        "{}",
        daemon.ask("-S")
    );
    assert_eq!(daemon.counter("queue_not_handed_over"), 0);
}

#[test]
fn a_bridge() {
    let Some(road) = Road::new() else { return };
    road.wired();
    assert!(!road.is_open());
    let daemon = Daemon::start(&road.ours, "--bridge r0,r1");
    flows_through(&road, &daemon);
    daemon.stop();
    assert!(!road.is_open());
}

#[test]
fn a_tun_device() {
    let Some(road) = Road::new() else { return };
    let daemon = Daemon::start(&road.ours, "--tun ipct0");
    road.packet_by_packet();
    road.through("ipct0");
    flows_through(&road, &daemon);
    assert!(assert_only(daemon.id(), CHOWN) >= 8);
    daemon.stop();
    assert!(
        !road.ours.must("ip", &["link"]).contains("ipct0"),
        "the device goes with the daemon"
    );
}

#[test]
fn rules_see_the_state_in_the_mark() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let _daemon = Daemon::start(&road.ours, "--queue 0");
    let rule = ["-w", "-A", "FORWARD", "-j", "DROP"];
    road.ours.must("iptables", &rule);
    assert!(road.is_open());
    // From the other side nothing may be opened; the answer to the echo before was ESTABLISHED.
    assert_ne!(
        road.server.run("ping", &["-c1", "-W1", "10.1.0.2"]).status,
        0
    );
    let counted = road.ours.must("iptables", &["-w", "-nvxL", "FORWARD"]);
    let packets = |rule: &str| -> u64 {
        let line = counted.lines().find(|line| line.contains(rule)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert_eq!(packets("0x10000000/0x70000000"), 1, "NEW: {counted}");
    assert_eq!(
        packets("0x20000000/0x70000000"),
        1,
        "ESTABLISHED: {counted}"
    );
    assert_eq!(packets("0x0/0x70000000"), 0, "unseen: {counted}");
}

#[test]
fn rules_see_the_connections_mark() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let daemon = Daemon::start(&road.ours, "--queue 0 --connmark-mask 0xff");
    let listener = road
        .server
        .inside(|| TcpListener::bind((SERVER, 7)).unwrap());
    let mut client = road
        .client
        .inside(|| TcpStream::connect((SERVER, 7)).unwrap());
    let (mut server, _) = listener.accept().unwrap();
    let patience = Some(Duration::from_millis(500));
    server.set_read_timeout(patience).unwrap();
    let mut arrives = || {
        client.write_all(b"x").unwrap();
        server.read(&mut [0; 8]).is_ok()
    };
    let rule = "-w -I FORWARD -m mark --mark 0x2a/0xff -j DROP";
    road.ours
        .must("iptables", &rule.split(' ').collect::<Vec<_>>());
    assert!(arrives());
    daemon.ask("-U -p tcp --dport 7 -m 42");
    assert!(!arrives());
    daemon.ask("-U -p tcp --dport 7 -m 0");
    server
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert!(server.read(&mut [0; 8]).is_ok(), "what TCP sends again");
}

#[test]
fn what_is_invalid_is_dropped_if_that_is_asked_for_and_logged() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let daemon = Daemon::start(
        &road.ours,
        "--queue 0 --drop-invalid --sysctl nf_conntrack_log_invalid=6",
    );
    assert!(road.is_open());
    // SYN and FIN together belong to no connection.
    let syn_fin = [
        "-q", "-c", "3", "-i", "u1000", "-S", "-F", "-p", "80", SERVER,
    ];
    road.client.run("hping3", &syn_fin);
    sleep(Duration::from_millis(1_200));
    assert_eq!(daemon.counter("tcp_flags"), 3, "{}", daemon.ask("-S"));
    assert_eq!(daemon.counter("queue_invalid_dropped"), 3);
    let line = format!("invalid packet: tcp_flags: SRC=10.1.0.2 DST={SERVER} LEN=40 PROTO=6");
    assert_eq!(daemon.log().matches(&line).count(), 3, "{}", daemon.log());
}

#[test]
fn states_change_and_entries_run_out() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let daemon = Daemon::start(&road.ours, "--queue 0 --sysctl nf_conntrack_udp_timeout=2");
    let state = || {
        daemon
            .ask("-L -p tcp")
            .split_whitespace()
            .nth(3)
            .map(str::to_owned)
    };
    let listener = road
        .server
        .inside(|| TcpListener::bind("10.3.0.2:7").unwrap());
    let mut stream = road
        .client
        .inside(|| TcpStream::connect("10.3.0.2:7").unwrap());
    let (mut accepted, _) = listener.accept().unwrap();
    stream.write_all(b"x").unwrap();
    accepted.read_exact(&mut [0]).unwrap();
    assert_eq!(state().as_deref(), Some("ESTABLISHED"));
    drop(stream);
    assert_eq!(accepted.read(&mut [0]).unwrap(), 0);
    sleep(Duration::from_millis(200));
    assert_eq!(state().as_deref(), Some("CLOSE_WAIT"));
    drop(accepted);
    sleep(Duration::from_millis(200));
    assert_eq!(state().as_deref(), Some("TIME_WAIT"));
    assert_same(&road, &daemon);
    let socket = road
        .client
        .inside(|| UdpSocket::bind("10.1.0.2:0").unwrap());
    socket.send_to(b"x", (NOBODY, 9)).unwrap();
    sleep(Duration::from_millis(300));
    assert_eq!(daemon.ask("-L -p udp").lines().count(), 1);
    sleep(Duration::from_millis(2_500));
    assert_eq!(daemon.ask("-L -p udp").lines().count(), 0);
}
