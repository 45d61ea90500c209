//! What stands on the page. What each number is for: docs/metrics.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ip_conntrack::format::stats::CpuStats;
use ip_conntrack_analysis::{Class, Report};

use super::http::Counts;
use super::look::{Looks, Seen};
use super::text::{Kind, Text};
use crate::daemon::tracker::Tracker;
use crate::daemon::worker::Gone;

use Kind::{Counter, Gauge};

/// Makes the page.
pub(super) struct Page {
    pub(super) tracker: Arc<Tracker>,
    pub(super) looks: Looks,
    /// Whether there are series with node_exporter's names, too.
    pub(super) has_nodes_names: bool,
}

impl Page {
    /// The page as it is now.
    ///
    /// # Errors
    ///
    /// There is none, in words.
    pub(super) fn text(&self, counts: &Counts) -> Result<String, String> {
        self.write(counts)
            .map_err(|Gone| "a worker of the daemon has ended\n".to_owned())
    }

    fn write(&self, counts: &Counts) -> Result<String, Gone> {
        let seen = self.looks.seen()?;
        let mut text = Text::default();
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        text.family(Gauge, "ipct_build_info", "The version of ipct.")
            .series(&version, 1.0);
        let cpus = self.tracker.cpus()?;
        let entries = cpus.first().map_or(0, |cpu| cpu.entries);
        self.fill(&mut text, &seen, entries);
        stats(&mut text, &cpus);
        self.counters(&mut text)?;
        self.loads(&mut text)?;
        states(&mut text, &seen.report);
        classes(&mut text, &seen.report);
        who(&mut text, &seen.report);
        own(&mut text, &seen, counts);
        if self.has_nodes_names {
            nodes(&mut text, entries, self.tracker.max(), &cpus);
        }
        Ok(text.into_string())
    }

    fn fill(&self, text: &mut Text, seen: &Seen, entries: u64) {
        let (report, max) = (&seen.report, f64::from(self.tracker.max()));
        let mut gauge = |name, help, value| text.one(Gauge, name, help, value);
        gauge("ipct_entries", "Entries in the table.", entries as f64);
        gauge("ipct_entries_limit", "nf_conntrack_max; 0 is none.", max);
        let buckets = report.buckets.unwrap_or(0) as f64;
        gauge("ipct_buckets", "nf_conntrack_buckets.", buckets);
        if max > 0.0 {
            let hard = report.all.assured as f64 / max;
            gauge(
                "ipct_fill_ratio",
                "Entries of the limit.",
                entries as f64 / max,
            );
            gauge(
                "ipct_hard_fill_ratio",
                "ASSURED entries, which early drop leaves alone, of the limit.",
                hard,
            );
        }
        if let Some(forecast) = &report.forecast {
            gauge(
                "ipct_full_in_seconds",
                "Time until the table is full if it goes on like this; +Inf if never.",
                forecast.full_in.unwrap_or(f64::INFINITY),
            );
            gauge(
                "ipct_net_entries_per_second",
                "Entries that are added each second, those that end taken off.",
                forecast.net_per_second,
            );
        }
    }

    fn counters(&self, text: &mut Text) -> Result<(), Gone> {
        let named = self.tracker.named_counters()?;
        let of = |name: &str| named.iter().find(|(known, _)| *known == name);
        for (name, help) in COUNTERS {
            if let Some((_, count)) = of(name) {
                let name = format!("ipct_{name}_total");
                text.one(Counter, &name, help, *count as f64);
            }
        }
        let mut reasons = text.family(
            Counter,
            "ipct_reasons_total",
            "Packets that were refused, dropped or without effect, by reason.",
        );
        let known = |name: &str| COUNTERS.iter().any(|(known, _)| *known == name);
        for (name, count) in &named {
            if *name != "entries" && !known(name) {
                reasons.series(&[("reason", name)], *count as f64);
            }
        }
        Ok(())
    }

    fn loads(&self, text: &mut Text) -> Result<(), Gone> {
        let mut family = text.family(
            Gauge,
            "ipct_worker",
            "What each worker and its source counted, by name.",
        );
        for (worker, counts) in self.tracker.loads()?.into_iter().enumerate() {
            let worker = worker.to_string();
            for (name, count) in counts {
                family.series(&[("worker", &worker), ("name", name)], count as f64);
            }
        }
        Ok(())
    }
}

