//! Files: Landlock lets the daemon open what it reads and writes again, and nothing else.
//!
//! What is open already stays open. A directory stands for the file in it, since files are replaced: the saved
//! table by the daemon, the configuration by whoever writes it.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, make_bitflags, path_beneath_rules,
};
use tracing::{debug, info};

use super::Plan;

/// What is known here; of that, an older kernel does what it can.
const KNOWN: ABI = ABI::V6;

/// Closes all files but those of the plan, TCP in both directions, and signals to other processes.
pub(super) fn confine(plan: &Plan) -> Result<(), String> {
    if plan.calls.unmount {
        // Under Landlock, nobody may.
        return Ok(());
    }
    match enforce(plan) {
        Ok(RulesetStatus::FullyEnforced) => debug!("Landlock: files are closed"),
        Ok(RulesetStatus::PartiallyEnforced) => {
            info!("Landlock: files are closed as far as this kernel can");
        }
        Ok(RulesetStatus::NotEnforced) => {
            info!("Landlock: this kernel has none, so files stay open as their modes say");
        }
        Err(error) => return Err(format!("Landlock: {error}")),
    }
    Ok(())
}

fn enforce(plan: &Plan) -> Result<RulesetStatus, RulesetError> {
    let writes: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | MakeReg | RemoveFile | Truncate});
    let reads: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let clears: BitFlags<AccessFs> = AccessFs::RemoveFile.into();
    let directories = |places: &[super::Place]| -> Vec<_> {
        let directory = |place: &super::Place| place.directory.clone();
        places.iter().map(directory).collect()
    };
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(directories(&plan.writes), writes))?
        .add_rules(path_beneath_rules(directories(&plan.clears), clears))?
        .add_rules(path_beneath_rules(&plan.reads, reads))?;
    Ok(rules.restrict_self()?.ruleset)
}
