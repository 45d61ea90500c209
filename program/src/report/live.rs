//! A table that is in use, the kernel's or a daemon's: a look, or two some time apart.
//!
//! Between two looks the number of entries is asked for four times a second, which costs next to nothing;
//! when the table will be full is told from that. The first look keeps no more than a number for
//! each entry.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use ip_conntrack::Knob;
use ip_conntrack::format::netlink::TableStats;
use ip_conntrack::format::stats::CpuStats;
use ip_conntrack_analysis::advice::timeouts;
use ip_conntrack_analysis::forecast::MOMENTS;
use ip_conntrack_analysis::{
    Census, Circumstances, Fading, Flow, Look, Moment, Report, Source, Subject, Traffic, forecast,
};

use super::LINES;
use super::arguments::Arguments;
use crate::conntrack::Whole;
use crate::say;
use crate::size;

/// The time between two questions for the number of entries.
const PAUSE: Duration = Duration::from_millis(250);

/// Whose table, and what its report is to have.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// The kernel's; else that of the daemon on `socket`.
    pub(crate) kernel: bool,
    pub(crate) socket: PathBuf,
    /// In place of what the table says of itself.
    pub(crate) max: Option<u64>,
    pub(crate) buckets: Option<u64>,
    /// Lines of each top list.
    pub(crate) most: usize,
}

/// The report on a live table, watched for a while if that was asked for.
pub(super) fn report(arguments: &Arguments) -> Result<(Report, bool), String> {
    let mut follower = Follower::new(Live {
        kernel: arguments.kernel,
        socket: arguments.socket.clone(),
        max: arguments.max,
        buckets: arguments.buckets,
        most: arguments.top.map_or(LINES, usize::from),
    })?;
    if let Some(length) = arguments.watched {
        follower.begin()?;
        follower.watch(length)?;
    }
    let report = follower.look(false)?;
    for note in &report.source.notes {
        say(format_args!("{note}"));
    }
    Ok((report, true))
}

/// Looks at a table again and again.
pub(crate) struct Follower {
    live: Live,
    table: Whole,
    began: Instant,
    moments: VecDeque<Moment>,
    earlier: Option<Earlier>,
}

/// The look before.
struct Earlier {
    at: Instant,
    look: Look,
    counted: CpuStats,
}

impl Follower {
    /// Opens the table.
    pub(crate) fn new(live: Live) -> Result<Follower, String> {
        let table = match live.kernel {
            true => Whole::kernels()?,
            false => Whole::daemons(&live.socket)?,
        };
        Ok(Follower {
            live,
            table,
            began: Instant::now(),
            moments: VecDeque::new(),
            earlier: None,
        })
    }

    /// A first look, which keeps no more than numbers.
    fn begin(&mut self) -> Result<(), String> {
        let (at, counted) = (Instant::now(), self.table.counted()?);
        let mut look = Look::default();
        self.table
            .each(|connection| look.push(&Flow::from(connection)))?;
        self.earlier = Some(Earlier { at, look, counted });
        Ok(())
    }

    /// Notes the number of entries. => it, and the limit.
    pub(crate) fn count(&mut self) -> Result<(u64, Option<u64>), String> {
        let stats = self.table.stats()?;
        self.moments.push_back(Moment {
            at: self.began.elapsed().as_secs_f64(),
            entries: stats.entries.into(),
        });
        if self.moments.len() > MOMENTS {
            self.moments.pop_front();
        }
        Ok((stats.entries.into(), self.max(&stats)))
    }

    fn max(&self, stats: &TableStats) -> Option<u64> {
        let told = self.live.max.or(stats.max.map(u64::from));
        told.or_else(|| size::knob("max").filter(|_| self.live.kernel))
    }

    /// Follows the number of entries for a while.
    fn watch(&mut self, length: Duration) -> Result<(), String> {
        let began = Instant::now();
        loop {
            self.count()?;
            let left = length.checked_sub(began.elapsed());
            let Some(left) = left.filter(|left| !left.is_zero()) else {
                return Ok(());
            };
            thread::sleep(left.min(PAUSE));
        }
    }

