//! Time and memory, as the system counts them for this thread and process.

use std::fs;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of processor time of this thread: what else the machine does is not in it.
pub fn cpu_ns() -> u64 {
    // The clock is there on every Linux; without it every difference would be 0, which no one would
    // take for a result.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}

/// Runs it; returns nanoseconds of this thread's processor time, and what came of it.
pub fn timed<T>(job: impl FnOnce() -> T) -> (u64, T) {
    let before = cpu_ns();
    let outcome = job();
    (cpu_ns() - before, outcome)
}

/// Bytes of memory that this process has resident.
pub fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    pages.unwrap_or(0) * PAGE
}

/// The middle of some figures; 0 of none.
pub fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}
