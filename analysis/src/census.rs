//! What is in a table: counted over every entry, whatever the number.

use std::collections::BTreeMap;

use ip_conntrack::{Protocol, ProtocolState, TcpState};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::flow::Flow;
use crate::rows::Rows;

/// Counters over all entries, and the entries themselves, packed and bounded ([`Rows`]).
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// All entries together.
    pub all: Tally,
    states: BTreeMap<(u8, u8), (Protocol, Option<ProtocolState>, Tally)>,
    /// The entries.
    pub rows: Rows,
}

/// What was counted over some entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Tally {
    /// Entries.
    pub entries: u64,
    /// Without an answer.
    pub unreplied: u64,
    /// TCP without a complete handshake.
    pub half_open: u64,
    /// That early drop cannot take.
    pub assured: u64,
    /// With counters of packets.
    pub counted: u64,
    /// Packets of both directions, of those with counters.
    pub packets: u64,
    /// Bytes of both directions, of those with counters.
    pub bytes: u64,
    /// Seconds to expiry.
    pub remaining: Spread,
    /// Seconds since they began, where that is known.
    pub age: Spread,
}

/// The least, the greatest and the mean of some numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spread {
    /// How many there are.
    pub known: u64,
    /// The least; 0 if there is none.
    pub least: u64,
    /// The greatest.
    pub greatest: u64,
    sum: u64,
}

impl Serialize for Spread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut spread = serializer.serialize_struct("Spread", 4)?;
        spread.serialize_field("known", &self.known)?;
        spread.serialize_field("least", &self.least)?;
        spread.serialize_field("mean", &self.mean())?;
        spread.serialize_field("greatest", &self.greatest)?;
        spread.end()
    }
}

impl Spread {
    fn add(&mut self, number: u64) {
        self.least = if self.known == 0 {
            number
        } else {
            self.least.min(number)
        };
        self.greatest = self.greatest.max(number);
        self.known += 1;
        self.sum = self.sum.saturating_add(number);
    }

    /// The mean, rounded down; 0 if there is none.
    pub const fn mean(&self) -> u64 {
        match self.known {
            0 => 0,
            known => self.sum / known,
        }
    }
}

impl Tally {
    fn add(&mut self, flow: &Flow, is_half_open: bool) {
        self.entries += 1;
        self.unreplied += u64::from(!flow.replied);
        self.assured += u64::from(flow.assured);
        self.half_open += u64::from(is_half_open);
        if let Some([original, reply]) = flow.packets {
            self.counted += 1;
            self.packets = self.packets.saturating_add(original.saturating_add(reply));
        }
        if let Some([original, reply]) = flow.bytes {
            self.bytes = self.bytes.saturating_add(original.saturating_add(reply));
        }
        if let Some(secs) = flow.timeout {
            self.remaining.add(secs);
        }
        if let Some(secs) = flow.age {
            self.age.add(secs);
        }
    }
}

impl Census {
    /// Counts an entry.
    pub fn push(&mut self, flow: &Flow) {
        let is_half_open = flow.is_half_open();
        self.all.add(flow, is_half_open);
        let number = match flow.state {
            None => 0,
            Some(ProtocolState::Tcp(state)) => 1 + state as u8,
            Some(ProtocolState::Sctp(state)) => 1 + state as u8,
        };
        let empty = || (flow.protocol, flow.state, Tally::default());
        let state = self
            .states
            .entry((flow.protocol.0, number))
            .or_insert_with(empty);
        state.2.add(flow, is_half_open);
        self.rows.push(flow);
    }

    /// Entries.
    pub const fn len(&self) -> u64 {
        self.all.entries
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.all.entries == 0
    }

    /// Counters by protocol and state, most entries first.
    pub fn by_state(&self) -> Vec<(Protocol, Option<ProtocolState>, Tally)> {
        let mut states: Vec<_> = self.states.values().copied().collect();
        states.sort_by_key(|(_, _, tally)| std::cmp::Reverse(tally.entries));
        states
    }

    /// What was counted of TCP entries in a state.
    pub(crate) fn of_tcp(&self, state: TcpState) -> u64 {
        let of_it = self.states.get(&(Protocol::TCP.0, 1 + state as u8));
        of_it.map_or(0, |(_, _, tally)| tally.entries)
    }

    /// Entries of a protocol that have no answer.
    pub(crate) fn unreplied_of(&self, protocol: Protocol) -> u64 {
        let all = self.states.range((protocol.0, 0)..=(protocol.0, u8::MAX));
        all.map(|(_, (_, _, tally))| tally.unreplied).sum()
    }

    /// Entries of a protocol.
    pub fn of_protocol(&self, protocol: Protocol) -> u64 {
        let all = self.states.range((protocol.0, 0)..=(protocol.0, u8::MAX));
        all.map(|(_, (_, _, tally))| tally.entries).sum()
    }
}
