//! Being the way between two interfaces.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::frames::{Sender, frame, header_sum, udp, v4};
use crate::listing::compare;
use crate::mangled::{Into, Mangler, Whole};
use crate::path::{CLIENT, Path, SERVER};

const BRIDGE: &str = "--bridge left,right";

#[test]
fn traffic_flows_and_the_table_is_that_of_the_router_behind() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, BRIDGE);
    path.talk();
    assert!(compare(&daemon, &path.router) >= 10);
    let ended = daemon.stop();
    assert_eq!(ended.load("bridge_lost"), 0, "{}", ended.log);
    assert!(ended.log.contains("copy mode"), "{}", ended.log);
    assert!(ended.load("bridge_sent") > 500, "{}", ended.log);
}

#[test]
fn several_workers_hand_over_what_is_not_theirs() {
    let Some(path) = Path::new() else { return };
    for device in ["left", "right"] {
        path.between
            .must("ethtool", &["-L", device, "rx", "2", "tx", "2"]);
    }
    let daemon = Daemon::start(&path.between, "--bridge left,right --workers 2");
    path.talk();
    assert!(compare(&daemon, &path.router) >= 10);
    let ended = daemon.stop();
    assert!(ended.load("bridge_handed_over") > 0, "{}", ended.log);
    assert_eq!(ended.load("bridge_not_handed_over"), 0, "{}", ended.log);
}

/// Whether nothing is left on the interfaces.
fn is_clean(path: &Path) -> bool {
    let shown = path.between.must("ip", &["-d", "link"]);
    !shown.contains("xdp") && !shown.contains("promiscuity 1")
}

#[test]
fn nothing_is_left_on_the_interfaces_however_it_ends() {
    let Some(path) = Path::new() else { return };
    assert!(is_clean(&path));
    for _ in 0..3 {
        let daemon = Daemon::start(&path.between, BRIDGE);
        assert!(!is_clean(&path));
        daemon.signal(Signal::KILL);
        daemon.wait();
        let end = Instant::now() + Duration::from_secs(5);
        while !is_clean(&path) {
            assert!(
                Instant::now() < end,
                "{}",
                path.between.must("ip", &["-d", "link"])
            );
        }
    }
    let daemon = Daemon::start(&path.between, BRIDGE);
    daemon.stop();
    assert!(is_clean(&path));
}

#[test]
fn a_link_may_go_down_and_up_and_a_vanished_interface_ends_it() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, BRIDGE);
    assert!(path.fetches(SERVER));
    path.between.ip("link set left down");
    std::thread::sleep(Duration::from_millis(1500));
    path.between.ip("link set left up");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(path.fetches(SERVER), "{}", daemon.log());
    path.between.ip("link del right");
    let ended = daemon.wait();
    assert_eq!(ended.status, Some(1));
    for said in [
        "left: the link is down",
        "left: the link is up",
        "right is gone",
    ] {
        assert!(ended.log.contains(said), "{said}: {}", ended.log);
    }
    assert!(is_clean(&path));
}

#[test]
fn what_cannot_be_bridged_is_refused_with_the_reason() {
    let Some(path) = Path::new() else { return };
    path.between.ip("link set right mtu 9000");
    for (arguments, said) in [
        (
            "--bridge left,nowhere",
            "nowhere: there is no such network interface",
        ),
        ("--bridge left,lo", "lo: it is no Ethernet"),
        ("--bridge left,right", "right: its MTU is 9000"),
        ("--bridge left,left", "the names of two network interfaces"),
        (
            "--tap nowhere",
            "nowhere: there is no such network interface",
        ),
        (
            "--bridge left,right --policy open=left",
            "open=left: accepts \"both\"",
        ),
    ] {
        let ended = Daemon::launch(&path.between, arguments).wait();
        assert!(ended.log.contains(said), "{arguments}: {}", ended.log);
        assert!(matches!(ended.status, Some(1 | 2)), "{:?}", ended.status);
    }
    path.between.ip("link set right mtu 1500");
    let first = Daemon::start(&path.between, BRIDGE);
    let ended = Daemon::launch(&path.between, BRIDGE).wait();
    assert!(
        ended.log.contains("another program") || ended.log.contains("XDP program already"),
        "{}",
        ended.log
    );
    assert!(path.fetches(SERVER));
    drop(first);
}

#[test]
fn only_the_side_that_may_opens_connections() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, "--bridge left,right --policy open=first");
    assert!(path.fetches(SERVER));
    let ping =
        |space: &crate::space::Space, to| space.run("ping", &["-q", "-c1", "-W1", to]).status;
    assert_eq!(ping(&path.client, SERVER), 0);
    assert_ne!(ping(&path.server, CLIENT), 0);
    let ended = daemon.stop();
    assert!(ended.counter("side_closed") >= 1, "{}", ended.log);
}

/// The fragments of an IPv4 packet, the first of which has 16 bytes of payload.
fn fragments(packet: &[u8], id: u8) -> [Vec<u8>; 2] {
    const AT: usize = 36;
    let piece = |word: u16, payload: &[u8]| {
        let [src, dst] = [12, 16].map(|at| *packet[at..].first_chunk::<4>().unwrap());
        let mut piece = v4(packet[9], src, dst, payload);
        piece[5] = id;
        piece[6..8].copy_from_slice(&word.to_be_bytes());
        piece[10..12].copy_from_slice(&[0, 0]);
        let sum = header_sum(&piece[..20]);
        piece[10..12].copy_from_slice(&sum.to_be_bytes());
        piece
    };
    const MORE: u16 = 0x2000;
    [piece(MORE, &packet[20..AT]), piece(2, &packet[AT..])]
}

