//! What the tests that play scripts share: which files there are, and what a failure says.

use std::path::{Path, PathBuf};

use lab::counts::Counts;
use lab::ours::Ours;
use lab::play::{Mismatch, Played, play};
use lab::script::Script;
use libtest_mimic::Failed;

/// The folder of scripts.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

/// All scripts that need the kernel for themselves, or all others, with names for their tests.
pub(crate) fn scripts(alone: bool) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    files.sort();
    // What cannot be read fails where it is played.
    let is_alone = |script: &Script| script.is_global() || script.needs_silence();
    let needs_it_alone = |file: &PathBuf| read(file).is_ok_and(|(_, script)| is_alone(&script));
    files.retain(|file| needs_it_alone(file) == alone);
    assert!(!files.is_empty(), "no scripts under {}", root().display());
    let named = files.into_iter().map(|file| {
        let name = file
            .strip_prefix(root())
            .unwrap_or(&file)
            .display()
            .to_string();
        (name, file)
    });
    named.collect()
}

/// All scripts in a folder and those below it.
pub(crate) fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "trace")
        {
            files.push(path);
        }
    }
}

/// A script and its text.
pub(crate) fn read(file: &Path) -> Result<(String, Script), Failed> {
    let text = std::fs::read_to_string(file)?;
    let name = file.display();
    let script = Script::parse(&text).map_err(|(line, why)| format!("{name}:{line}: {why}"))?;
    if !text.starts_with("# ") {
        return Err("the first line must say what the script shows".into());
    }
    let differs = script.cases.iter().any(lab::script::Case::differs);
    let mut parts = file.components();
    if differs != parts.any(|part| part.as_os_str() == "differences") {
        return Err("differences from Linux are in the folder `differences`, and only they".into());
    }
    Ok((text, script))
}

/// Plays a script into the engine; returns what it counted in each case.
pub(crate) fn play_ours(file: &Path) -> Result<Vec<Counts>, Failed> {
    let (text, script) = read(file)?;
    let played = play(&script, &mut Ours::default(), false)?;
    report(file, &text, &played)?;
    Ok(played.counts)
}

/// Plays a script into the kernel, and compares what both counted.
pub(crate) fn play_theirs(file: &Path, kernel: &mut lab::theirs::Theirs) -> Result<(), Failed> {
    let (text, script) = read(file)?;
    let played = play(&script, kernel, false)?;
    report(file, &text, &played)?;
    let ours = play(&script, &mut Ours::default(), false)?.counts;
    for (case, (ours, theirs)) in script.cases.iter().zip(ours.iter().zip(&played.counts)) {
        if !case.differs() && ours != theirs {
            let name = file.display();
            return Err(format!("{name}: {}: engine {ours}, kernel {theirs}", case.title).into());
        }
    }
    Ok(())
}

fn report(file: &Path, text: &str, played: &Played) -> Result<(), Failed> {
    if played.mismatches.is_empty() {
        return Ok(());
    }
    let line = |mismatch: &Mismatch| {
        let source = text.lines().nth(mismatch.line - 1).unwrap_or_default();
        format!(
            "{}:{}: {}\n    {}\n    seen: {} ({})\n",
            file.display(),
            mismatch.line,
            mismatch.case,
            source.trim(),
            mismatch.seen,
            mismatch.reason.unwrap_or("no reason"),
        )
    };
    let report: String = played.mismatches.iter().map(line).collect();
    Err(report.into())
}

/// Passes over what cannot be done here, or fails where it must be.
pub(crate) fn skip(why: &str) -> Result<(), Failed> {
    if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some() {
        return Err(format!("the kernel is required, but: {why}").into());
    }
    eprintln!("skipped: {why}");
    Ok(())
}