    /// Looks at all entries. `again`: another look will follow, and be compared with this one.
    pub(crate) fn look(&mut self, again: bool) -> Result<Report, String> {
        let at = Instant::now();
        let (mut look, mut table) = (Look::default(), Census::default());
        let keep = again || self.earlier.is_some();
        let is_whole = self.table.each(|connection| {
            let flow = Flow::from(connection);
            if keep {
                look.push(&flow);
            }
            table.push(&flow);
        })?;
        let traffic = self.since(at, &mut look, again)?;
        let max = self.table.stats().map(|stats| self.max(&stats))?;
        let timeouts = match self.live.kernel {
            true => kernels_timeouts(),
            false => self.table.knobs()?,
        };
        let subject = self.subject(&table, is_whole, max, traffic, timeouts);
        Ok(Report::of(subject))
    }

    /// What changed since the look before.
    fn since(
        &mut self,
        at: Instant,
        look: &mut Look,
        again: bool,
    ) -> Result<Option<Traffic>, String> {
        let Some(earlier) = self.earlier.take() else {
            if again {
                let (look, counted) = (std::mem::take(look), self.table.counted()?);
                self.earlier = Some(Earlier { at, look, counted });
            }
            return Ok(None);
        };
        let counted = self.table.counted()?;
        let seconds = (at - earlier.at).as_secs_f64();
        let reasons = since(&earlier.counted, &counted);
        let later = match again {
            true => look.clone(),
            false => std::mem::take(look),
        };
        let traffic = earlier.look.until(later, seconds);
        if again {
            self.earlier = Some(Earlier {
                at,
                look: std::mem::take(look),
                counted,
            });
        }
        Ok(Some(Traffic { reasons, ..traffic }))
    }

    fn subject<'a>(
        &self,
        table: &'a Census,
        is_whole: bool,
        max: Option<u64>,
        traffic: Option<Traffic>,
        timeouts: Vec<(Knob, u64)>,
    ) -> Subject<'a> {
        let kernel = self.live.kernel;
        let mut notes = Vec::new();
        if !is_whole {
            notes.push("the table changed while it was listed: some entries may be missing, others counted twice".to_owned());
        }
        let moments: Vec<Moment> = self.moments.iter().copied().collect();
        let fading = Fading::of(&table.rows);
        let limit = max.filter(|max| *max > 0);
        Subject {
            source: Source {
                kind: if kernel { "kernel" } else { "ipct" },
                name: match kernel {
                    true => "nf_conntrack".to_owned(),
                    false => self.live.socket.display().to_string(),
                },
                notes,
                ..Source::default()
            },
            table,
            whole: None,
            strays: None,
            traffic,
            timeline: None,
            forecast: limit.and_then(|max| forecast(&moments, max, Some(&fading))),
            max,
            buckets: self
                .live
                .buckets
                .or_else(|| size::knob("buckets").filter(|_| kernel)),
            circumstances: Circumstances {
                timeouts,
                affordable: size::affordable(kernel),
                is_daemon: !kernel,
            },
            most: self.live.most,
        }
    }
}

/// A counter's name, and where it is.
type Counter = (&'static str, fn(&CpuStats) -> u64);

/// What was counted between two moments.
fn since(before: &CpuStats, after: &CpuStats) -> Vec<(&'static str, u64)> {
    let counters: [Counter; 7] = [
        ("invalid", |stats| stats.invalid),
        ("insert_failed", |stats| stats.insert_failed),
        ("drop", |stats| stats.drop),
        ("early_drop", |stats| stats.early_drop),
        ("error", |stats| stats.error),
        ("clash_resolve", |stats| stats.clash_resolve),
        ("chaintoolong", |stats| stats.chaintoolong),
    ];
    let counted = counters
        .into_iter()
        .map(|(name, of)| (name, of(after).saturating_sub(of(before))));
    counted.filter(|(_, count)| *count > 0).collect()
}

/// The timeouts of the running kernel.
fn kernels_timeouts() -> Vec<(Knob, u64)> {
    let value = |knob: Knob| size::knob(knob.info().name.strip_prefix("nf_conntrack_")?);
    timeouts()
        .filter_map(|knob| Some((knob, value(knob)?)))
        .collect()
}
