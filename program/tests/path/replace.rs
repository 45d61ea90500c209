//! A second daemon takes the queues over while packets come.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::ping::Pings;
use crate::road::{Road, SERVER};
use crate::traffic::Servers;

/// An entry without its timer, and that.
fn entry(daemon: &Daemon) -> (String, i64) {
    let text = daemon.ask("-L -p tcp --dport 7");
    let mut words: Vec<_> = text.split_whitespace().collect();
    let timer: i64 = words.remove(2).parse().unwrap();
    (words.join(" "), timer)
}

#[test]
fn a_download_goes_on_and_entries_are_the_same() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-balance 0:1");
    let daemon = Daemon::start(&road.ours, "--queue 0-1");
    let _servers = Servers::start(&road);
    let listener = road
        .server
        .inside(|| TcpListener::bind((SERVER, 7)).unwrap());
    let mut client = road
        .client
        .inside(|| TcpStream::connect((SERVER, 7)).unwrap());
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"before").unwrap();
    server.read_exact(&mut [0; 6]).unwrap();
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
        "http://10.3.0.2/file",
    ];
    let download = road.client.start("curl", &download);
    let pings = Pings::start(&road.client, SERVER, 1500);
    sleep(Duration::from_millis(1_000));
    let (before, time) = entry(&daemon);
    let daemon = daemon.replace(&road.ours, "--queue 0-1");
    let (after, left) = entry(&daemon);
    assert_eq!(after, before);
    assert!((0..3).contains(&(time - left)), "{time} became {left}");
    let answers = pings.answers();
    println!(
        "queue: the longest time without an answer was {:?}; {} of {} were answered",
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
    // Connections are known to the second one: nothing of theirs is INVALID or NEW.
    client.write_all(b"after").unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    assert!(
        entry(&daemon).0.contains("[ASSURED]"),
        "{}",
        entry(&daemon).0
    );
}
