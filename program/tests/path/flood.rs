//! A full table: what is established goes on to its end, new ones are dropped and that is said, and raising
//! the limit ends it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::road::{Road, SERVER};

/// Connections that fill the table.
const MAX: usize = 8;
const PIECE: usize = 64 << 10;

/// Two ends of a connection that is ASSURED.
struct Pair(TcpStream, TcpStream);

impl Pair {
    fn open(road: &Road, listener: &TcpListener) -> Pair {
        let client = road
            .client
            .inside(|| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let (server, _) = listener.accept().unwrap();
        let mut pair = Pair(client, server);
        pair.0.set_nodelay(true).unwrap();
        pair.1
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        pair.carry();
        pair
    }

    /// Carries some bytes across. => how long it took
    fn carry(&mut self) -> Duration {
        let since = Instant::now();
        let mut taken = vec![0; PIECE];
        std::thread::scope(|scope| {
            scope.spawn(|| self.0.write_all(&[b'x'; PIECE]).unwrap());
            self.1.read_exact(&mut taken).unwrap();
        });
        since.elapsed()
    }
}

/// A flood that lasts until the value ends.
struct Flood(Child);

impl Flood {
    fn start(road: &Road, arguments: &str) -> Flood {
        let mut words = vec!["-q", "-i", "u200"];
        words.extend(arguments.split(' '));
        words.push(SERVER);
        Flood(road.client.start("hping3", &words))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn established_transfers_survive_a_flood_on_a_full_table_behind_a_queue() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    survive_a_flood(&road, "--queue 0");
}

#[test]
fn established_transfers_survive_a_flood_on_a_full_table_of_a_bridge() {
    let Some(road) = Road::new() else { return };
    road.wired();
    survive_a_flood(&road, "--bridge r0,r1");
}

fn survive_a_flood(road: &Road, way: &str) {
    let limit = format!("--sysctl ip_conntrack_max={MAX}");
    let daemon = Daemon::start(&road.ours, &format!("{way} {limit}"));
    let listener = road
        .server
        .inside(|| TcpListener::bind((SERVER, 7)).unwrap());
    let mut pairs: Vec<_> = (0..MAX - 1).map(|_| Pair::open(road, &listener)).collect();
    let syns = Flood::start(road, "-S -p 80 --rand-source");
    // One place is left, and the flood fights for it.
    sleep(Duration::from_millis(500));
    assert!(daemon.counter("early_drop") > 100, "{}", daemon.ask("-S"));
    assert_eq!(daemon.counter("drop"), 0);
    // Somebody gets it and is answered, and now all are ASSURED.
    pairs.push(Pair::open(road, &listener));
    let datagrams = Flood::start(road, "-2 -p 53 -a 10.1.0.3");
    let mut longest = Duration::ZERO;
    let since = Instant::now();
    // Longer than the five seconds after which it is said again.
    while since.elapsed() < Duration::from_secs(6) {
        for pair in &mut pairs {
            longest = longest.max(pair.carry());
        }
    }
    assert!(longest < Duration::from_secs(1), "a stall of {longest:?}");
    let dropped = daemon.counter("table_full");
    assert!(
        dropped > 1000 && daemon.counter("drop") >= dropped,
        "{}",
        daemon.ask("-S")
    );
    let log = daemon.log();
    let said = log
        .matches(" WARN ip_conntrack: table full, dropping packet.")
        .count();
    assert!((10..=20).contains(&said), "{said} lines: {log}");
    // Half of the flood has one source, the other half random ones.
    assert!(
        log.contains("new ones are asked for by 10.1.0.3 ("),
        "{log}"
    );
    assert!(!road.is_open());
    let knob = daemon.proc("sys/net/ipv4/netfilter/ip_conntrack_max");
    fs::write(&knob, "100000").unwrap();
    assert!(road.is_open(), "{}", daemon.ask("-S"));
    let before = daemon.counter("table_full");
    sleep(Duration::from_millis(500));
    assert_eq!(daemon.counter("table_full"), before);
    drop((syns, datagrams));
    daemon.wait_for("more messages were suppressed: table full, dropping packet");
}
