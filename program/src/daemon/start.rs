//! The tracker at its start: the knobs, the saved table, the packets' source, the workers.

use std::path::Path;
use std::sync::Arc;

use ip_conntrack::format::netlink::Message;
use ip_conntrack::{Conntrack, Dispatch, Knob, Limit};
use tracing::{error, info, warn};

use super::settings::Settings;
use super::source::{Bridge, Clock, Nothing, Pace, Policy, Replay, Source, Sources, Tap};
use super::state::{self, Restored};
use super::tracker::Tracker;
use super::worker::{Shard, Workers};
use crate::cli::default_config;
use crate::knobs;
use crate::seed::random_seed;

/// Makes the workers, with what was saved.
///
/// # Errors
///
/// In words: the capture cannot be opened, or the system gives no thread.
pub(super) fn tracker(settings: &Settings) -> Result<Tracker, String> {
    let mut config = default_config();
    knobs::set_all(&mut config, &settings.sysctl).map_err(|error| error.to_string())?;
    let count = settings.run.workers.get();
    let max = u32::try_from(config.get(Knob::Max)).unwrap_or(0);
    let limit = Limit::new(max, count);
    let (seed, clock) = (random_seed(), Clock::start());
    let dispatch = Dispatch::new(seed, count);
    let key = [(seed >> 64) as u64, seed as u64];
    let sources = sources(settings, clock, &dispatch, key)?;
    let mut shards = Vec::with_capacity(count);
    for source in sources {
        let mut conntrack = Conntrack::with_limit(config.clone(), seed, &limit);
        conntrack.advance(clock.origin());
        shards.push((Shard::new(conntrack), source));
    }
    if let Some(path) = &settings.state.path {
        take_back(path, &dispatch, &mut shards)?;
    }
    if let most @ 1.. = settings.bridge.per_source.get() {
        let sources = Arc::new(Sources::new(u32::try_from(most).unwrap_or(u32::MAX)));
        for (shard, _) in &mut shards {
            shard.conntrack.set_census(sources.clone());
        }
    }
    let workers = Workers::start(dispatch, shards);
    let workers = workers.map_err(|error| format!("workers cannot be started: {error}"))?;
    Ok(Tracker::new(workers, limit))
}

type AnySource = Box<dyn Source>;

/// A source for each worker. `key` is that of the dispatch.
fn sources(
    settings: &Settings,
    clock: Clock,
    dispatch: &Dispatch,
    key: [u64; 2],
) -> Result<Vec<AnySource>, String> {
    fn boxed<S: Source + 'static>(sources: Vec<S>) -> Vec<AnySource> {
        sources
            .into_iter()
            .map(|source| Box::new(source) as AnySource)
            .collect()
    }
    let workers = 0..dispatch.shards();
    if let Some(names) = &settings.run.bridge.0 {
        let policy = Policy::of(&settings.bridge);
        let bridges = Bridge::several(names, policy, clock, dispatch);
        return bridges.map(boxed).map_err(|error| error.to_string());
    }
    if !settings.run.tap.is_none() {
        return Tap::several(settings, clock, key, dispatch.shards()).map(boxed);
    }
    let Some(path) = &settings.run.replay else {
        warn!("no packets come from anywhere: entries are made by hand only");
        return Ok(boxed(workers.map(|_| Nothing(clock)).collect()));
    };
    let replays = workers.map(|shard| replay(path, settings, clock, dispatch, shard));
    replays.collect::<Result<Vec<_>, _>>().map(boxed)
}

fn replay(
    path: &Path,
    settings: &Settings,
    clock: Clock,
    dispatch: &Dispatch,
    shard: usize,
) -> Result<Replay, String> {
    let reads_twice = settings.run.repeat || dispatch.shards() > 1;
    if reads_twice && !path.is_file() {
        return Err(format!(
            "{}: it is read more than once, and so must be a file, for --loop and for several workers",
            path.display()
        ));
    }
    let pace = Pace {
        speed: settings.run.speed,
        repeat: settings.run.repeat,
    };
    let replay = Replay::open(path, pace, clock, dispatch.clone(), shard);
    replay.map_err(|error| error.to_string())
}

type Shards = [(Shard, AnySource)];

/// Takes the saved table back.
fn take_back(path: &Path, dispatch: &Dispatch, shards: &mut Shards) -> Result<(), String> {
    let mut refused = 0_u64;
    let restored = state::restore(path, |message| {
        if !restore_one(message, dispatch, shards) {
            refused += 1;
        }
    });
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

fn restore_one(message: &Message<'_>, dispatch: &Dispatch, shards: &mut Shards) -> bool {
    let _ = (message, dispatch, shards);
    false
}
