//! A daemon that is too slow: packets pass or are dropped, as it was asked to, and that is counted.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::road::{Road, SERVER};

/// Pings through a daemon that stands still. => how many are answered meanwhile, and how many packets the
/// kernel counts that found no room
fn while_it_stands(fail_open: &str) -> Option<(u32, u64)> {
    let road = Road::new()?;
    road.rules("--queue-num 0");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ipct.conf");
    fs::write(&file, "[queue]\nlength = 10\n").unwrap();
    let arguments = format!("--config {} --queue 0 {fail_open}", file.display());
    let daemon = Daemon::start(&road.ours, &arguments);
    assert!(road.is_open());
    daemon.signal(Signal::STOP);
    let ping = ["-q", "-c60", "-i0.01", "-W1", SERVER];
    let said = road.client.run("ping", &ping).out;
    daemon.signal(Signal::CONT);
    sleep(Duration::from_millis(2_500));
    let received = said
        .split(" received")
        .next()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap();
    Some((received.parse().unwrap(), daemon.counter("queue_full")))
}

#[test]
fn fail_open_lets_pass_what_finds_no_room() {
    let Some((received, full)) = while_it_stands("--fail-open") else {
        return;
    };
    assert!(received >= 40, "{received} of 60");
    assert_eq!(full, 0, "what passes is not counted as dropped");
}

#[test]
fn fail_closed_drops_what_finds_no_room() {
    let Some((received, full)) = while_it_stands("") else {
        return;
    };
    assert!(received <= 10, "{received} of 60");
    assert!(full >= 40, "{full}");
}
