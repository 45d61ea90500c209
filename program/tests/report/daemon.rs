//! The daemon's table: the same report, and what the advice says it frees is what it frees.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::build::{ACK, SYN, tcp, udp};
use super::captures::{VICTIM, capture, capture_at, somebody, syns};
use super::run::{Ran, run_in};

/// How long a daemon may take for what takes it moments.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon that tracks a capture, until the value ends.
struct Daemon {
    child: Child,
    dir: TempDir,
}

impl Daemon {
    /// Told of `capture` with the words of `more`.
    fn new(capture: Vec<u8>, more: &str) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        std::fs::write(at.join("capture"), capture).unwrap();
        std::fs::write(at.join("ipct.conf"), "").unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ipct"))
            .args(["run", "--config=ipct.conf", "--replay=capture"])
            .args(more.split_whitespace())
            .arg(format!("--control={}", at.join("socket").display()))
            .arg(format!("--state={}", at.join("state").display()))
            .current_dir(at)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at.join("log")).unwrap())
            .spawn();
        let child = child.unwrap();
        Daemon { child, dir }
    }

    fn asks(&self, arguments: &str) -> Ran {
        run_in(self.dir.path(), arguments, b"")
    }

    fn report(&self) -> Value {
        self.asks("report --ipct --socket socket --json")
            .exits(0)
            .json()
    }

    fn entries(&self) -> u64 {
        let told = self.asks("--socket socket -C").exits(0);
        told.out.trim().parse().unwrap()
    }

    /// Waits until the table has at least so many entries.
    fn filled(&self, entries: u64) {
        self.waits(|now| now >= entries);
    }

    /// Waits until the table has so many entries.
    fn settles_at(&self, entries: u64) {
        self.waits(|now| now == entries);
    }

    #[track_caller]
    fn waits(&self, is_it: impl Fn(u64) -> bool) {
        let began = Instant::now();
        loop {
            let ran = self.asks("--socket socket -C");
            if ran.status == Some(0) && ran.out.trim().parse().is_ok_and(&is_it) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{ran:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until no more packets come.
    fn replayed(&self) {
        let began = Instant::now();
        let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap();
        while !log().contains("every packet was replayed") {
            assert!(began.elapsed() < PATIENCE, "{}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs the commands of an advice that are for the daemon's table while it runs. => how many there were.
    fn apply(&self, advice: &Value) -> usize {
        let commands = advice["commands"].as_array().unwrap().iter();
        let ours = commands
            .filter_map(|command| command.as_str().unwrap().strip_prefix("ipct "))
            .filter(|command| !command.starts_with("run "));
        let applied = ours.map(|command| match command.strip_prefix("sysctl ") {
            Some(knob) => self
                .asks(&format!("sysctl --socket socket {knob}"))
                .exits(0),
            None => self.asks(&format!("--socket socket {command}")).exits(0),
        });
        applied.count()
    }
}

/// The advice that has this command.
#[track_caller]
fn advice<'a>(told: &'a Value, command: &str) -> &'a Value {
    let found = find(told, command);
    found.unwrap_or_else(|| panic!("no {command} in {:#?}", told["advice"]))
}

fn find<'a>(told: &'a Value, command: &str) -> Option<&'a Value> {
    let mut all = told["advice"].as_array().unwrap().iter();
    all.find(|one| {
        let commands = one["commands"].as_array().unwrap();
        commands.contains(&command.into())
    })
}

#[track_caller]
fn within_5_percent(advice: &Value, freed: u64) {
    let told = advice["frees"].as_u64().unwrap();
    assert!(
        told.abs_diff(freed) * 20 <= told,
        "told {told}, freed {freed}"
    );
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_deletions_by_state_free_in_the_daemons_table() {
    let daemon = Daemon::new(syns(1_500), "--speed=max");
    daemon.filled(1_500);
    let told = daemon.report();
    assert_eq!(
        (&told["class"], &told["source"]["kind"]),
        (&"spoofed_syn_flood".into(), &"ipct".into())
    );
    assert_eq!(told["max"], 262_144);
    let deletion = advice(&told, "ipct -D -p tcp --state SYN_SENT");
    assert_eq!(deletion["frees"], 1_500);
    assert_eq!(daemon.apply(deletion), 1);
    assert_eq!(daemon.entries(), 0);
}

#[test]
fn what_deleting_the_unanswered_and_a_prefix_frees_in_the_daemons_table() {
    // Three quarters come from one network, a quarter from everywhere.
    let flood = capture(2_000, 1_000, |n| {
        let source = if n % 4 == 0 {
            somebody(n)
        } else {
            [203, 0, 113, n as u8]
        };
        udp((source, 1_024 + n as u16), (VICTIM, 9_999), 100)
    });
    for command in ["ipct -D -p udp -u UNREPLIED", "ipct -D -s 203.0.113.0/24"] {
        let daemon = Daemon::new(flood.clone(), "--speed=max");
        daemon.filled(2_000);
        let told = daemon.report();
        let deletion = advice(&told, command);
        assert_eq!(daemon.apply(deletion), 1);
        within_5_percent(deletion, 2_000 - daemon.entries());
    }
}

#[test]
fn what_deleting_an_amplifiers_answers_frees_in_the_daemons_table() {
    let flood = capture(2_000, 1_000, |n| {
        udp((somebody(n), 53), (VICTIM, 1_024 + n as u16), 1_200)
    });
    let daemon = Daemon::new(flood, "--speed=max");
    daemon.filled(2_000);
    let told = daemon.report();
    assert_eq!(told["class"], "reflection");
    let deletion = advice(&told, "ipct -D -p udp --sport 53");
    assert_eq!(daemon.apply(deletion), 1);
    within_5_percent(deletion, 2_000 - daemon.entries());
}

/// A flood in three bursts: 500 packets that have run out by its end, 2000 that would not be there had the timeout been
/// `new` instead of `old` seconds, and 500 that just came. All are far from both edges, so that it does not matter how
/// long the report takes.
fn bursts(packet: fn(u64) -> Vec<u8>, [old, new]: [u64; 2]) -> Vec<u8> {
    const SECOND: u64 = 1_000_000;
    let end = 2 * old * SECOND;
    let (oldest, newest) = ((old - 20) * SECOND, 2 * new * SECOND);
    let age = |n| match n {
        0..500 => end,
        500..2_500 => oldest - (oldest - newest) * (n - 500) / 2_000,
        _ => 0,
    };
    capture_at(3_000, |n| end - age(n), packet)
}

/// A lower timeout is said to free what would not be there had it been set before: a daemon that it was set for from
/// the start tells.
fn lowered(packet: fn(u64) -> Vec<u8>, knob: &str, [old, new]: [u64; 2]) {
    let flood = bursts(packet, [old, new]);
    let with = |seconds| {
        let more = format!("--speed=max --sysctl {knob}={seconds}");
        let daemon = Daemon::new(flood.clone(), &more);
        daemon.replayed();
        daemon
    };
    let daemon = with(old);
    daemon.settles_at(2_500);
    let told = daemon.report();
    let lower = advice(&told, &format!("ipct sysctl {knob}={new}"));
    assert_eq!(
        (&told["entries"], &lower["frees"]),
        (&2_500.into(), &2_000.into())
    );
    assert_eq!(daemon.apply(lower), 1);
    // It is in force, but running timers are not shortened.
    let again = daemon.report();
    assert_eq!(find(&again, &format!("ipct sysctl {knob}={new}")), None);
    assert_eq!(again["entries"], 2_500);
    with(new).settles_at(500);
}

#[test]
fn what_a_lower_timeout_of_syns_frees_in_the_daemons_table() {
    let syn = |n| {
        tcp(
            (somebody(n), 1_024 + n as u16),
            (VICTIM, 80),
            SYN,
            n as u32,
            0,
        )
    };
    lowered(syn, "nf_conntrack_tcp_timeout_syn_sent", [120, 20]);
}

#[test]
fn what_a_lower_timeout_of_udp_frees_from_the_daemons_own_timeout() {
    let datagram = |n| udp((somebody(n), 1_024 + n as u16), (VICTIM, 9_999), 100);
    lowered(datagram, "nf_conntrack_udp_timeout", [60, 10]);
}

/// What asks for a connection's state asks Linux, which does not track what a daemon does.
#[track_caller]
fn asks_linux_for_no_state(told: &Value) {
    for one in told["advice"].as_array().unwrap() {
        for command in one["commands"].as_array().unwrap() {
            let words = command.as_str().unwrap().split_whitespace();
            let mut asking = words.filter(|word| ["ct", "synproxy"].contains(word));
            assert_eq!(asking.next(), None, "{command}");
        }
    }
}

#[test]
fn what_refusing_the_middle_of_nothing_frees_in_the_daemons_table() {
    let acks = capture(1_500, 1_000, |n| {
        let source = (somebody(n), 1_024 + n as u16);
        tcp(source, (VICTIM, 443), ACK, n as u32, 7)
    });
    let daemon = Daemon::new(acks.clone(), "--speed=max");
    daemon.filled(1_500);
    let told = daemon.report();
    assert_eq!(told["class"], "ack_flood");
    asks_linux_for_no_state(&told);
    let refuse = advice(&told, "ipct sysctl nf_conntrack_tcp_loose=0");
    assert_eq!(refuse["frees"], 1_500);
    let commands = refuse["commands"].as_array().unwrap();
    assert!(commands.contains(&"ipct run --drop-invalid".into()));
    assert_eq!(daemon.apply(refuse), 1);
    let strict = Daemon::new(acks, "--speed=max --sysctl nf_conntrack_tcp_loose=0");
    strict.replayed();
    assert_eq!(strict.entries(), 0);
}

#[test]
fn a_flood_of_connections_is_met_with_a_limit_of_the_daemons_bridge() {
    // Four sources with 500 connections each, in which nothing is said.
    let flood = capture(6_000, 1_000, |n| {
        let (connection, step) = (n / 3, n % 3);
        let source = (
            [203, 0, 113, (connection % 4) as u8],
            1_024 + connection as u16,
        );
        match step {
            0 => tcp(source, (VICTIM, 80), SYN, 1, 0),
            1 => tcp((VICTIM, 80), source, SYN | ACK, 1, 2),
            _ => tcp(source, (VICTIM, 80), ACK, 2, 2),
        }
    });
    let daemon = Daemon::new(flood, "--speed=max");
    daemon.replayed();
    daemon.settles_at(2_000);
    let told = daemon.report();
    assert_eq!(told["class"], "connection_flood");
    asks_linux_for_no_state(&told);
    let limit = advice(
        &told,
        "ipct run --bridge FIRST,SECOND --policy per_source=100",
    );
    assert_eq!(limit["frees"], 4 * (500 - 100));
}

#[test]
fn places_that_a_raised_limit_gives_the_daemons_table() {
    let daemon = Daemon::new(syns(1_500), "--speed=max --sysctl nf_conntrack_max=2000");
    daemon.filled(1_500);
    let told = daemon.report();
    let all = told["advice"].as_array().unwrap();
    let raise = all
        .iter()
        .find(|one| one["what"].as_str().unwrap().starts_with("raise the limit"));
    let raise = raise.unwrap();
    assert_eq!(daemon.apply(raise), 2);
    let max = daemon.report()["max"].as_u64().unwrap();
    within_5_percent(raise, max - 2_000);
}
