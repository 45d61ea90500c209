//! A table that is in use, the kernel's or a daemon's: a look, or two some time apart.
//!
//! Between two looks the number of entries is asked for four times a second, which costs next to nothing;
//! when the table will be full is told from that. The first look keeps no more than a number for
//! each entry.

use std::thread;
use std::time::{Duration, Instant};

use ip_conntrack::Knob;
use ip_conntrack::format::stats::CpuStats;
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

pub(super) fn report(arguments: &Arguments) -> Result<(Report, bool), String> {
    let is_kernels = arguments.kernel;
    let mut live = match is_kernels {
        true => Whole::kernels()?,
        false => Whole::daemons(&arguments.socket)?,
    };
    let mut moments = Vec::new();
    let began = Instant::now();
    let watched = match arguments.watched {
        None => None,
        Some(length) => {
            let mut first = Look::default();
            let counted = live.counted()?;
            live.each(|connection| first.push(&Flow::from(connection)))?;
            watch(&mut live, began, length, &mut moments)?;
            Some((first, since(&counted, &live.counted()?)))
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let (later, table, is_whole) = look(&mut live, watched.is_some())?;
    let stats = live.stats()?;
    let max = arguments
        .max
        .or(stats.max.map(u64::from))
        .or_else(|| size::knob("max").filter(|_| is_kernels));
    let mut notes = Vec::new();
    if !is_whole {
        notes.push("the table changed while it was listed: some entries may be missing, others counted twice".to_owned());
    }
    let fading = Fading::of(&table.rows);
    let subject = Subject {
        source: Source {
            kind: if is_kernels { "kernel" } else { "ipct" },
            name: if is_kernels {
                "nf_conntrack".to_owned()
            } else {
                arguments.socket.display().to_string()
            },
            notes,
            ..Source::default()
        },
        table: &table,
        whole: None,
        strays: None,
        traffic: watched.map(|(first, reasons)| Traffic {
            reasons,
            ..first.until(later, seconds)
        }),
        timeline: None,
        forecast: max
            .filter(|max| *max > 0)
            .and_then(|max| forecast(&moments, max, Some(&fading))),
        max,
        buckets: arguments
            .buckets
            .or_else(|| size::knob("buckets").filter(|_| is_kernels)),
        circumstances: Circumstances {
            timeout: is_kernels.then_some(timeout as fn(Knob) -> Option<u64>),
            affordable: size::affordable().filter(|_| is_kernels),
        },
        most: arguments.top.map_or(LINES, usize::from),
    };
    for note in &subject.source.notes {
        say(format_args!("{note}"));
    }
    Ok((Report::of(subject), true))
}

/// All entries. Only if they are to be compared, their numbers are kept.
fn look(live: &mut Whole, compared: bool) -> Result<(Look, Census, bool), String> {
    let (mut look, mut table) = (Look::default(), Census::default());
    let is_whole = live.each(|connection| {
        let flow = Flow::from(connection);
        if compared {
            look.push(&flow);
        }
        table.push(&flow);
    })?;
    Ok((look, table, is_whole))
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

/// Follows the number of entries.
fn watch(
    live: &mut Whole,
    began: Instant,
    length: Duration,
    moments: &mut Vec<Moment>,
) -> Result<(), String> {
    loop {
        let at = began.elapsed();
        let entries = live.stats()?.entries;
        moments.push(Moment {
            at: at.as_secs_f64(),
            entries: entries.into(),
        });
        let Some(left) = length.checked_sub(at).filter(|left| !left.is_zero()) else {
            return Ok(());
        };
        thread::sleep(left.min(PAUSE));
    }
}

/// A timeout of the running kernel.
fn timeout(knob: Knob) -> Option<u64> {
    let name = knob.info().name.strip_prefix("nf_conntrack_")?;
    size::knob(name)
}
