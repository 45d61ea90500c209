//! What the daemon needs beyond its start, by its settings.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::thread::CapabilitySet;

use super::rights::{Calls, Place, Plan};
use super::settings::{DEFAULT_PATH, Settings};

/// The files in which names of users and groups stand.
const NAMES: [&str; 3] = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];

/// The rights that remain for these settings. `config` is the configuration's path if it was named.
pub(super) fn of(settings: &Settings, config: Option<&Path>) -> Plan {
    let run = &settings.run;
    let has_tap = !run.tap.is_none();
    let mut capabilities = CapabilitySet::empty();
    // Another user than root owns the socket, and has no choice of owners.
    capabilities.set(CapabilitySet::CHOWN, run.user.is_none());
    capabilities.set(CapabilitySet::NET_ADMIN, run.queue.is_some());
    capabilities.set(CapabilitySet::BPF, has_tap);
    let state = settings.state.path.as_ref();
    Plan {
        user: run.user.clone(),
        sandbox: run.sandbox,
        capabilities,
        writes: state
            .map(|path| Place::of(path, "state.path"))
            .into_iter()
            .collect(),
        clears: vec![Place::of(&settings.control.path, "control.path")],
        reads: reads(settings, config.unwrap_or(Path::new(DEFAULT_PATH))),
        calls: Calls {
            interfaces: has_tap || run.bridge.0.is_some(),
            programs: has_tap,
            unmount: false,
        },
    }
}

/// What is opened again: the configuration, the names in it, a capture that is repeated.
fn reads(settings: &Settings, config: &Path) -> Vec<PathBuf> {
    let mut reads: Vec<_> = NAMES.iter().map(PathBuf::from).collect();
    reads.push(Place::of(config, "").directory);
    // It may be a link to somewhere else.
    reads.extend(fs::canonicalize(config));
    reads.extend(settings.run.replay.clone());
    reads
}
