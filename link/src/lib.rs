//! Bytes in and out, for a connection tracker: packets from capture files, and messages about its table.
//!
//! The crate knows what a capture file is and nothing of what its packets mean. [`Capture`] reads
//! one file as a stream, [`Merge`] reads several in the order of time. Neither allocates per
//! packet, and both cost the same memory for a file of any size.
//!
//! ```no_run
//! # fn main() -> Result<(), ip_conntrack_link::CaptureError> {
//! let mut capture = ip_conntrack_link::Capture::open("edge.pcap.gz".as_ref())?;
//! while let Some(frame) = capture.next_frame()? {
//!     println!("{} ns, {} bytes", frame.time_ns, frame.bytes.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! On Linux, [`queue`] takes packets that a rule of the kernel's holds up, and says whether they go on; [`tun`] is an
//! interface of our own; [`tap`] listens on interfaces, and [`wire`] is the way between two of them.
//!
//! [`netlink`] talks to the kernel's connection table, and to a daemon's.
//!
//! [`sys`] is what it asks of the operating system directly, and the only place of unsafe code.

#![deny(unsafe_code)]

pub mod capture;
#[cfg(target_os = "linux")]
mod instructions;
#[cfg(target_os = "linux")]
mod interface;
#[cfg(target_os = "linux")]
pub mod netlink;
#[cfg(target_os = "linux")]
pub mod queue;
pub mod sys;
#[cfg(target_os = "linux")]
pub mod tap;
#[cfg(target_os = "linux")]
pub mod tun;
#[cfg(target_os = "linux")]
pub mod wire;

pub use capture::{Capture, CaptureError, CaptureErrorKind, Frame, Frames, MAX_BATCH, Merge, Part};
#[cfg(target_os = "linux")]
pub use interface::Interface;
