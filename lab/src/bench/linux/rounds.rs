//! The same packets for all routers in turn, and what comes of it.

use super::feeder::{Feeder, Pick};
use super::frames::{Family, Kind};
use super::router::{Router, Run, Task};
use super::workload::Workload;
use crate::entry::Entry;

/// How often both routers are measured in turn.
const ROUNDS: usize = 9;

/// Packets of a round, where the number of connections does not say how many.
const PACKETS: u32 = 500_000;

/// What conntrack's share of forwarding is. Times are nanoseconds of CPU per packet.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Share {
    /// Forwarding with connection tracking.
    pub ns_with: f64,
    /// Forwarding the same packets without; as far as they are refused, dropping them.
    pub ns_without: f64,
    /// The share: the middle of the differences between the two, round by round.
    pub ns: f64,
    /// The least and the greatest of those differences.
    pub range: (f64, f64),
    /// Which part of the packets was refused, since the table was full.
    pub refused: f64,
    /// Packets that were measured with connection tracking, in all rounds.
    pub packets: u64,
}

/// The routers and their packets.
pub(super) struct Bench {
    workload: Workload,
    connections: u32,
    family: Family,
    feeder: Feeder,
    tracking: Router,
    plain: Router,
    refusing: Router,
}

impl Bench {
    pub(super) fn new(
        workload: Workload,
        connections: u32,
        family: Family,
    ) -> Result<Bench, String> {
        let pick = if workload.opens() {
            Pick::Next
        } else {
            Pick::Random(connections)
        };
        Ok(Bench {
            workload,
            connections,
            family,
            feeder: feeder(family, workload.traffic(), pick)?,
            plain: Router::new(Task::Forward)?,
            refusing: Router::new(Task::Refuse)?,
            tracking: Router::new(Task::Track)?,
        })
    }

    /// Opens the connections that are to be there.
    pub(super) fn open(&mut self) -> Result<(), String> {
        for (kind, flows) in self.workload.opening(self.connections) {
            let feeder = feeder(self.family, &[kind], Pick::Next)?;
            let run = self.tracking.feed(&feeder, self.family, flows)?;
            if run.forwarded < 1.0 {
                let percent = 100.0 * (1.0 - run.forwarded);
                return Err(format!("{percent} % of the {kind:?} packets were lost"));
            }
        }
        Ok(())
    }

    pub(super) fn rounds(&mut self) -> Result<Share, String> {
        let packets = packets(self.workload, self.connections);
        // What was there before stays a part of the opening; what comes is new.
        let mut next = u64::from(self.connections);
        let mut rounds = Vec::with_capacity(ROUNDS);
        self.round(packets.min(PACKETS / 5), next)?;
        for _ in 0..ROUNDS {
            next += u64::from(packets);
            rounds.push(self.round(packets, next)?);
        }
        Ok(share(&rounds, packets))
    }

    /// All routers in turn, beginning with the same flow.
    fn round(&mut self, packets: u32, first: u64) -> Result<Round, String> {
        let (feeder, family) = (&self.feeder, self.family);
        let feed = |router: &Router| -> Result<Run, String> {
            feeder.rewind(first).map_err(|error| error.to_string())?;
            router.feed(feeder, family, packets)
        };
        if matches!(self.workload, Workload::New | Workload::NewUdp) {
            self.tracking.flush()?;
        }
        let plain = feed(&self.plain)?;
        let tracking = feed(&self.tracking)?;
        let refusing = match self.workload {
            Workload::Flood => feed(&self.refusing)?,
            _ if tracking.forwarded < 1.0 => {
                let percent = 100.0 * (1.0 - tracking.forwarded);
                return Err(format!("{percent} % of the packets were lost"));
            }
            _ => plain,
        };
        if plain.forwarded < 1.0 {
            return Err("packets were lost without connection tracking, too".to_owned());
        }
        Ok(Round {
            with: tracking.ns,
            without: tracking.forwarded * plain.ns + (1.0 - tracking.forwarded) * refusing.ns,
            refused: 1.0 - tracking.forwarded,
        })
    }

    /// Sees that the table holds what the workload is about, and empties it, lest that be done in the
    /// background of what comes next.
    pub(super) fn close(&mut self) -> Result<(), String> {
        let entries = self.tracking.entries()?;
        self.tracking.flush()?;
        let assured = |entry: &&Entry| entry.is_assured() && entry.state == Some(ESTABLISHED);
        let (connections, assured_then) = (
            self.connections as usize,
            self.workload.assured(self.connections) as usize,
        );
        let assured_now = entries.iter().filter(assured).count();
        let replied = entries.iter().filter(|entry| entry.is_replied()).count();
        let found = format!(
            "of {connections} connections the kernel has {}, {assured_now} of them ESTABLISHED and \
             ASSURED, {replied} answered",
            entries.len()
        );
        let is_right = match self.workload {
            Workload::Established => entries.len() == connections && assured_now == connections,
            Workload::Udp => entries.len() == connections && replied == connections,
            Workload::New | Workload::NewUdp => entries.len() == connections && replied == 0,
            // Early drop frees more than one place at a time.
            Workload::Flood => {
                assured_now == assured_then && (assured_then..=connections).contains(&entries.len())
            }
        };
        if is_right { Ok(()) } else { Err(found) }
    }
}

/// The number of ESTABLISHED in ctnetlink.
const ESTABLISHED: u8 = 3;

fn feeder(family: Family, kinds: &[Kind], pick: Pick) -> Result<Feeder, String> {
    Feeder::new(family, kinds, pick)
        .map_err(|error| format!("no program that makes frames: {error}"))
}

/// How many packets are measured at once.
const fn packets(workload: Workload, connections: u32) -> u32 {
    match workload {
        Workload::New | Workload::NewUdp => connections,
        _ => PACKETS,
    }
}

/// What one round gave.
#[derive(Clone, Copy, Debug)]
struct Round {
    with: f64,
    without: f64,
    refused: f64,
}

fn share(rounds: &[Round], packets: u32) -> Share {
    let sorted = |of: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let middle = |values: &[f64]| values[values.len() / 2];
    let differences = sorted(|round| round.with - round.without);
    Share {
        ns_with: middle(&sorted(|round| round.with)),
        ns_without: middle(&sorted(|round| round.without)),
        ns: middle(&differences),
        range: (differences[0], differences[differences.len() - 1]),
        refused: middle(&sorted(|round| round.refused)),
        packets: u64::from(packets) * rounds.len() as u64,
    }
}
