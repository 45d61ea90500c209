//! The tracker at its start: the knobs, the saved table, the packets' source, the workers.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ip_conntrack::format::netlink::{Entry, Message};
use ip_conntrack::{Conntrack, Dispatch, Knob, Limit};
use ip_conntrack_link::{Capture, Interface, queue, tun};
use tracing::{error, info, warn};

use super::heir::Predecessor;
use super::settings::{Queues, Settings};
use super::source::marking::Marking;
use super::source::queue::{Exchange, Queue, Wanted};
use super::source::{
    Bridge, Clock, HELD_AT_MOST, Nothing, Pace, Policy, Replay, Source, Sources, Tap, Tun,
};
use super::state::{self, Restored};
use super::tracker::Tracker;
use super::worker::{Shard, Voice, Workers};
use crate::cli::default_config;
use crate::knobs;
use crate::seed::random_seed;

/// Whether what the packets are to come from is there, before a predecessor ends for it. What the predecessor may hold
/// itself (queues, a TUN device) cannot be tried.
///
/// # Errors
///
/// An interface or the capture that is not.
pub(super) fn check_source(settings: &Settings) -> io::Result<()> {
    let run = &settings.run;
    let names = run.bridge.0.iter().flatten().chain(&run.tap.0);
    for name in names {
        Interface::named(name)?;
    }
    match &run.replay {
        // A pipe gives what it has only once.
        Some(path) if path.is_file() || (!path.exists() && path.as_os_str() != "-") => {
            Capture::open(path).map(drop).map_err(io::Error::other)
        }
        _ => Ok(()),
    }
}

/// Trackers with a table and a source each, without threads yet.
pub(super) struct Ready {
    dispatch: Dispatch,
    limit: Limit,
    shards: Vec<(Shard, AnySource)>,
}

/// Takes the table that was saved, or the predecessor's, and then opens the packets' source: nothing waits there for a
/// long table to be read, and from a predecessor the source is free only then.
///
/// # Errors
///
/// In words: what cannot be read or opened.
pub(super) fn ready(
    settings: &Settings,
    predecessor: Option<&mut Predecessor>,
) -> Result<Ready, String> {
    let mut config = default_config();
    knobs::set_all(&mut config, &settings.sysctl).map_err(|error| error.to_string())?;
    let count = settings
        .run
        .queue
        .map_or(settings.run.workers.get(), |queues| queues.numbers().len());
    let max = u32::try_from(config.get(Knob::Max)).unwrap_or(0);
    let limit = Limit::new(max, count);
    let (seed, clock) = (random_seed(), Clock::start());
    let dispatch = Dispatch::new(seed, count);
    let key = [(seed >> 64) as u64, seed as u64];
    let voice = Arc::new(Voice::new());
    let mut shards = Vec::with_capacity(count);
    for _ in 0..count {
        let mut conntrack = Conntrack::with_limit(config.clone(), seed, &limit);
        conntrack.advance(clock.origin());
        shards.push(Shard::new(conntrack, Arc::clone(&voice)));
    }
    match (predecessor, &settings.state.path) {
        (Some(predecessor), _) => inherit(predecessor, &dispatch, &mut shards)?,
        (None, Some(path)) => take_back(path, &dispatch, &mut shards)?,
        (None, None) => {}
    }
    let per_source = settings.bridge.per_source.get();
    if settings.run.bridge.0.is_some() && per_source > 0 {
        let sources = Arc::new(Sources::new(u32::try_from(per_source).unwrap_or(u32::MAX)));
        for shard in &mut shards {
            shard.conntrack.set_census(sources.clone());
        }
    }
    let sources = sources(settings, clock, &dispatch, key)?;
    Ok(Ready {
        dispatch,
        limit,
        shards: shards.into_iter().zip(sources).collect(),
    })
}

impl Ready {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// In words: the system gives no thread.
    pub(super) fn start(self) -> Result<Tracker, String> {
        let workers = Workers::start(self.dispatch, self.shards);
        let workers = workers.map_err(|error| format!("workers cannot be started: {error}"))?;
        Ok(Tracker::new(workers, self.limit))
    }
}

type AnySource = Box<dyn Source>;

fn boxed<S: Source + 'static>(sources: Vec<S>) -> Vec<AnySource> {
    let boxed = |source| Box::new(source) as AnySource;
    sources.into_iter().map(boxed).collect()
}

/// A source for each worker. `key` is that of the dispatch.
fn sources(
    settings: &Settings,
    clock: Clock,
    dispatch: &Dispatch,
    key: [u64; 2],
) -> Result<Vec<AnySource>, String> {
    let run = &settings.run;
    if let Some(numbers) = run.queue {
        return queues(settings, numbers, clock, dispatch).map(boxed);
    }
    if let Some(name) = &run.tun {
        let device = tun::Device::open(&name.0).map_err(said)?;
        info!("tracks what is routed into the TUN device {}", name.0);
        return Ok(boxed(vec![Tun::new(device, clock, run.drop_invalid)]));
    }
    if let Some(names) = &run.bridge.0 {
        let bridges = Bridge::several(names, Policy::of(settings), clock, dispatch);
        return bridges.map(boxed).map_err(said);
    }
    if !run.tap.is_none() {
        return Tap::several(settings, clock, key, dispatch.shards()).map(boxed);
    }
    if let Some(path) = &run.replay {
        return replays(path, settings, clock, dispatch).map(boxed);
    }
    warn!("no packets come from anywhere: entries are made by hand only");
    let nothing = |_| Nothing(clock);
    Ok(boxed((0..dispatch.shards()).map(nothing).collect()))
}

