//! Three ways to track the same frames end alike: both phases for each packet, `track_in` for each
//! packet, and `track_batch`, which takes usual packets a shorter way.
//!
//! Random hosts (`batch/talk.rs`) talk, mostly as hosts do, now and then at the edge of what the
//! trackers allow, and things befall their frames (`batch/frame.rs`). Three trackers take the frames,
//! in rounds, each round one batch for the third; between the rounds knobs are turned, connections
//! marked and deleted, and time told. After each round everything that the interface shows is compared,
//! and everything that the trackers remember, as `Debug` writes it: what a packet left behind in a
//! window would otherwise show only when another packet meets it.
//!
//! A tally makes sure that the frames get where the ways part: many packets are usual ones, and each of
//! the things that end the shorter way happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "batch/frame.rs"]
mod frame;
mod support;
#[path = "batch/talk.rs"]
mod talk;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use ip_conntrack::{
    Begin, Cause, Class, Connection, Conntrack, Event, EventKind, Knob, Protocol, Reason, State,
    Stats, Status, TcpState, Time, Verdict, Zone, ZoneDirections,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use frame::Frame;
use talk::{Step, Talks};

const CASES: u32 = 600;
/// Of that many entries the memory is compared after each round, of more at the end of a case.
const SMALL: usize = 20;

/// What is done to a table between two rounds.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    Advance,
    Set(Knob, i64),
    Mark(u8),
    Label(u8),
    Delete(u8),
    Flush,
    Listen(usize),
}

/// Frames that come as one batch.
#[derive(Clone, Debug)]
struct Round {
    zone: Zone,
    steps: Vec<Step>,
    between: Between,
}

#[derive(Clone, Debug)]
struct Case {
    knobs: Vec<(Knob, i64)>,
    listens: usize,
    rounds: Vec<Round>,
}

/// All that a tracker shows.
#[derive(PartialEq, Debug)]
struct Seen {
    verdicts: Vec<Verdict>,
    connections: Vec<Connection>,
    deadlines: Vec<Time>,
    events: Vec<Event>,
    stats: Stats,
    now: Time,
    next_deadline: Option<Time>,
    sizes: (usize, usize),
}

/// Hashes what is written to it.
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

fn look(conntrack: &mut Conntrack, verdicts: Vec<Verdict>) -> Seen {
    Seen {
        verdicts,
        connections: support::list(conntrack),
        deadlines: conntrack.deadlines().collect(),
        events: support::events(conntrack),
        stats: conntrack.stats().clone(),
        now: conntrack.now(),
        next_deadline: conntrack.next_deadline(),
        sizes: (conntrack.len(), conntrack.buckets()),
    }
}

/// How often what happened.
#[derive(Default)]
struct Tally {
    packets: u32,
    usual: BTreeMap<Protocol, u32>,
    reasons: BTreeMap<&'static str, u32>,
    events: BTreeMap<&'static str, u32>,
    backwards: u64,
    reassembled: u64,
    untracked: u64,
}

impl Tally {
    /// Whether a packet could have gone the shorter way, as far as one can see from outside.
    fn note(&mut self, conntrack: &Conntrack, verdict: &Verdict) {
        self.packets += 1;
        if let Some(reason) = verdict.reason {
            *self.reasons.entry(reason.name()).or_default() += 1;
        }
        let is_quiet = verdict.reason.is_none() && verdict.state.is_none();
        let handle = verdict.connection.filter(|_| is_quiet);
        let Some(connection) = handle.and_then(|handle| conntrack.get(handle)) else {
            return;
        };
        let is_usual = match connection.state {
            State::Tcp { state, .. } => {
                state == TcpState::Established && connection.status.has(Status::ASSURED)
            }
            _ => connection.original.protocol == Protocol::UDP,
        };
        if is_usual && verdict.class == Class::Established {
            *self.usual.entry(connection.original.protocol).or_default() += 1;
        }
    }

