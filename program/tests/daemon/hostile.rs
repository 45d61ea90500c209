//! Clients that are slow, many, or speak nonsense.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ip_conntrack::Filter;
use ip_conntrack::format::netlink::{Answer, Ask, List};

use crate::bench::{Bench, Daemon, receive, send, wait_until};
use crate::packets::write_flows;

fn flows<'a>(bench: &'a Bench, config: &str) -> Daemon<'a> {
    fs::write(bench.path("ipct.conf"), config).unwrap();
    let capture = bench.path("flows.pcap");
    write_flows(&capture, 20_000);
    let daemon = bench.run(&[
        "--replay",
        capture.to_str().unwrap(),
        "--speed",
        "max",
        "--sysctl",
        "nf_conntrack_udp_timeout=100000",
    ]);
    wait_until("all flows", || bench.asks(&["-C"]) == "20000\n");
    daemon
}

/// Whether the daemon closes the connection; what it says before does not matter.
fn is_closed(stream: &mut UnixStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn what_is_no_message_ends_the_connection_and_nothing_else() {
    let bench = Bench::new();
    let mut daemon = bench.run(&[]);
    let impossible: [&[u8]; 4] = [
        &[0; 64],
        &[0xff; 64],
        &[3, 0, 0, 0, 1, 1, 5, 3, 0, 0, 0, 0, 0, 0, 0, 0],
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for bytes in impossible {
        let mut stream = bench.connect();
        stream.write_all(bytes).unwrap();
        assert!(is_closed(&mut stream), "{bytes:?}");
    }
    assert_eq!(bench.asks(&["-C"]), "0\n");
    assert!(daemon.child.try_wait().unwrap().is_none());
}

#[test]
fn any_message_is_answered_or_passed_over() {
    let bench = Bench::new();
    let mut daemon = bench.run(&["--workers", "2"]);
    let mut stream = bench.connect();
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let reader = stream.try_clone().unwrap();
    // Answers are taken, so that nobody waits for us.
    std::thread::spawn(move || {
        let mut reader = reader;
        let mut bytes = [0; 65536];
        while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    for number in 0..20_000_u32 {
        let subsystem = [1, 2, 0xc0, random() as u8][random() as usize % 4];
        let kind = u16::from(subsystem) << 8 | (random() as u16 % 10);
        let body: Vec<u8> = (0..random() % 64 * 4)
            .map(|_| random() as u8 & [0xff, 0x0f, 0x03][random() as usize % 3])
            .collect();
        let mut message = Vec::new();
        message.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(random() as u16 | 1).to_ne_bytes());
        message.extend_from_slice(&number.to_ne_bytes());
        message.extend_from_slice(&0_u32.to_ne_bytes());
        message.extend_from_slice(&body);
        stream.write_all(&message).unwrap();
    }
    bench.asks(&["-C"]);
    assert!(
        daemon.child.try_wait().unwrap().is_none(),
        "{}",
        daemon.log()
    );
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

#[test]
fn who_says_nothing_or_half_of_something_is_sent_away_in_time() {
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), "[control]\ntimeout = 1\n").unwrap();
    let _daemon = bench.run(&[]);
    let begun = Instant::now();
    let mut silent = bench.connect();
    assert!(is_closed(&mut silent));
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    let mut half = bench.connect();
    half.write_all(&[100, 0, 0, 0, 1]).unwrap();
    assert!(is_closed(&mut half));
    assert_eq!(bench.asks(&["-C"]), "0\n");
}

#[test]
fn who_does_not_take_an_answer_holds_up_nobody_and_is_sent_away() {
    let bench = Bench::new();
    let daemon = flows(&bench, "[control]\ntimeout = 2\n");
    let mut slow: Vec<_> = (0..10).map(|_| bench.connect()).collect();
    for stream in &mut slow {
        let filter = Filter::default();
        send(
            stream,
            1,
            Ask::List {
                list: List::Table,
                filter,
                zero: false,
            },
        );
    }
    let begun = Instant::now();
    assert_eq!(bench.asks(&["-L"]).lines().count(), 20_000);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    // What was on its way comes, and then the end.
    std::thread::sleep(Duration::from_secs(4));
    for stream in &mut slow {
        assert!(is_closed(stream));
    }
    drop(daemon);
}

#[test]
fn connections_are_bounded_and_some_are_kept_for_root() {
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), "[control]\nconnections = 3\n").unwrap();
    let daemon = bench.run(&[]);
    // This is root, or the only user: eight more at the most.
    let mut streams = Vec::new();
    let refused = (0..20).find(|_| {
        let mut stream = bench.connect();
        let mut served = true;
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            send(&mut stream, 1, Ask::Stats);
            receive(&mut stream, |_| {}, |answer| *answer == Answer::Ack);
        }));
        served &= asked.is_ok();
        streams.push(stream);
        !served
    });
    let places = if crate::bench::is_root("connections") {
        11
    } else {
        3
    };
    assert_eq!(refused, Some(places));
    daemon.says("connections are in use (control.connections)");
    // Whoever may connect cannot fill the log.
    (0..300).for_each(|_| drop(bench.connect()));
    std::thread::sleep(Duration::from_millis(200));
    let said = daemon.log().matches("turned away").count();
    assert!((1..=40).contains(&said), "{said} times");
    streams.clear();
    wait_until("free connections", || bench.ipct(&["-C"]).status.success());
}
