//! What a workload came to, as a line for people or for programs.

use std::fmt::Write;

use super::linux::Share;
use super::{Family, Options, Workload};

/// The figures of one workload.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// What was measured.
    pub workload: Workload,
    /// Connections in the table.
    pub connections: u32,
    /// Trackers at work.
    pub threads: u32,
    /// The version of IP.
    pub family: Family,
    /// Nanoseconds of processor time a packet, on each core; of `expiry` and `list`, an entry.
    pub ns_per_packet: f64,
    /// Millions of packets a second, of all threads together.
    pub mpps: f64,
    /// Resident memory of the tracker for each connection, everything included.
    pub bytes_per_connection: Option<f64>,
    /// Nanoseconds that the floor takes for a packet.
    pub floor_ns: Option<f64>,
    /// What conntrack adds to a packet that the kernel forwards.
    pub linux: Option<Share>,
    /// Bytes of the kernel's memory for each connection, buckets included.
    pub linux_bytes: Option<f64>,
    /// What else is to be said: name and figure.
    pub more: Vec<(&'static str, f64)>,
}

impl Report {
    /// A report with the two figures that all have.
    pub fn new(workload: Workload, options: &Options, ns_per_packet: f64) -> Report {
        Report {
            workload,
            connections: options.connections,
            threads: options.threads,
            family: options.family,
            ns_per_packet,
            mpps: f64::from(options.threads) * 1e3 / ns_per_packet,
            bytes_per_connection: None,
            floor_ns: None,
            linux: None,
            linux_bytes: None,
            more: Vec::new(),
        }
    }

    /// Name and figure of everything that there is, in order.
    fn figures(&self) -> Vec<(&'static str, f64)> {
        let optional = |name, figure: Option<f64>| figure.map(|figure| (name, figure));
        let linux_ns = self.linux.map(|share| share.ns);
        let ratio = |to: Option<f64>, of: f64| to.map(|to| to / of);
        let mut figures = vec![("ns_per_packet", self.ns_per_packet), ("mpps", self.mpps)];
        figures.extend(optional("bytes_per_connection", self.bytes_per_connection));
        figures.extend(optional("floor_ns", self.floor_ns));
        let floor_ratio = self.floor_ns.map(|floor| self.ns_per_packet / floor);
        figures.extend(optional("floor_ratio", floor_ratio));
        figures.extend(optional("linux_ns", linux_ns));
        figures.extend(optional("linux_ratio", ratio(linux_ns, self.ns_per_packet)));
        figures.extend(optional("linux_bytes_per_connection", self.linux_bytes));
        figures.extend(&self.more);
        figures
    }

    fn family(&self) -> u32 {
        match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let mut line = format!(
            "{:<12} {:>9} connections  {} thread{}  IPv{} ",
            self.workload.name(),
            self.connections,
            self.threads,
            if self.threads == 1 { " " } else { "s" },
            self.family()
        );
        for (name, figure) in self.figures() {
            let digits = if figure.abs() < 10.0 { 2 } else { 1 };
            let _ = write!(line, " {name}={figure:.digits$}");
        }
        line
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let mut json = format!(
            r#"{{"workload":"{}","connections":{},"threads":{},"family":{}"#,
            self.workload.name(),
            self.connections,
            self.threads,
            self.family()
        );
        for (name, figure) in self.figures() {
            let _ = write!(json, r#","{name}":{figure:.3}"#);
        }
        json.push('}');
        json
    }
}