    fn note_round(&mut self, seen: &Seen) {
        for event in &seen.events {
            let name = match event.kind {
                EventKind::New => "new",
                EventKind::Update => "update",
                EventKind::Destroy(Cause::Expired) => "expired",
                EventKind::Destroy(Cause::EarlyDrop) => "evicted",
                EventKind::Destroy(Cause::Reopened) => "reopened",
                EventKind::Destroy(_) => "other",
            };
            *self.events.entry(name).or_default() += 1;
        }
    }

    fn note_case(&mut self, stats: &Stats) {
        self.backwards += stats.clock_backwards;
        self.reassembled += stats.reassembled;
        self.untracked += stats.untracked;
    }
}

fn both_phases(conntrack: &mut Conntrack, zone: Zone, frames: &[Frame]) -> Vec<Verdict> {
    let track = |frame: &Frame| match frame.parse() {
        Ok(packet) => match conntrack.begin(zone, &packet, frame.time) {
            Begin::Done(verdict) => verdict,
            Begin::New(unconfirmed) => {
                let now = conntrack.now();
                conntrack.confirm(unconfirmed, now)
            }
        },
        Err(reason) => conntrack.skip(reason),
    };
    frames.iter().map(track).collect()
}

fn one_by_one(
    conntrack: &mut Conntrack,
    zone: Zone,
    frames: &[Frame],
    tally: &mut Tally,
) -> Vec<Verdict> {
    let track = |frame: &Frame| {
        let verdict = match frame.parse() {
            Ok(packet) => conntrack.track_in(zone, &packet, frame.time),
            Err(reason) => conntrack.skip(reason),
        };
        tally.note(conntrack, &verdict);
        verdict
    };
    frames.iter().map(track).collect()
}

fn batch(conntrack: &mut Conntrack, zone: Zone, frames: &[Frame]) -> Vec<Verdict> {
    let arrivals: Vec<_> = frames.iter().map(Frame::arrival).collect();
    let mut verdicts = vec![Verdict::default(); frames.len()];
    conntrack.track_batch(zone, &arrivals, &mut verdicts);
    verdicts
}

fn do_between(conntrack: &mut Conntrack, between: Between, clock: Time) {
    let handle = |conntrack: &Conntrack, number: u8| {
        let all = support::list(conntrack);
        let connection = all.get(usize::from(number) % all.len().max(1))?;
        let found = conntrack.find(&connection.original, connection.zone)?;
        Some(found.0)
    };
    match between {
        Between::Nothing => {}
        Between::Advance => {
            conntrack.advance(clock);
        }
        Between::Set(knob, value) => conntrack.set(knob, value).unwrap(),
        Between::Mark(number) => {
            if let Some(handle) = handle(conntrack, number) {
                conntrack.set_mark(handle, u32::from(number));
            }
        }
        Between::Label(number) => {
            if let Some(handle) = handle(conntrack, number) {
                conntrack.set_labels(handle, u128::from(number));
            }
        }
        Between::Delete(number) => {
            if let Some(handle) = handle(conntrack, number) {
                conntrack.delete(handle);
            }
        }
        Between::Flush => conntrack.flush(),
        Between::Listen(capacity) => conntrack.set_event_capacity(capacity),
    }
}

