#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
mod confirm;
mod connection;
mod conntrack;
mod defrag;
mod entry;
mod event;
mod evict;
pub mod format;
mod hash;
mod index;
mod manage;
mod packet;
mod proto;
mod slab;
mod stats;
mod table;
mod time;
mod tuple;
mod verdict;
mod wheel;

pub use config::{Config, ConfigError, Knob};
pub use confirm::Unconfirmed;
pub use connection::{Connection, Counters, SctpState, State, Status, TcpSide, TcpState};
pub use conntrack::{Begin, Conntrack, Handle};
pub use event::{Cause, Changes, Event, EventKind};
pub use packet::{LinkType, Packet};
pub use stats::Stats;
pub use time::Time;
pub use tuple::{Direction, Protocol, Tuple, Zone, ZoneDirections};
pub use verdict::{Action, Class, Kind, Reason, Verdict};