/// What is counted beside the reasons, and what that is.
const COUNTERS: [(&str, &str); 9] = [
    ("packets", "Packets that were tracked."),
    ("confirmed", "Entries that were made by packets."),
    ("expired", "Entries that ran out."),
    ("untracked", "Packets that are not tracked on purpose."),
    (
        "reassembled",
        "Datagrams that were put together of fragments.",
    ),
    ("fragments_held", "Fragments that waited for others."),
    (
        "fragments_expired",
        "Fragments that waited in vain for others.",
    ),
    ("clock_backwards", "Times that the clock went back."),
    (
        "events_lost",
        "Events that listeners were too slow to take.",
    ),
];

/// A counter of `conntrack -S`: its name, what it counts, and where it is.
type Stat = (&'static str, &'static str, fn(&CpuStats) -> u64);

const STATS: [Stat; 13] = [
    ("found", "Tuples that translation found taken", |s| s.found),
    ("invalid", "Packets that were INVALID", |s| s.invalid),
    ("insert", "Entries made by hand", |s| s.insert),
    ("insert_failed", "Entries that could not be made", |s| {
        s.insert_failed
    }),
    ("drop", "Packets dropped", |s| s.drop),
    ("early_drop", "Entries evicted for newer ones", |s| {
        s.early_drop
    }),
    ("error", "ICMP refused", |s| s.error),
    ("search_restart", "Lookups begun again", |s| {
        s.search_restart
    }),
    ("clash_resolve", "Clashes resolved", |s| s.clash_resolve),
    (
        "chaintoolong",
        "Entries refused for the length of their chain",
        |s| s.chaintoolong,
    ),
    ("expect_new", "Expected connections that arrived", |s| {
        s.expect_new
    }),
    ("expect_create", "Expectations made", |s| s.expect_create),
    ("expect_delete", "Expectations removed", |s| s.expect_delete),
];

fn sum(cpus: &[CpuStats], of: fn(&CpuStats) -> u64) -> f64 {
    cpus.iter().map(of).sum::<u64>() as f64
}

fn stats(text: &mut Text, cpus: &[CpuStats]) {
    for (name, help, of) in STATS {
        let (name, help) = (
            format!("ipct_stat_{name}_total"),
            format!("{help}, as conntrack -S counts."),
        );
        text.one(Counter, &name, &help, sum(cpus, of));
    }
}

fn states(text: &mut Text, report: &Report) {
    let mut family = text.family(
        Gauge,
        "ipct_state_entries",
        "Entries by protocol and state.",
    );
    // Protocols without a name have the same labels, and series must not come twice.
    let mut sums = BTreeMap::<_, u64>::new();
    for line in &report.states {
        let kind = (line.protocol, line.state.unwrap_or(""));
        *sums.entry(kind).or_default() += line.tally.entries;
    }
    for ((protocol, state), entries) in sums {
        let labels = [("protocol", protocol), ("state", state)];
        family.series(&labels, entries as f64);
    }
    let all = &report.all;
    for (name, help, count) in [
        (
            "ipct_assured_entries",
            "Entries that early drop leaves alone.",
            all.assured,
        ),
        (
            "ipct_unreplied_entries",
            "Entries without an answer.",
            all.unreplied,
        ),
        (
            "ipct_half_open_entries",
            "TCP entries without a complete handshake.",
            all.half_open,
        ),
    ] {
        text.one(Gauge, name, help, count as f64);
    }
    rates(text, report);
}

/// Rates of what lived through a look at least.
fn rates(text: &mut Text, report: &Report) {
    let Some(traffic) = &report.traffic else {
        return;
    };
    let seconds = traffic.seconds.max(1e-3);
    for (name, help, is_new) in [
        (
            "ipct_new_entries_per_second",
            "Entries that came between the last two looks, by protocol and state.",
            true,
        ),
        (
            "ipct_ended_entries_per_second",
            "Entries that went between the last two looks, by protocol and the state that they were in.",
            false,
        ),
    ] {
        let mut family = text.family(Gauge, name, help);
        for line in &traffic.by_state {
            let labels = [
                ("protocol", line.protocol),
                ("state", line.state.unwrap_or("")),
            ];
            let count = if is_new { line.new } else { line.ended };
            family.series(&labels, count as f64 / seconds);
        }
    }
}

