//! kill -9 at any moment.

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use ip_conntrack::format::netlink::{Ask, Origin, Request, own};

use crate::bench::Bench;
use crate::packets::write_flows;

/// Entries in the table, all of which stay.
const FLOWS: u32 = 20_000;

#[test]
fn no_moment_of_a_kill_makes_the_state_unreadable_or_loses_what_was_saved() {
    let bench = Bench::new();
    let capture = bench.path("flows.pcap");
    write_flows(&capture, FLOWS);
    let knobs = ["--sysctl", "nf_conntrack_udp_timeout=8000000"];
    let daemon = bench.run(
        &[
            &knobs[..],
            &["--replay", capture.to_str().unwrap(), "--speed", "max"],
        ]
        .concat(),
    );
    daemon.says("every packet was replayed");
    assert_eq!(daemon.stop().code(), Some(0));
    let taken_back = format!("{FLOWS} entries were taken back");
    for round in 0..100_u64 {
        let mut daemon = bench.run(&knobs);
        assert!(
            daemon.log().contains(&taken_back),
            "round {round}: {}",
            daemon.log()
        );
        save_without_pause(&bench);
        std::thread::sleep(Duration::from_micros(round * 7919 % 40_000));
        daemon.child.kill().unwrap();
        daemon.ends();
    }
    let daemon = bench.run(&knobs);
    assert!(daemon.log().contains(&taken_back), "{}", daemon.log());
    let names = fs::read_dir(bench.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let aside = names
        .filter(|name| name.to_string_lossy().contains("refused"))
        .count();
    assert_eq!(aside, 0);
}

/// Asks for saves from another thread, until the daemon is gone.
fn save_without_pause(bench: &Bench) {
    let mut stream = bench.connect();
    std::thread::spawn(move || {
        let ask = Ask::Own(own::Ask::Save);
        let mut bytes = Vec::new();
        Request {
            origin: Origin::default(),
            ack: true,
            ask,
        }
        .write(&mut bytes);
        let mut answer = [0; 256];
        while stream.write_all(&bytes).is_ok() && stream.read(&mut answer).is_ok_and(|n| n > 0) {}
    });
}