fn said(error: io::Error) -> String {
    error.to_string()
}

fn replays(
    path: &Path,
    settings: &Settings,
    clock: Clock,
    dispatch: &Dispatch,
) -> Result<Vec<Replay>, String> {
    let run = &settings.run;
    let reads_twice = run.repeat || dispatch.shards() > 1;
    if reads_twice && !path.is_file() {
        return Err(format!(
            "{}: it is read more than once, and so must be a file, for --loop and for several workers",
            path.display()
        ));
    }
    let pace = Pace {
        speed: run.speed,
        repeat: run.repeat,
    };
    let replay = |shard| Replay::open(path, pace, clock, dispatch.clone(), shard).map_err(said);
    (0..dispatch.shards()).map(replay).collect()
}

fn queues(
    settings: &Settings,
    numbers: Queues,
    clock: Clock,
    dispatch: &Dispatch,
) -> Result<Vec<Queue>, String> {
    let set = &settings.queue;
    let options = queue::Options {
        copy: u32::try_from(set.copy.get()).unwrap_or(queue::MAX_COPY),
        length: u32::try_from(set.length.get()).unwrap_or(u32::MAX),
        fail_open: set.fail_open,
        buffer: set.buffer.get(),
    };
    let wanted = Wanted {
        marking: Marking::new(set.mark_mask.0, set.connmark_mask.0)?,
        drop_invalid: settings.run.drop_invalid,
        fail_open: set.fail_open,
        waiting: held_at_most(set.length.get(), numbers.numbers().len()),
    };
    let queues = numbers
        .numbers()
        .map(|number| queue::Queue::open(number, &options));
    let queues = queues.collect::<Result<Vec<_>, _>>().map_err(said)?;
    let exchange = Arc::new(Exchange::new(&queues).map_err(said)?);
    info!(
        "tracks the packets of {}; those for which there is no room {}",
        match (numbers.numbers().start(), numbers.numbers().end()) {
            (first, last) if first == last => format!("queue {first}"),
            (first, last) => format!("queues {first} to {last}"),
        },
        if set.fail_open {
            "pass unseen"
        } else {
            "are dropped"
        }
    );
    let source = |(shard, queue)| {
        Queue::new(queue, clock, dispatch.clone(), shard, &wanted, &exchange).map_err(said)
    };
    queues.into_iter().enumerate().map(source).collect()
}

/// Takes the table over from the daemon before.
fn inherit(
    predecessor: &mut Predecessor,
    dispatch: &Dispatch,
    shards: &mut [Shard],
) -> Result<(), String> {
    let mut refused = 0_u64;
    let entries = predecessor.entries(|message| {
        if !restore_one(message, dispatch, shards) {
            refused += 1;
        }
    })?;
    shards
        .iter_mut()
        .for_each(|shard| shard.conntrack.reunite());
    info!("{} entries were taken over", entries - refused);
    if refused > 0 {
        warn!("{refused} entries do not fit into this table, and are left out");
    }
    Ok(())
}

/// Takes the saved table back.
fn take_back(path: &Path, dispatch: &Dispatch, shards: &mut [Shard]) -> Result<(), String> {
    let mut refused = 0_u64;
    let restored = state::restore(path, |message| {
        if !restore_one(message, dispatch, shards) {
            refused += 1;
        }
    });
    // Children and their masters may have come in any order.
    shards
        .iter_mut()
        .for_each(|shard| shard.conntrack.reunite());
    let name = path.display();
    match restored.map_err(|error| error.to_string())? {
        Restored::Nothing => info!("{name}: no table was saved; it begins empty"),
        Restored::Entries(entries) => {
            info!("{name}: {} entries were taken back", entries - refused);
            if refused > 0 {
                warn!("{name}: {refused} entries do not fit into this table, and are left out");
            }
        }
        Restored::Aside(why, aside) => error!(
            "{name}: {why}; it is kept as {}, and the table begins empty",
            aside.display()
        ),
    }
    Ok(())
}

/// Takes an entry back where its packets will come. => whether it is there now.
fn restore_one(message: &Message<'_>, dispatch: &Dispatch, shards: &mut [Shard]) -> bool {
    let Ok(entry) = Entry::read(message) else {
        return false;
    };
    let home = dispatch.shard_of_tuple(&entry.connection.original);
    shards.get_mut(home).is_some_and(|shard| {
        let now = shard.conntrack.now();
        shard.conntrack.restore(message, now).is_ok()
    })
}

/// Fragments that may wait with each of so many workers: together no more than half of what waits in queues of that
/// length, so that others have room.
fn held_at_most(length: usize, workers: usize) -> usize {
    (length / (2 * workers.max(1))).min(HELD_AT_MOST)
}