/// A knob with a value for it, seldom what it is by default.
fn knob() -> impl Strategy<Value = (Knob, i64)> {
    let flags = select(&[
        Knob::Acct,
        Knob::Checksum,
        Knob::Timestamp,
        Knob::TcpLoose,
        Knob::TcpBeLiberal,
        Knob::TcpIgnoreInvalidRst,
    ]);
    let timeouts = select(&[
        Knob::UdpTimeout,
        Knob::UdpTimeoutStream,
        Knob::TcpTimeoutEstablished,
        Knob::TcpTimeoutMaxRetrans,
        Knob::TcpTimeoutUnacknowledged,
        Knob::TcpTimeoutSynSent,
        Knob::TcpTimeoutClose,
    ]);
    prop_oneof![
        3 => (flags, 0..=1_i64),
        3 => (timeouts, select(&[-1_i64, 0, 1, 3, 30, 400, 1_000_000][..])),
        4 => (Just(Knob::Max), prop_oneof![1..20_i64, select(&[0_i64, 200, 2000][..])]),
        2 => (Just(Knob::Buckets), select(&[1_i64, 64, 100, 500, 4000][..])),
        1 => (Just(Knob::Events), 0..=2_i64),
        1 => (Just(Knob::TcpMaxRetrans), 0..=4_i64),
        1 => (Just(Knob::IpfragMaxDist), 0..=1_i64),
    ]
}

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![
        3 => Just(Between::Nothing),
        3 => Just(Between::Advance),
        4 => knob().prop_map(|(knob, value)| Between::Set(knob, value)),
        2 => any::<u8>().prop_map(Between::Mark),
        2 => any::<u8>().prop_map(Between::Label),
        1 => any::<u8>().prop_map(Between::Delete),
        1 => prop::bool::weighted(0.2).prop_map(|all| if all { Between::Flush } else { Between::Nothing }),
        1 => select(&[0_usize, 3, 1000][..]).prop_map(Between::Listen),
    ]
}

fn zone() -> impl Strategy<Value = Zone> {
    let split = |applies| Zone { id: 5, applies };
    prop_oneof![
        20 => Just(Zone::default()),
        2 => Just(Zone::both(5)),
        1 => Just(split(ZoneDirections::Original)),
        1 => Just(split(ZoneDirections::Reply)),
    ]
}

fn round() -> impl Strategy<Value = Round> {
    let steps = prop_oneof![
        4 => vec(talk::step(), 1..100),
        1 => vec(talk::step(), 1..4),
    ];
    (zone(), steps, between()).prop_map(|(zone, steps, between)| Round {
        zone,
        steps,
        between,
    })
}

fn case() -> impl Strategy<Value = Case> {
    let limit = prop_oneof![1..20_i64, Just(300_i64)];
    let listens = prop_oneof![3 => Just(10_000_usize), 1 => Just(0)];
    let usual = (knobs(limit), listens, vec(round(), 1..10));
    let crowd = vec(talk::crowded_step(), 20..100).prop_map(|steps| Round {
        zone: Zone::default(),
        steps,
        between: Between::Nothing,
    });
    let crowded = (knobs(1..4_i64), Just(10_000_usize), vec(crowd, 1..5));
    let case = prop_oneof![5 => usual, 1 => crowded];
    case.prop_map(|(knobs, listens, rounds)| Case {
        knobs,
        listens,
        rounds,
    })
}

fn knobs(limit: impl Strategy<Value = i64>) -> impl Strategy<Value = Vec<(Knob, i64)>> {
    let knobs = (limit, any::<bool>(), any::<bool>(), vec(knob(), 0..3));
    knobs.prop_map(|(limit, checks, counts, more)| {
        let mut knobs = vec![(Knob::Buckets, 1)];
        knobs.extend(more);
        knobs.extend([
            (Knob::Max, limit),
            (Knob::Checksum, i64::from(checks)),
            (Knob::Acct, i64::from(counts)),
        ]);
        knobs
    })
}

/// Fails with the first thing that differs.
fn assert_same(ways: [&str; 2], seen: [&Seen; 2]) {
    let [one, other] = seen;
    let name = format!("{} and {}", ways[0], ways[1]);
    for (at, pair) in one.verdicts.iter().zip(&other.verdicts).enumerate() {
        assert_eq!(pair.0, pair.1, "{name}: packet {at}");
    }
    assert_eq!(one.stats, other.stats, "{name}");
    assert_eq!(one.events, other.events, "{name}");
    assert_eq!(one.connections, other.connections, "{name}");
    assert_eq!(one, other, "{name}");
}

/// Compares what they remember. It takes longer than all the rest.
fn assert_they_remember_the_same(conntracks: [&Conntrack; 2]) {
    let digest = |conntrack: &Conntrack| {
        let mut digest = Digest(DefaultHasher::new());
        write!(digest, "{conntrack:?}").unwrap();
        digest.0.finish()
    };
    if digest(conntracks[0]) == digest(conntracks[1]) {
        return;
    }
    let texts = conntracks.map(|conntrack| format!("{conntrack:#?}"));
    let pairs = texts[0].lines().zip(texts[1].lines()).enumerate();
    let difference = pairs.into_iter().find(|(_, (a, b))| a != b);
    panic!("one by one or as a batch, it remembers something else: {difference:?}");
}

