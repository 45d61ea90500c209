//! A second daemon takes the way between two interfaces over while frames come.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::path::{Path, SERVER};
use crate::ping::Pings;

const BRIDGE: &str = "--bridge left,right";

/// The held connection's entry without its timer, and that.
fn entry(daemon: &Daemon, port: u16) -> (String, i64) {
    let port = port.to_string();
    let text = daemon.ask(&["-L", "-p", "tcp", "--sport", &port]).out;
    let mut words: Vec<_> = text.split_whitespace().collect();
    let timer: i64 = words.remove(2).parse().unwrap();
    (words.join(" "), timer)
}

#[test]
fn a_download_goes_on_and_entries_are_the_same() {
    let Some(path) = Path::new() else { return };
    path.serve_large(1 << 20);
    let daemon = Daemon::start(&path.between, BRIDGE);
    let url = format!("http://{SERVER}/large");
    // Until the first frame of each side has gone, neighbours look for each other.
    assert!(path.fetches(SERVER));
    let mut held = path
        .client
        .inside(|| TcpStream::connect((SERVER, 80)).unwrap());
    let port = held.local_addr().unwrap().port();
    let mut ask = || {
        held.write_all(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        held.read(&mut [0; 4096]).unwrap()
    };
    assert!(ask() > 0);
    let download = [
        "-sS",
        "--limit-rate",
        "250K",
        "-o",
        "/dev/null",
        "-w",
        "%{size_download}",
        "-m",
        "30",
        &url,
    ];
    let download = path.client.start("curl", &download);
    let pings = Pings::start(&path.client, SERVER, 1500);
    std::thread::sleep(Duration::from_millis(1_000));
    let (before, time) = entry(&daemon, port);
    let daemon = daemon.replace(&path.between, BRIDGE);
    let (after, left) = entry(&daemon, port);
    assert_eq!(after, before);
    assert!((0..3).contains(&(time - left)), "{time} became {left}");
    let answers = pings.answers();
    println!(
        "bridge: the longest time without an answer was {:?}; {} of {} were answered",
        answers.gap, answers.received, answers.sent
    );
    assert!(answers.gap < Duration::from_secs(2), "{:?}", answers.gap);
    assert!(
        answers.received * 10 >= answers.sent * 9,
        "none before or after"
    );
    let said = download.wait_with_output().unwrap();
    let size = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(
        size,
        (1 << 20).to_string(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    assert!(ask() > 0);
    assert!(entry(&daemon, port).0.contains("[ASSURED]"));
}
