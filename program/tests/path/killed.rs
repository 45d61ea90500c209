//! kill -9: what is left behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::road::{Road, SERVER};

/// Milliseconds between two echo requests.
const BETWEEN: u32 = 10;

#[test]
fn with_bypass_a_killed_daemon_stops_nothing() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0 --queue-bypass");
    assert!(road.is_open(), "before it was ever there");
    for _ in 0..10 {
        let daemon = Daemon::start(&road.ours, "--queue 0");
        let interval = format!("{}", f64::from(BETWEEN) / 1e3);
        let ping = road
            .client
            .start("ping", &["-q", "-c100", "-i", &interval, "-W1", SERVER]);
        std::thread::sleep(Duration::from_millis(300));
        daemon.signal(Signal::KILL);
        let said = ping.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let received: u32 = said
            .split(" received")
            .next()
            .unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        // What waited while the kernel took the process apart is lost.
        assert!(received >= 50, "{said}");
        drop(daemon);
        assert!(road.is_open());
        let queues = road
            .ours
            .must("cat", &["/proc/net/netfilter/nfnetlink_queue"]);
        assert_eq!(queues, "");
    }
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

#[test]
fn a_killed_tun_router_takes_its_device_along() {
    let Some(road) = Road::new() else { return };
    let daemon = Daemon::start(&road.ours, "--tun ipct0");
    assert!(road.ours.must("ip", &["link"]).contains("ipct0"));
    daemon.signal(Signal::KILL);
    drop(daemon);
    assert!(!road.ours.must("ip", &["link"]).contains("ipct0"));
    // What was routed into it takes the ordinary way again.
    assert!(road.is_open());
}
