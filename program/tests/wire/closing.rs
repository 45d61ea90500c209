//! SIGTERM: what was received goes out.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::frames::{Sender, frame, udp, v4};
use crate::path::{Path, SERVER};
use crate::threads::{BPF, CHOWN, assert_only};

/// Frames that wait in the sockets' rings.
const WAITING: u16 = 500;

fn wait_for(daemon: &Daemon, words: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while !daemon.log().contains(words) {
        assert!(Instant::now() < end, "{words}: {}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Packets that the router has received from the client's side.
fn received(path: &Path) -> u64 {
    let file = "/sys/class/net/client-side/statistics/rx_packets";
    path.router.must("cat", &[file]).trim().parse().unwrap()
}

#[test]
fn frames_that_were_received_go_out_before_the_end() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, "--bridge left,right");
    assert!(path.fetches(SERVER));
    assert!(assert_only(daemon.id(), CHOWN) >= 5);
    std::thread::sleep(Duration::from_millis(300));
    daemon.signal(Signal::STOP);
    let before = received(&path);
    let mut sender = Sender::new(&path.client, "eth0");
    for port in 0..WAITING {
        let datagram = udp(10_000 + port, 53, b"x");
        sender.send(&frame(
            0x0800,
            &v4(17, [10, 93, 7, 1], [10, 93, 7, 2], &datagram),
        ));
    }
    sender.finish();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(received(&path), before, "they wait");
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::CONT);
    let ended = daemon.wait();
    assert_eq!(ended.status, Some(0), "{}", ended.log);
    let passed = received(&path) - before;
    println!("{passed} of {WAITING} frames went out");
    assert!(passed >= u64::from(WAITING), "{passed}: {}", ended.log);
}

#[test]
fn another_user_has_the_way_too() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, "--user 65534 --bridge left,right");
    assert!(path.fetches(SERVER));
    assert!(assert_only(daemon.id(), 0) >= 5);
    let ended = daemon.stop();
    assert!(ended.load("bridge_sent") > 0, "{}", ended.log);
    assert!(!ended.log.contains("ERROR"), "{}", ended.log);
}

#[test]
fn another_user_listens_also_to_what_has_come_back() {
    let Some(path) = Path::new() else { return };
    path.bridge_by_kernel();
    path.between.ip("link add comes type veth peer name goes");
    path.between.ip("link set comes up");
    let daemon = Daemon::start(&path.between, "--user 65534 --tap left,comes");
    path.between.ip("link del comes");
    wait_for(&daemon, "comes is gone");
    path.between.ip("link add comes type veth peer name goes");
    path.between.ip("link set comes up");
    wait_for(&daemon, "comes has come back, and is listened on");
    assert!(path.fetches(SERVER));
    assert!(assert_only(daemon.id(), BPF) >= 5);
    let ended = daemon.stop();
    assert!(ended.load("packets") > 0, "{}", ended.log);
    assert!(!ended.log.contains("ERROR"), "{}", ended.log);
}

#[test]
fn it_ends_soon_however_much_comes() {
    let Some(path) = Path::new() else { return };
    let daemon = Daemon::start(&path.between, "--bridge left,right");
    let flood = ["-u", "-c", SERVER, "-b", "0", "-l", "64", "-t", "4"];
    let mut flood = path.client.start("iperf3", &flood);
    std::thread::sleep(Duration::from_millis(1_500));
    let begun = Instant::now();
    daemon.stop();
    let took = begun.elapsed();
    println!("under a flood the daemon ended after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    flood.kill().unwrap();
    flood.wait().unwrap();
}
