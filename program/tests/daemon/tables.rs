//! The daemon's table over its socket.

use std::collections::BTreeSet;
use std::time::Duration;

use ip_conntrack::Filter;
use ip_conntrack::format::netlink::own::{self, Groups};
use ip_conntrack::format::netlink::{Answer, Ask, Entry, List};

use crate::bench::{Bench, receive, send, wait_until, web};
use crate::packets::write_flows;

/// Lines without their timers, which depend on when they are read.
fn without_timers(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            words.remove(2);
            words.join(" ")
        })
        .collect()
}

#[test]
fn its_listing_is_that_of_a_replay_however_many_workers_there_are() {
    let replayed = std::process::Command::new(env!("CARGO_BIN_EXE_ipct"))
        .args(["replay", "--format", "conntrack", &web()])
        .output()
        .unwrap();
    let replayed = without_timers(&String::from_utf8(replayed.stdout).unwrap());
    assert_eq!(replayed.len(), 11);
    for workers in ["1", "3"] {
        let bench = Bench::new();
        let daemon = bench.run(&["--replay", &web(), "--speed", "max", "--workers", workers]);
        daemon.says("every packet was replayed");
        wait_until("all workers", || bench.asks(&["-C"]) == "11\n");
        assert_eq!(without_timers(&bench.asks(&["-L"])), replayed);
    }
}

#[test]
fn entries_are_made_found_changed_and_deleted_wherever_they_are() {
    let bench = Bench::new();
    let _daemon = bench.run(&["--workers", "4"]);
    for last in 1..=20 {
        let (source, port) = (format!("10.0.0.{last}"), last.to_string());
        let flow = [
            "-s", &source, "-d", "10.9.9.9", "-p", "udp", "--sport", &port, "--dport", "53",
        ];
        bench.asks(&[&["-I", "-t", "100"], &flow[..]].concat());
        let again = bench.ipct(&[&["-I", "-t", "100"], &flow[..]].concat());
        assert_eq!(again.status.code(), Some(1));
        bench.asks(&[&["-U", "-m", "7"], &flow[..]].concat());
        assert!(
            bench
                .asks(&[&["-G"], &flow[..]].concat())
                .contains("mark=7")
        );
    }
    assert_eq!(bench.asks(&["-L", "-m", "7"]).lines().count(), 20);
    bench.asks(&["-D", "-s", "10.0.0.3"]);
    assert_eq!(bench.asks(&["-C"]), "19\n");
    let flow = [
        "-s", "10.0.0.3", "-d", "10.9.9.9", "-p", "udp", "--sport", "3", "--dport", "53",
    ];
    assert_eq!(
        bench.ipct(&[&["-G"], &flow[..]].concat()).status.code(),
        Some(1)
    );
    bench.asks(&["-F"]);
    assert_eq!(bench.asks(&["-C"]), "0\n");
    assert_eq!(cpus(&bench), 4);
}

#[test]
fn an_entry_that_lives_is_listed_once_while_others_come_and_go() {
    let bench = Bench::new();
    let capture = bench.path("flows.pcap");
    write_flows(&capture, 60_000);
    let capture = capture.to_str().unwrap();
    // Nothing runs out, so every flow of the first round stays, while packets go on.
    let _daemon = bench.run(&[
        "--replay",
        capture,
        "--speed",
        "max",
        "--loop",
        "--workers",
        "2",
        "--sysctl",
        "nf_conntrack_udp_timeout=100000",
    ]);
    wait_until("all flows", || bench.asks(&["-C"]) == "60000\n");
    for _ in 0..3 {
        let mut stream = bench.connect();
        let filter = Filter::default();
        send(
            &mut stream,
            1,
            Ask::List {
                list: List::Table,
                filter,
                zero: false,
            },
        );
        let mut ids = Vec::new();
        receive(
            &mut stream,
            |message| ids.push(Entry::read(message).unwrap().connection.id),
            |answer| matches!(answer, Answer::Done(0)),
        );
        assert_eq!(ids.len(), 60_000);
        ids.sort_unstable();
        ids.dedup();
        assert!(
            ids.len() > 59_990,
            "ids are hashes: very few may be the same"
        );
    }
}

#[test]
fn events_come_to_those_who_listen_and_who_is_too_slow_is_told() {
    let bench = Bench::new();
    std::fs::write(bench.path("ipct.conf"), "[control]\nevent_buffer = 65536\n").unwrap();
    let _daemon = bench.run(&["--workers", "2"]);
    let mut slow = bench.connect();
    let groups = Groups(0b111);
    send(&mut slow, 1, Ask::Own(own::Ask::Subscribe(groups)));
    receive(&mut slow, |_| {}, |answer| *answer == Answer::Ack);
    let lines: String = (1..3000)
        .map(|n| format!("-A -t 100 -u UNSET -s 10.0.{}.{} -d 10.9.9.9 -r 10.9.9.9 -q 10.0.{}.{} -p udp --sport 1 --dport 2 --reply-port-src 2 --reply-port-dst 1\n", n / 256, n % 256, n / 256, n % 256))
        .collect();
    std::fs::write(bench.path("load"), lines).unwrap();
    let load = bench.ipct(&["-R", bench.path("load").to_str().unwrap()]);
    wait_until("the entries", || {
        bench.asks(&["-C"]) == "2999\n" || !load.status.success()
    });
    // Nobody read until now: what is there comes, then that some were lost.
    let mut events = 0;
    receive(
        &mut slow,
        |_| events += 1,
        |answer| *answer == Answer::Overrun,
    );
    assert!(events > 100 && events < 2999, "{events}");
    // From then on it takes part again.
    bench.asks(&["-D", "-s", "10.0.0.1"]);
    slow.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let ended = std::cell::Cell::new(false);
    send(&mut slow, 2, Ask::Stats);
    receive(
        &mut slow,
        |message| ended.set(ended.get() || message.kind == 0x102),
        |answer| *answer == Answer::Ack,
    );
    wait_until("the event", || {
        ended.get() || {
            send(&mut slow, 3, Ask::Stats);
            receive(
                &mut slow,
                |message| ended.set(ended.get() || message.kind == 0x102),
                |answer| *answer == Answer::Ack,
            );
            ended.get()
        }
    });
}

/// Lines of counters, one for each worker.
fn cpus(bench: &Bench) -> usize {
    let text = bench.asks(&["-S"]);
    text.lines().filter(|line| line.starts_with("cpu=")).count()
}
