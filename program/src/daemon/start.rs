//! The tracker at its start: the knobs, the saved table, the packets' source, the workers.

use std::path::Path;

use ip_conntrack::format::netlink::{Entry, Message};
use ip_conntrack::{Conntrack, Dispatch, Knob, Limit};
use tracing::{error, info, warn};

use super::settings::Settings;
use super::source::{Clock, Nothing, Pace, Replay, Source};
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
    let mut shards = Vec::with_capacity(count);
    for number in 0..count {
        let source = source(settings, clock, &dispatch, number)?;
        let mut conntrack = Conntrack::with_limit(config.clone(), seed, &limit);
        conntrack.advance(clock.origin());
        shards.push((Shard::new(conntrack), source));
    }
    if let Some(path) = &settings.state.path {
        take_back(path, &dispatch, &mut shards)?;
    }
    let workers = Workers::start(dispatch, shards);
    let workers = workers.map_err(|error| format!("workers cannot be started: {error}"))?;
    Ok(Tracker::new(workers, limit))
}

fn source(
    settings: &Settings,
    clock: Clock,
    dispatch: &Dispatch,
    shard: usize,
) -> Result<Box<dyn Source>, String> {
    let Some(path) = &settings.run.replay else {
        if shard == 0 {
            warn!("no packets come from anywhere: entries are made by hand only");
        }
        return Ok(Box::new(Nothing(clock)));
    };
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
    Ok(Box::new(replay.map_err(|error| error.to_string())?))
}

type Shards = [(Shard, Box<dyn Source>)];

/// Takes the saved table back.
fn take_back(path: &Path, dispatch: &Dispatch, shards: &mut Shards) -> Result<(), String> {
    let mut refused = 0_u64;
    let restored = state::restore(path, |message| {
        if !restore_one(message, dispatch, shards) {
            refused += 1;
        }
    });
    // Children and their masters may have come in any order.
    for (shard, _) in shards.iter_mut() {
        shard.conntrack.reunite();
    }
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
fn restore_one(message: &Message<'_>, dispatch: &Dispatch, shards: &mut Shards) -> bool {
    let Ok(entry) = Entry::read(message) else {
        return false;
    };
    let home = dispatch.shard_of_tuple(&entry.connection.original);
    shards.get_mut(home).is_some_and(|(shard, _)| {
        let now = shard.conntrack.now();
        shard.conntrack.restore(message, now).is_ok()
    })
}
