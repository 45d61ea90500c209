#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
mod connection;
mod event;
pub mod format;
mod time;
mod tuple;

pub use connection::{
    Connection, Counters, SctpState, State, Status, TcpSide, TcpState,
};
pub use event::{Cause, Changes, Event, EventKind};
pub use time::Time;
pub use tuple::{Direction, Protocol, Tuple, Zone, ZoneDirections};
