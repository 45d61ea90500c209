//! Benchmarks: the tracker's cost a packet, beside what the memory of this machine allows and beside
//! what the running kernel's tracking adds to forwarding.
//!
//! *What a figure is.* Nanoseconds of processor time a packet, parsing included, on one core: the
//! middle of many short stretches. Frames are complete Ethernet frames in memory, more of them than
//! the last-level cache holds, and stream by. What has to be there before (a million handshakes) is
//! made before. Each workload checks what became of its packets, and gives no figure if that is not
//! what it is about.
//!
//! *The floor* (`floor.rs`) is measured in turn with the engine, stretch by stretch, in the same
//! memory: whatever slows the machine for a while slows both.
//!
//! *The kernel* (`linux/`) is measured before or after the engine, in the same run, with the same
//! packets.

pub mod clock;
pub mod engine;
pub mod floor;
pub mod frames;
pub mod linux;
pub mod mixed;
pub mod opening;
pub mod report;
pub mod table;
pub mod traffic;
pub mod versus;

use std::path::PathBuf;

pub use linux::Family;
pub use report::Report;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// TCP data and ACKs both ways, in random order over all connections.
    Established,
    /// Datagrams both ways, in random order over all connections.
    Udp,
    /// Every packet is a new connection, with the table half full to full.
    New,
    /// SYNs of new connections on a full table, nine of ten entries of which are ASSURED.
    Flood,
    /// Short TCP connections from SYN to TIME_WAIT, and their expiry.
    Churn,
    /// All entries fall due.
    Expiry,
    /// The limit is raised fourfold and lowered again while packets flow.
    Resize,
    /// All entries are written as `/proc/net/nf_conntrack` has them.
    List,
    /// Real captures, many times over in other addresses.
    Mixed,
}

impl Workload {
    /// All of them, by name.
    pub const ALL: [(&'static str, Workload); 9] = [
        ("established", Workload::Established),
        ("udp", Workload::Udp),
        ("new", Workload::New),
        ("flood", Workload::Flood),
        ("churn", Workload::Churn),
        ("expiry", Workload::Expiry),
        ("resize", Workload::Resize),
        ("list", Workload::List),
        ("mixed", Workload::Mixed),
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        let found = Workload::ALL.iter().find(|(_, workload)| *workload == self);
        found.map_or("", |(name, _)| name)
    }

    /// The workload of that name.
    pub fn by_name(name: &str) -> Option<Workload> {
        let found = Workload::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, workload)| *workload)
    }
}

/// How it is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Connections in the table.
    pub connections: u32,
    /// Trackers, each on a thread of its own, with an equal share of the connections.
    pub threads: u32,
    /// The version of IP.
    pub family: Family,
    /// Whether checksums are verified.
    pub checksums: bool,
    /// Bytes that the frames have together.
    pub frame_bytes: usize,
    /// Packets of a flood.
    pub flood_packets: u64,
    /// Captures, for the mixed workload.
    pub captures: Vec<PathBuf>,
}

/// Measures one workload.
///
/// # Errors
///
/// What became of the packets is not what the workload is about, or what it needs is not there.
pub fn run(workload: Workload, options: &Options) -> Result<Vec<Report>, String> {
    let reports = match workload {
        Workload::Established | Workload::Udp => vec![traffic::run(workload, options)?],
        Workload::New => opening::new(options)?,
        Workload::Flood => vec![opening::flood(options)?],
        Workload::Churn => vec![opening::churn(options)?],
        Workload::Expiry => vec![table::expiry(options)?],
        Workload::Resize => vec![table::resize(options)?],
        Workload::List => vec![table::list(options)?],
        Workload::Mixed => vec![mixed::run(options)?],
    };
    Ok(reports)
}