fn classes(text: &mut Text, report: &Report) {
    let mut family = text.family(
        Gauge,
        "ipct_class_confidence",
        "What the table looks like: the confidence of the class, 0 for the others.",
    );
    for class in Class::ALL {
        let is_it = *class == report.class;
        let value = if is_it { report.confidence } else { 0.0 };
        family.series(&[("class", class.name())], value);
    }
}

fn who(text: &mut Text, report: &Report) {
    let spread = &report.spread;
    for (name, help, value) in [
        (
            "ipct_sources",
            "Distinct source addresses.",
            spread.sources as f64,
        ),
        (
            "ipct_destinations",
            "Distinct destination addresses.",
            spread.destinations as f64,
        ),
        (
            "ipct_source_entropy",
            "How evenly entries are spread over their sources, in bits.",
            spread.source_entropy,
        ),
    ] {
        text.one(Gauge, name, help, value);
    }
    let lists = [
        (
            "ipct_top_source_entries",
            "source",
            "Entries of the most frequent sources.",
            &report.top_sources,
        ),
        (
            "ipct_top_destination_entries",
            "destination",
            "Entries of the most frequent destinations.",
            &report.top_destinations,
        ),
    ];
    for (name, label, help, lines) in lists {
        let mut family = text.family(Gauge, name, help);
        for line in lines {
            family.series(&[(label, &line.address)], line.entries as f64);
        }
    }
    let mut ports = text.family(
        Gauge,
        "ipct_top_port_entries",
        "Entries of the most frequent destination ports.",
    );
    for line in &report.top_ports {
        let port = line.port.to_string();
        ports.series(
            &[("protocol", line.protocol), ("port", &port)],
            line.entries as f64,
        );
    }
    let prefixes = [
        (
            "ipct_top_source_prefix_entries",
            "Entries of the source prefixes that explain most of the table.",
            &report.top_prefixes,
        ),
        (
            "ipct_top_destination_prefix_entries",
            "Entries of the destination prefixes that explain most of the table.",
            &report.top_destination_prefixes,
        ),
    ];
    for (name, help, lines) in prefixes {
        let mut family = text.family(Gauge, name, help);
        for line in lines {
            family.series(&[("prefix", &line.prefix)], line.entries as f64);
        }
    }
}

/// What the metrics cost, and what came to them.
fn own(text: &mut Text, seen: &Seen, counts: &Counts) {
    text.one(
        Gauge,
        "ipct_look_duration_seconds",
        "How long the last look at all entries took.",
        seen.took.as_secs_f64(),
    );
    text.one(
        Gauge,
        "ipct_look_age_seconds",
        "How long ago that was.",
        seen.at.elapsed().as_secs_f64(),
    );
    for (name, help, count) in [
        (
            "ipct_scrapes_total",
            "Requests for this page.",
            &counts.scrapes,
        ),
        (
            "ipct_bad_requests_total",
            "Requests for anything else, or that did not come.",
            &counts.bad_requests,
        ),
        (
            "ipct_scrapes_turned_away_total",
            "Connections closed for want of a place.",
            &counts.turned_away,
        ),
    ] {
        text.one(Counter, name, help, count.load(Relaxed) as f64);
    }
}

/// The names of node_exporter's collector `conntrack`, for dashboards that are there already.
fn nodes(text: &mut Text, entries: u64, max: u32, cpus: &[CpuStats]) {
    const HELP: &str = "As node_exporter has it.";
    text.one(Gauge, "node_nf_conntrack_entries", HELP, entries as f64);
    text.one(Gauge, "node_nf_conntrack_entries_limit", HELP, max.into());
    // Linux counts it no more and shows 0.
    text.one(Gauge, "node_nf_conntrack_stat_ignore", HELP, 0.0);
    let names = [
        "found",
        "invalid",
        "insert",
        "insert_failed",
        "drop",
        "early_drop",
        "search_restart",
    ];
    for (name, _, of) in STATS.iter().filter(|(name, ..)| names.contains(name)) {
        let name = format!("node_nf_conntrack_stat_{name}");
        text.one(Gauge, &name, HELP, sum(cpus, *of));
    }
}
