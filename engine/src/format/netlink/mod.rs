//! ctnetlink: the language in which entries, events, expectations and counters are asked for and told.
//!
//! Linux speaks it on a netlink socket; whoever keeps a table of ours speaks it on a stream. The messages are
//! the same to the byte, for they are written in Linux's order of attributes, so that a reader need not
//! know which table it has. Nothing here does I/O: bytes come in as slices and go out at the end of a `Vec`.
//!
//! *Reading.* [`Messages`] walks a datagram, [`Message::first`] takes the first message off a stream. What
//! ends an answer is an [`Answer`]; an entry is an [`Entry`]; an event is an [`Event`](crate::Event).
//!
//! ```
//! use ip_conntrack::format::netlink::{Answer, Entry, Messages};
//!
//! fn show(datagram: &[u8]) -> Result<bool, Box<dyn std::error::Error>> {
//!     for message in Messages::new(datagram) {
//!         let message = message?;
//!         match Answer::read(&message) {
//!             Some(Answer::Done(0) | Answer::Ack) => return Ok(true),
//!             Some(other) => return Err(format!("{other:?}").into()),
//!             None => println!("{:?}", Entry::read(&message)?.connection),
//!         }
//!     }
//!     Ok(false) // more will come
//! }
//! # assert!(!show(&[]).unwrap());
//! ```
//!
//! `Entry::present` says which attributes the message had ([`names::entry`] has their numbers). An event of a
//! multicast group is read by [`Entry::event`]; [`format::line`](crate::format::line) prints it.
//!
//! *Asking.* A [`Request`] is written by who asks and read by who answers:
//!
//! ```
//! use ip_conntrack::{Filter, Refusal};
//! use ip_conntrack::format::netlink::{Ask, List, Message, Origin, Request};
//!
//! let list = Ask::List { list: List::Table, filter: Filter::default(), zero: false };
//! let origin = Origin { sequence: 1, port: 0 };
//! let mut bytes = Vec::new();
//! Request { origin, ack: false, ask: list }.write(&mut bytes);
//!
//! let (message, used) = Message::first(&bytes).unwrap().expect("it is all there");
//! assert_eq!(used, bytes.len());
//! assert!(matches!(Request::read(&message)?.ask, Ask::List { .. }));
//! # Ok::<(), Refusal>(())
//! ```
//!
//! *Answering.* [`put_entry`], [`put_expectation`], [`TableStats::write`], [`put_stats`] and the others
//! append what was asked for; then [`put_done`] after several, [`put_ack`] if one was wanted, or [`put_error`]
//! with the number that [`errno`] gives a [`Refusal`](crate::Refusal). [`put_event`] writes what
//! [`Conntrack::poll_event`](crate::Conntrack::poll_event) tells, for the subscribers of its [`group_of`].
//!
//! *Saved state*: [`Conntrack::save_from`](crate::Conntrack::save_from) writes entries with all that the
//! tracker remembers of them, [`Conntrack::restore`](crate::Conntrack::restore) gives them back.
//!
//! *Our own*: what the kernel has in other places (multicast groups, sysctls) is in [`own`].
//!
//! *Invariants.* Any bytes can be read: what cannot be understood is a [`Malformed`] or a refusal. An attribute
//! that is unknown is passed over; one that is too short is as if it were not there. A message is no longer
//! than [`LONGEST`]. Reading an entry allocates for its helper's name and its security context only.
//!
//! Source: the interface headers named in `names.rs`, and messages of Linux 6.18.

mod answer;
mod change;
mod encode;
mod entries;
mod expect;
mod filter;
pub mod names;
pub mod own;
mod present;
mod read;
mod request;
mod state;
mod stats;
mod tuple;
mod write;

pub use answer::{Answer, config_errno, errno, number, put_ack, put_done, put_error, put_overrun};
pub use encode::{group_of, put_entry, put_event};
pub use entries::Entry;
pub use expect::{put_expectation, put_expectation_end, put_expectation_new, read_expectation};
pub use present::Present;
pub use read::{Attribute, Attributes, HEADER, LONGEST, Malformed, Message, Messages};
pub use request::{Ask, List, Request};
pub use stats::{TableStats, put_expectation_stats, put_stats, read_stats};
pub use write::Origin;
