//! Start, stop, and what systemd is told.

use std::time::Duration;

use crate::bench::{Bench, wait_until, web};

#[test]
fn it_says_when_it_is_ready_and_stops_cleanly_when_told_to() {
    for signal in ["TERM", "INT"] {
        let bench = Bench::new();
        let mut daemon = bench.run(&[]);
        assert_eq!(bench.asks(&["-C"]), "0\n");
        daemon.signal(signal);
        daemon.told("STOPPING=1");
        assert_eq!(daemon.ends().code(), Some(0), "{}", daemon.log());
        assert!(!bench.path("control.sock").exists());
        assert!(bench.path("state").exists());
    }
}

#[test]
fn the_watchdog_is_fed() {
    let bench = Bench::new();
    let mut command = bench.command(&["--workers", "2"]);
    command.env("WATCHDOG_USEC", "3000000");
    let mut daemon = bench.run_command(command);
    daemon.told("WATCHDOG=1");
    daemon.told("WATCHDOG=1");
}

#[test]
fn a_second_daemon_does_not_take_the_socket_away_and_one_that_was_killed_has_left_it() {
    let bench = Bench::new();
    let mut first = bench.run(&[]);
    let (status, text) = bench.fails(&[]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("a daemon serves this control socket already"),
        "{text}"
    );
    assert_eq!(bench.asks(&["-C"]), "0\n");
    first.child.kill().unwrap();
    first.ends();
    assert!(bench.path("control.sock").exists());
    let second = bench.run(&[]);
    assert_eq!(bench.asks(&["-C"]), "0\n");
    assert_eq!(second.stop().code(), Some(0));
}

#[test]
fn without_a_daemon_the_tool_says_where_it_looked() {
    let bench = Bench::new();
    let output = bench.ipct(&["-L"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("no daemon at") && text.contains("control.sock"),
        "{text}"
    );
}

#[test]
fn a_socket_in_a_directory_that_is_not_there_and_a_capture_that_is_none_are_told() {
    let bench = Bench::new();
    let nowhere = bench.path("nowhere/control.sock");
    let (status, text) = bench.fails(&["--control", nowhere.to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("nowhere/control.sock: the control socket cannot be made"),
        "{text}"
    );
    let (status, text) = bench.fails(&["--replay", "/etc/passwd"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("/etc/passwd"), "{text}");
    let (status, text) = bench.fails(&["--replay", "/dev/null", "--loop"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("must be a file"), "{text}");
}

#[test]
fn where_the_table_cannot_be_saved_is_said_at_the_start() {
    let bench = Bench::new();
    let state = bench.path("nowhere/state");
    let (status, text) = bench.fails(&["--state", state.to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("there is no directory") && text.contains("mkdir -p"),
        "{text}"
    );
}

#[test]
fn a_capture_is_replayed_at_its_own_pace_or_faster() {
    let bench = Bench::new();
    // The capture takes about twelve seconds.
    let daemon = bench.run(&["--replay", &web(), "--speed", "0.001"]);
    assert!(bench.asks(&["-C"]).trim().parse::<u32>().unwrap() <= 2);
    assert_eq!(daemon.stop().code(), Some(0));
    let daemon = bench.run(&["--replay", &web(), "--speed", "20", "--state", ""]);
    daemon.says("every packet was replayed");
    assert!(bench.asks(&["-C"]).trim().parse::<u32>().unwrap() >= 5);
}

#[test]
fn a_capture_is_repeated_and_time_goes_on() {
    let bench = Bench::new();
    let daemon = bench.run(&["--replay", &web(), "--speed", "max", "--loop"]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(daemon.stop().code(), Some(0));
    let log = bench.text_of("log");
    let count = |name: &str| -> u64 {
        let found = log
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name));
        found.map_or(0, |number| number.parse().unwrap())
    };
    // 119 packets in a round; a clock that went back would be counted.
    assert!(count("packets=") > 1190, "{log}");
    assert_eq!(count("clock_backwards="), 0, "{log}");
}

#[test]
fn entries_run_out_while_nothing_comes() {
    let bench = Bench::new();
    let _daemon = bench.run(&[]);
    let flow = [
        "-s", "10.0.0.1", "-d", "10.0.0.2", "-p", "udp", "--sport", "1", "--dport", "2",
    ];
    bench.asks(&[&["-I", "-t", "1"], &flow[..]].concat());
    assert_eq!(bench.asks(&["-C"]), "1\n");
    wait_until("the entry's end", || bench.asks(&["-C"]) == "0\n");
}