/// Nobody may be sent the fragments of a datagram one by one that would be refused as a whole.
#[test]
fn fragments_pass_with_their_datagram_or_not_at_all() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, "--bridge left,right --policy open=first");
    let socket = path.client.inside(|| {
        let socket = std::net::UdpSocket::bind((CLIENT, 4444)).unwrap();
        socket.send_to(b"asks", (SERVER, 7777)).unwrap();
        socket
    });
    socket
        .set_read_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    let received = || {
        let mut bytes = [0; 64];
        socket.recv(&mut bytes).map_or(0, |_| bytes[0])
    };
    let mut sender = Sender::new(&path.router, "client-side");
    let datagram = |from, kind: u8, id| {
        let packet = v4(
            17,
            [10, 93, 2, 2],
            [10, 93, 1, 2],
            &udp(from, 4444, &[kind; 24]),
        );
        fragments(&packet, id).map(|piece| frame(0x0800, &piece))
    };
    let mut send = |frames: &[&Vec<u8>]| {
        frames.iter().for_each(|frame| sender.send(frame));
        sender.finish();
        std::thread::sleep(Duration::from_millis(100));
    };
    let [first, last] = datagram(7777, b'a', 1);
    send(&[&last, &first]);
    assert_eq!(received(), b'a', "an answer passes: {}", daemon.log());
    // Refused as a whole, the fragment that made it whole comes again.
    let [first, last] = datagram(53, b'e', 2);
    send(&[&last, &first]);
    send(&[&first]);
    assert_eq!(received(), 0, "{}", daemon.log());
    // Given up by the tracker, since so many others came in between, and begun again as an answer.
    let [first, _] = datagram(53, b'e', 3);
    send(&[&first]);
    for id in 100..200 {
        send(&[&datagram(7777, b'x', id)[1]]);
    }
    let [good, last] = datagram(7777, b'g', 3);
    send(&[&good, &last]);
    assert_eq!(received(), b'g', "{}", daemon.log());
    let ended = daemon.stop();
    assert!(ended.counter("side_closed") >= 1, "{}", ended.log);
    assert_eq!(ended.load("bridge_fragments_expired"), 1, "{}", ended.log);
}

#[test]
fn a_source_has_no_more_entries_than_it_may_and_a_full_table_may_be_passed_by() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(
        &path.between,
        "--bridge left,right --policy per_source=10 --sysctl nf_conntrack_udp_timeout=3",
    );
    let mut sender = Sender::new(&path.client, "eth0");
    let mut flood = |source: [u8; 4], ports: std::ops::Range<u16>| {
        for port in ports {
            sender.send(&frame(
                0x0800,
                &v4(17, source, [10, 93, 7, 2], &udp(port, 53, b"x")),
            ));
        }
        sender.finish();
        std::thread::sleep(Duration::from_millis(300));
    };
    let count = |source| daemon.ask(&["-L", "-s", source]).out.lines().count();
    flood([10, 93, 7, 1], 1..101);
    flood([10, 93, 7, 3], 1..6);
    assert_eq!((count("10.93.7.1"), count("10.93.7.3")), (10, 5));
    std::thread::sleep(Duration::from_secs(4));
    flood([10, 93, 7, 1], 200..207);
    assert_eq!(count("10.93.7.1"), 7);
    assert!(path.fetches(SERVER));
    let ended = daemon.stop();
    assert_eq!(ended.counter("source_limit"), 90, "{}", ended.log);
}

#[test]
fn a_full_table_drops_or_is_passed_by() {
    let Some(path) = Path::new() else { return };
    for (policy, passes) in [("drop", false), ("pass", true)] {
        let bridge =
            format!("--bridge left,right --sysctl nf_conntrack_max=2 --policy full={policy}");
        let daemon = Daemon::start(&path.between, &bridge);
        // Two connections that are ASSURED and stay.
        let held = path.client.inside(|| {
            [80, 80].map(|port| {
                let mut stream = std::net::TcpStream::connect((SERVER, port)).unwrap();
                std::io::Write::write_all(&mut stream, b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
                    .unwrap();
                let mut answer = [0; 12];
                std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
                stream
            })
        });
        assert_eq!(path.fetches(SERVER), passes, "{policy}");
        drop(held);
        let ended = daemon.stop();
        assert!(ended.counter("table_full") >= 1, "{}", ended.log);
        assert!(
            ended.log.contains("table full, dropping packet"),
            "{}",
            ended.log
        );
    }
}

#[test]
fn frames_of_any_kind_do_no_harm() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(
        &path.between,
        &format!("{BRIDGE} --sysctl nf_conntrack_max=20000"),
    );
    let into = Into {
        rate: 300_000,
        seen: &|| daemon.counter("packets"),
        memory: &|| daemon.memory(),
        works: &|| path.fetches(SERVER),
    };
    let mut sender = Sender::new(&path.client, "eth0");
    into.pour(&mut sender, &mut Mangler::new(3, Whole::Frame));
    daemon.stop();
    assert!(is_clean(&path));
}
