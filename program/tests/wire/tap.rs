//! Listening beside the kernel's own tracking.

use std::time::Duration;

use crate::daemon::Daemon;
use crate::frames::{Sender, frame, udp, v4};
use crate::listing::compare;
use crate::mangled::{Into, Mangler, Whole};
use crate::path::{Path, SERVER};
use crate::threads::{BPF, CHOWN, assert_only};

fn pause() {
    std::thread::sleep(Duration::from_millis(1500));
}

#[test]
fn a_router_is_seen_as_it_sees_itself_and_forwarded_packets_once() {
    for workers in [1, 3] {
        let Some(path) = Path::new() else { return };
        path.bridge_by_kernel();
        let tap = format!("--tap client-side,server-side --workers {workers}");
        let daemon = Daemon::start(&path.router, &tap);
        path.talk();
        assert!(compare(&daemon, &path.router) >= 10);
        // Filters are made anew when interfaces come back.
        assert!(assert_only(daemon.id(), CHOWN | BPF) >= 5);
        let ended = daemon.stop();
        assert_eq!(ended.load("tap_lost"), 0, "{}", ended.log);
        assert_eq!(ended.counter("clock_backwards"), 0, "{}", ended.log);
        assert!(ended.load("packets") > 500, "{}", ended.log);
    }
}

#[test]
fn a_host_that_is_watched_is_seen_both_ways_and_so_is_its_loopback() {
    let Some(path) = Path::new() else { return };
    path.bridge_by_kernel();
    let daemon = Daemon::start(&path.client, "--tap eth0,lo");
    path.talk();
    path.client
        .must("ping", &["-q", "-c3", "-i0.2", "127.0.0.1"]);
    pause();
    // What the client sends and gets is what the router forwards.
    compare(&daemon, &path.router);
    let own = daemon.ask(&["-L", "-p", "icmp", "-s", "127.0.0.1"]).out;
    assert!(own.contains("packets=3 bytes=252 src=127.0.0.1"), "{own}");
    assert_eq!(own.lines().count(), 1, "{own}");
}

#[test]
fn tags_are_taken_off_and_interfaces_may_go_and_come_back() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, "--tap left");
    let datagram = v4(17, [10, 93, 9, 9], [10, 93, 9, 8], &udp(7, 53, b"x"));
    let mut tagged = vec![0, 42];
    tagged.extend(0x0800_u16.to_be_bytes());
    tagged.extend(&datagram);
    let mut sender = Sender::new(&path.client, "eth0");
    sender.send(&frame(0x8100, &tagged));
    sender.finish();
    pause();
    let listed = daemon.ask(&["-L", "-s", "10.93.9.9"]).out;
    assert!(
        listed.contains("sport=7 dport=53 packets=1 bytes=29"),
        "{listed}"
    );

    path.between.ip("link set left down");
    pause();
    path.between.ip("link set left up");
    pause();
    drop(sender);
    path.between.ip("link del left");
    pause();
    path.between.ip("link add left type veth peer name eth9");
    path.between.ip("link set left up");
    path.between.ip("link set eth9 up");
    pause();
    let mut sender = Sender::new(&path.between, "eth9");
    sender.send(&frame(0x0800, &datagram));
    sender.finish();
    pause();
    let listed = daemon.ask(&["-L", "-s", "10.93.9.9"]).out;
    assert!(
        listed.contains("packets=2 bytes=58"),
        "{listed}{}",
        daemon.log()
    );
    let log = daemon.stop().log;
    for said in [
        "left: the link is down",
        "left: the link is up",
        "left is gone",
        "left has come back",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
}

#[test]
fn frames_of_any_kind_do_no_harm() {
    let Some(path) = Path::new() else { return };
    path.bridge_by_kernel();
    let limit = "--sysctl nf_conntrack_max=20000";
    let daemon = Daemon::start(&path.between, &format!("--tap left --workers 2 {limit}"));
    let into = Into {
        rate: 500_000,
        seen: &|| daemon.counter("packets"),
        memory: &|| daemon.memory(),
        works: &|| path.fetches(SERVER),
    };
    let mut sender = Sender::new(&path.client, "eth0");
    into.pour(&mut sender, &mut Mangler::new(5, Whole::Frame));
    daemon.stop();
}
