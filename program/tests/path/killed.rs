//! kill -9: what is left behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::road::{Road, SERVER};

/// How often each is killed.
const TIMES: usize = 100;

#[test]
fn with_bypass_a_killed_daemon_stops_nothing() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0 --queue-bypass");
    assert!(road.is_open(), "before it was ever there");
    let (mut sent, mut received) = (0, 0);
    for _ in 0..TIMES {
        let daemon = Daemon::start(&road.ours, "--queue 0");
        let ping = ["-q", "-c20", "-i0.01", "-W1", SERVER];
        let ping = road.client.start("ping", &ping);
        std::thread::sleep(Duration::from_millis(100));
        daemon.signal(Signal::KILL);
        let said = ping.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let before = said.split(" received").next().unwrap();
        sent += 20;
        received += before.rsplit(' ').next().unwrap().parse::<u32>().unwrap();
        drop(daemon);
        assert!(road.is_open());
        let queues = road
            .ours
            .must("cat", &["/proc/net/netfilter/nfnetlink_queue"]);
        assert_eq!(queues, "");
    }
    // What waited while the kernel took the process apart is lost.
    assert!(received >= sent / 2, "{received} of {sent}");
}

#[test]
fn without_bypass_nothing_passes_until_a_new_one_is_there() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let daemon = Daemon::start(&road.ours, "--queue 0");
    assert!(road.is_open());
    daemon.signal(Signal::KILL);
    drop(daemon);
    assert!(!road.is_open());
    let since = Instant::now();
    let _daemon = Daemon::start(&road.ours, "--queue 0");
    assert!(road.is_open() && since.elapsed() < Duration::from_secs(5));
}

/// Starts and kills it again and again; soon after, nothing of it is left.
fn killed(road: &Road, way: &str, is_clean: impl Fn() -> bool) {
    for number in 0..TIMES {
        let daemon = Daemon::start(&road.ours, way);
        assert!(!is_clean(), "it is not there");
        daemon.signal(Signal::KILL);
        drop(daemon);
        let since = Instant::now();
        while !is_clean() {
            let waited = since.elapsed();
            assert!(waited < Duration::from_secs(2), "the {number}th time");
        }
    }
}

#[test]
fn a_killed_tun_router_takes_its_device_along() {
    let Some(road) = Road::new() else { return };
    let is_clean = || !road.ours.must("ip", &["link"]).contains("ipct0");
    killed(&road, "--tun ipct0", is_clean);
    // What was routed into it takes the ordinary way again.
    assert!(road.is_open());
}

#[test]
fn a_killed_listener_leaves_nothing_on_the_interfaces() {
    let Some(road) = Road::new() else { return };
    let is_clean = || {
        !road
            .ours
            .must("ip", &["-d", "link"])
            .contains("promiscuity 1")
    };
    killed(&road, "--tap r0,r1 --workers 2", is_clean);
    assert!(road.is_open());
}

#[test]
fn a_killed_bridge_leaves_nothing_on_the_interfaces() {
    let Some(road) = Road::new() else { return };
    let is_clean = || {
        let shown = road.ours.must("ip", &["-d", "link"]);
        !shown.contains("xdp") && !shown.contains("promiscuity 1")
    };
    killed(&road, "--bridge r0,r1", is_clean);
    // The router that was there before forwards again.
    assert!(road.is_open());
}
