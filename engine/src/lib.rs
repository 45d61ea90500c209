#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod admission;
mod batch;
mod change;
pub mod config;
mod confirm;
mod connection;
mod conntrack;
mod defrag;
mod entry;
mod event;
mod evict;
mod expect;
mod expectation;
mod family;
pub mod format;
mod hash;
mod helper;
mod index;
mod limit;
mod look;
mod manage;
mod packet;
mod parts;
mod prefetch;
mod proto;
mod shard;
mod sip;
mod sizes;
mod slab;
mod stats;
mod table;
mod time;
mod tuple;
mod usual;
mod verdict;
mod wheel;

pub use admission::Census;
pub use batch::Arrival;
pub use change::{Change, Family, Filter, Masked, NatRange, Refusal, StateChange, Which};
pub use config::{Config, ConfigError, Knob};
pub use confirm::Unconfirmed;
pub use connection::{
    Connection, Counters, ProtocolState, SctpState, State, Status, TcpSide, TcpState,
};
pub use conntrack::{Begin, Conntrack, Handle};
pub use event::{Cause, Changes, Event, EventKind};
pub use expectation::{ExpectEvent, ExpectFlags, Expectation, NewExpectation, WhichExpectation};
pub use limit::Limit;
pub use packet::{DatagramName, LinkType, Packet, finish_checksum};
pub use parts::TupleParts;
pub use shard::Dispatch;
pub use stats::Stats;
pub use time::Time;
pub use tuple::{Direction, Protocol, Tuple, Zone, ZoneDirections};
pub use verdict::{Action, Class, Kind, Piece, Reason, Verdict};
