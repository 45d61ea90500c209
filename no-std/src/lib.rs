//! The engine without the standard library.
//!
//! This crate has a panic handler of its own. The standard library has one too, and there can be only
//! one: if anything in the engine's tree asks for `std`, this does not build ("duplicate lang item
//! `panic_impl`"). It builds for the host, so no other target needs to be installed.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::hint::spin_loop;
use core::panic::PanicInfo;

use dlmalloc::GlobalDlmalloc;
use ip_conntrack::format::line;
use ip_conntrack::{Action, Config, Conntrack, LinkType, Packet, Time};

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    loop {
        spin_loop();
    }
}

/// Runs one frame through a tracker and writes its table: the engine from its first step to its last.
/// Returns whether the frame may pass and left an entry.
pub fn passes(frame: &[u8], now: Time) -> bool {
    let mut conntrack = Conntrack::new(Config::default(), 1);
    conntrack.advance(now);
    let verdict = match Packet::parse(LinkType::Ethernet, frame) {
        Ok(packet) => conntrack.track(&packet, now),
        Err(reason) => conntrack.skip(reason),
    };
    let mut table = Vec::new();
    for connection in conntrack.connections() {
        line::nf_conntrack(&mut table, &connection);
    }
    verdict.action == Action::Accept && !table.is_empty()
}

/// Keeps [`passes`], and all that it calls, in the library although nothing here calls it.
#[used]
static LINKED: fn(&[u8], Time) -> bool = passes;
