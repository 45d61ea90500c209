//! When the table will be full, told long before.

use std::thread;
use std::time::{Duration, Instant};

use super::net::{ATTACKERS, Net, ROUTERS, VICTIM};

/// The limit is one for the whole machine, so it is not set: the report is told one, and it is watched when
/// that many entries are there.
#[test]
fn told_at_a_third_of_a_steady_flood_within_a_fifth() {
    const MAX: u64 = 9_000;
    let Some(net) = Net::new(&["hping3"]) else {
        return;
    };
    net.serve(80);
    let _flood = net.start(
        ATTACKERS,
        &format!("timeout 60 hping3 -q -S -p 80 -i u2500 --rand-source {VICTIM}"),
    );
    let count = || -> u64 { net.must(ROUTERS, "conntrack -C").trim().parse().unwrap() };
    let until = |entries: u64| {
        let began = Instant::now();
        while count() < entries {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the flood is too slow"
            );
            thread::sleep(Duration::from_millis(50));
        }
    };
    until(MAX / 3 - 1_000);
    let told = net.report(&format!("--for 3 --max {MAX}"));
    let asked = Instant::now();
    let full_in = told["forecast"]["full_in"].as_f64().unwrap();
    until(MAX);
    let happened = asked.elapsed().as_secs_f64();
    assert!(
        (full_in - happened).abs() <= 0.2 * happened,
        "told {full_in}, happened {happened}: {told:#}"
    );
}
