//! What only the operating system can do, and what Rust cannot check: memory in huge pages,
//! programs inside the kernel, many datagrams at once, packets in memory that is shared with it.
//!
//! This module is the only place in the crate where code may be `unsafe`. It stays thin: each function
//! wraps one call so that a caller cannot misuse it, each block says why it is right, and what is
//! done with the result is decided elsewhere.

#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
pub mod bpf;
#[cfg(target_os = "linux")]
mod datagrams;
#[cfg(target_os = "linux")]
mod huge_pages;
#[cfg(target_os = "linux")]
mod mapping;
#[cfg(target_os = "linux")]
pub mod packet_ring;
#[cfg(target_os = "linux")]
pub(crate) mod socket;
#[cfg(target_os = "linux")]
pub mod xsk;

#[cfg(target_os = "linux")]
pub use datagrams::Datagrams;
#[cfg(target_os = "linux")]
pub use huge_pages::HugePages;
