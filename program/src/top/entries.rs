//! Entries of a selection, listed and deleted: by this program's own conntrack(8), run for it, so that what
//! is selected is what those options select, and no other way to delete exists.

use std::process::Command;

use super::model::Target;
use crate::report::Live;

/// Lines that are kept, at most.
const MOST: usize = 1_000;

/// The entries of a selection, a line each.
pub(super) fn list(target: &Target, live: Option<&Live>) -> Result<Vec<String>, String> {
    let output = run("-L", target, live)?;
    let text = String::from_utf8_lossy(&output.0).into_owned();
    Ok(text.lines().take(MOST).map(str::to_owned).collect())
}

/// Deletes a selection. => what came of it.
pub(super) fn delete(target: &Target, live: Option<&Live>) -> String {
    match run("-D", target, live) {
        Ok((_, said)) => said,
        Err(error) => error,
    }
}

fn run(what: &str, target: &Target, live: Option<&Live>) -> Result<(Vec<u8>, String), String> {
    let Some(live) = live else {
        return Err("a file's entries cannot be asked for; use conntrack -L or grep".to_owned());
    };
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut command = Command::new(program);
    match live.kernel {
        true => command.arg("--kernel"),
        false => command.arg("--socket").arg(&live.socket),
    };
    let output = command.arg(what).args(&target.options).output();
    let output = output.map_err(|error| format!("{what}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default().to_owned();
    match output.status.success() || output.stdout.is_empty() && said.contains("flow entries") {
        true => Ok((output.stdout, said)),
        false => Err(said),
    }
}
