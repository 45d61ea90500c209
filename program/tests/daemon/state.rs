//! The table outlives the daemon.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, has, is_root, wait_until, web};
use crate::packets::write_flows;

/// What is shown of each entry, but its timer; and the timers.
fn entries(bench: &Bench) -> (Vec<String>, Vec<i64>) {
    let text = bench.asks(&["-L", "-o", "extended,ktimestamp"]);
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            let timer: i64 = words.remove(4).parse().unwrap();
            words.retain(|word| !word.starts_with("delta-time="));
            (words.join(" "), timer)
        })
        .collect();
    lines.sort();
    lines.into_iter().unzip()
}

#[test]
fn entries_come_back_with_what_was_left_of_their_time_to_any_number_of_workers() {
    let bench = Bench::new();
    let daemon = bench.run(&[
        "--replay",
        &web(),
        "--speed",
        "max",
        "--workers",
        "3",
        "--sysctl",
        "nf_conntrack_timestamp=1",
    ]);
    daemon.says("every packet was replayed");
    wait_until("all workers", || bench.asks(&["-C"]) == "11\n");
    bench.asks(&["-U", "-p", "icmp", "-m", "7"]);
    let (before, times) = entries(&bench);
    assert_eq!(daemon.stop().code(), Some(0));
    std::thread::sleep(std::time::Duration::from_secs(3));
    for workers in ["1", "2"] {
        let daemon = bench.run(&["--workers", workers]);
        assert!(
            daemon.log().contains("11 entries were taken back"),
            "{}",
            daemon.log()
        );
        let (after, left) = entries(&bench);
        assert_eq!(after, before);
        for (before, after) in times.iter().zip(left) {
            // No time went by between; a busy machine may need some.
            assert!(
                (0..3).contains(&(before - after)),
                "{before} became {after}"
            );
        }
        // It is not saved again, so the second one has the same file.
        drop(daemon);
    }
}

#[test]
fn a_connection_goes_on_after_a_restart_as_if_there_had_been_none() {
    let bench = Bench::new();
    let daemon = bench.run(&["--replay", &web(), "--speed", "max"]);
    daemon.says("every packet was replayed");
    assert_eq!(daemon.stop().code(), Some(0));
    // The same packets again: SYNs of closed connections, data of one that is established.
    let daemon = bench.run(&["--replay", &web(), "--speed", "max"]);
    daemon.says("every packet was replayed");
    let ping = bench.asks(&["-L", "-p", "icmp"]);
    assert!(ping.contains("packets=6 "), "{ping}");
}

#[test]
fn it_is_saved_every_so_often_and_when_asked_for() {
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), "[state]\ninterval = 1\n").unwrap();
    let daemon = bench.run(&["--replay", &web(), "--speed", "max"]);
    wait_until("a save", || bench.path("state").exists());
    daemon.says("every packet was replayed");
    let len = || fs::metadata(bench.path("state")).unwrap().len();
    wait_until("a save of all", || len() > 2000);
    assert!(!bench.path("state.new").exists() || len() > 0);
}

#[test]
fn a_full_disk_leaves_the_old_file_and_is_told() {
    if !is_root("disk") || !has("mount", "disk") {
        return;
    }
    let bench = Bench::new();
    let disk = bench.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "none"])
        .arg(&disk)
        .status();
    assert!(mount.unwrap().success());
    let state = disk.join("state");
    let outcome = std::panic::catch_unwind(|| {
        let arguments = ["--state", state.to_str().unwrap()];
        let daemon = bench.run(&[&arguments[..], &["--replay", &web(), "--speed", "max"]].concat());
        daemon.says("every packet was replayed");
        assert_eq!(daemon.stop().code(), Some(0));
        let before = fs::read(&state).unwrap();
        let capture = bench.path("flows.pcap");
        write_flows(&capture, 2000);
        let daemon = bench.run(
            &[
                &arguments[..],
                &["--replay", capture.to_str().unwrap(), "--speed", "max"],
            ]
            .concat(),
        );
        daemon.says("every packet was replayed");
        daemon.signal("TERM");
        let mut daemon = daemon;
        assert_eq!(daemon.ends().code(), Some(1));
        assert!(
            daemon
                .log()
                .contains("the table cannot be saved: No space left on device"),
            "{}",
            daemon.log()
        );
        assert!(daemon.log().contains(state.to_str().unwrap()));
        assert_eq!(fs::read(&state).unwrap(), before);
        assert_eq!(
            fs::read_dir(&disk).unwrap().count(),
            1,
            "nothing half written stays"
        );
    });
    let umount = Command::new("umount").arg("-l").arg(&disk).status();
    assert!(umount.unwrap().success());
    outcome.unwrap();
}

#[test]
fn no_state_is_kept_where_none_is_wanted() {
    let bench = Bench::new();
    let daemon = bench.run(&["--state", "", "--replay", &web(), "--speed", "max"]);
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(!bench.path("state").exists());
}
