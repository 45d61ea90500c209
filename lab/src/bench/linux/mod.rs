//! What connection tracking costs in the running kernel: forwarding with it minus forwarding without.
//!
//! **How.** Routers in namespaces of their own (`router.rs`) get the same packets from a program in the
//! kernel (`feeder.rs`), as fast as they take them: one tracks connections, the other does not. Both are
//! measured in turn, several times, and the middle of the differences is conntrack's share, so that
//! what slows the machine for a while slows both.
//!
//! **What makes it worth something.** Every packet is accounted for as forwarded or refused; the
//! table is listed afterwards, and has to hold exactly the connections that were to be there, in
//! the state in which they were to be. Otherwise there is no figure but an error.
//!
//! **What is left behind.** Nothing: namespaces end with the thread that made them, and the two global
//! knobs are put back (`lab/src/linux/globals.rs`). Needs root.
//!
//! **Favours to the kernel.** It has room ([`BUCKETS`]), leaves TCP checksums alone, looks for no local
//! sockets, and makes no event messages, which it otherwise does for every new connection as long as
//! anybody on the machine listens, be it in another namespace. Connections are counted
//! (`nf_conntrack_acct`), as they are here.

mod daemon;
mod feeder;
mod frames;
pub mod live;
mod memory;
mod rounds;
mod router;
mod workload;

use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, geteuid};

pub use frames::{Family, Kind, frame};
pub use rounds::Share;
pub use workload::Workload;

use crate::linux::Globals;
use memory::Memory;
use rounds::Bench;

/// Buckets of the kernel's table while it is measured, unless it is to be large.
pub const BUCKETS: u64 = 1 << 21;

/// Measures conntrack's share with so many connections and [`BUCKETS`] buckets.
///
/// # Errors
///
/// This process is not root, or the system does not allow or have something, in words; or the kernel
/// did not do with the packets what the workload is about.
pub fn measure(workload: Workload, connections: u32, family: Family) -> Result<Share, String> {
    measure_with(workload, connections, family, BUCKETS)
}

/// The same with another number of buckets.
///
/// # Errors
///
/// As for [`measure`].
pub fn measure_with(
    workload: Workload,
    connections: u32,
    family: Family,
    buckets: u64,
) -> Result<Share, String> {
    if connections == 0 || connections > i32::MAX as u32 {
        return Err(format!("{connections} connections: 1 to {}", i32::MAX));
    }
    apart(move |globals| {
        let room = match workload {
            Workload::Flood => connections.into(),
            _ => 2 * u64::from(connections) + 1000,
        };
        globals.set_both(room, buckets)?;
        let mut bench = Bench::new(workload, connections, family)?;
        bench.open()?;
        let share = bench.rounds()?;
        bench.close()?;
        Ok(share)
    })
}

/// Bytes of the kernel's memory for each of so many ESTABLISHED connections, with accounting: the
/// entry and its extensions. Buckets come to that, of 8 bytes each.
///
/// # Errors
///
/// As for [`measure`].
pub fn memory_per_connection(connections: u32, family: Family) -> Result<f64, String> {
    apart(move |globals| {
        globals.set_both(u64::from(connections) + 1000, BUCKETS)?;
        let mut bench = Bench::new(Workload::Established, connections, family)?;
        let before = Memory::now()?;
        bench.open()?;
        let after = Memory::now()?;
        bench.close()?;
        Ok(before.grown(&after, connections))
    })
}

/// Runs it in a thread of its own, whose namespaces end with it, on one CPU.
fn apart<T: Send>(job: impl FnOnce(&mut Globals) -> Result<T, String> + Send) -> Result<T, String> {
    if !geteuid().is_root() {
        return Err("measuring the kernel needs root".to_owned());
    }
    let mut globals = Globals::open()?;
    let outcome = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            stay_on_one_cpu()?;
            job(&mut globals)
        });
        thread.join()
    });
    outcome.unwrap_or_else(|_| Err("the measuring thread ended early".to_owned()))
}

/// The last that it may use: the first often has more interrupts.
fn stay_on_one_cpu() -> Result<(), String> {
    let this = Pid::from_raw(0);
    let said = |error| format!("CPU affinity: {error}");
    let allowed = sched_getaffinity(this).map_err(said)?;
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    let Some(last) = (0..CpuSet::count()).rev().find(is_allowed) else {
        return Ok(());
    };
    let mut one = CpuSet::new();
    one.set(last).map_err(said)?;
    sched_setaffinity(this, &one).map_err(said)
}