/// Takes a case all three ways.
fn run(case: &Case, tally: &mut Tally) {
    let mut trackers = [(); 3].map(|()| {
        let mut conntrack = support::tracker(&case.knobs);
        conntrack.set_event_capacity(case.listens);
        conntrack
    });
    let mut talks = Talks::new();
    for round in &case.rounds {
        let steps = round.steps.iter();
        let frames: Vec<Frame> = steps.flat_map(|step| talks.play(step)).collect();
        let [first, second, third] = &mut trackers;
        let verdicts = both_phases(first, round.zone, &frames);
        let one = look(first, verdicts);
        let verdicts = one_by_one(second, round.zone, &frames, tally);
        let two = look(second, verdicts);
        let verdicts = batch(third, round.zone, &frames);
        let three = look(third, verdicts);
        assert_same(["both phases", "track_in"], [&one, &two]);
        assert_same(["track_in", "track_batch"], [&two, &three]);
        if second.len() <= SMALL {
            assert_they_remember_the_same([second, third]);
        }
        tally.note_round(&two);
        for conntrack in &mut trackers {
            do_between(conntrack, round.between, talks.clock());
        }
    }
    assert_they_remember_the_same([&trackers[1], &trackers[2]]);
    tally.note_case(trackers[1].stats());
    assert_they_end_alike(&mut trackers, talks.clock());
}

/// The wheels, too, are the same: everything runs out in the same order at the same time.
fn assert_they_end_alike(trackers: &mut [Conntrack; 3], mut now: Time) {
    for secs in [1, 10, 100, 1000, 10_000, 100_000, 1_000_000] {
        now = now.plus(Duration::from_secs(secs));
        let seen = trackers.each_mut().map(|conntrack| {
            conntrack.advance(now);
            look(conntrack, Vec::new())
        });
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[1], seen[2]);
    }
}

#[test]
fn a_batch_ends_as_its_packets_one_by_one() {
    let tally = RefCell::new(Tally::default());
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(CASES)
    };
    let result = TestRunner::new(config).run(&case(), |case| {
        run(&case, &mut tally.borrow_mut());
        Ok(())
    });
    let tally = tally.into_inner();
    if let Err(error) = result {
        panic!("after {} packets: {error}", tally.packets);
    }
    assert_corners_were_reached(&tally);
}

/// What ends the shorter way, and what is done to entries that others of a batch were sent for.
fn assert_corners_were_reached(tally: &Tally) {
    for protocol in [Protocol::TCP, Protocol::UDP] {
        let usual = tally.usual.get(&protocol).copied().unwrap_or(0);
        let packets = tally.packets;
        assert!(usual > packets / 20, "{usual} of {packets}, {protocol:?}");
    }
    let reasons = [
        Reason::IpChecksum,
        Reason::TcpChecksum,
        Reason::UdpChecksum,
        Reason::Snapped,
        Reason::NotIp,
        Reason::NoTransport,
        Reason::FragmentBad,
        Reason::IcmpUnrelated,
        Reason::TcpFlags,
        Reason::TcpRst,
        Reason::TcpState,
        Reason::TcpIgnored,
        Reason::TcpSeqOver,
        Reason::TcpSeqBeyond,
        Reason::TcpSeqUnder,
        Reason::TcpAckOver,
        Reason::TcpAckUnder,
        Reason::TableFull,
        Reason::Clash,
    ];
    for reason in reasons {
        let name = reason.name();
        assert!(tally.reasons.contains_key(name), "never {name}");
    }
    for name in ["new", "update", "expired", "evicted", "reopened"] {
        assert!(tally.events.contains_key(name), "never {name}");
    }
    assert!(tally.backwards > 0 && tally.reassembled > 0 && tally.untracked > 0);
}
