//! `lab script`: plays packet scripts into both and shows, line by line, what each made of it.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use lab::linux::{Globals, Linux};
use lab::ours::Ours;
use lab::play::{Mismatch, play};
use lab::script::Script;
use lab::theirs::Theirs;

#[derive(Debug, Args)]
pub(crate) struct Scripts {
    /// Script files
    #[arg(required = true, value_name = "SCRIPT")]
    files: Vec<PathBuf>,

    /// Show every packet, not only those that did something else than expected
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(arguments: &Scripts) -> Result<bool, String> {
    let mut scripts = Vec::new();
    for file in &arguments.files {
        let name = file.display();
        let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        let script = Script::parse(&text).map_err(|(line, why)| format!("{name}:{line}: {why}"))?;
        scripts.push((name, text, script));
    }

    let globals = match scripts.iter().any(|(_, _, script)| script.is_global()) {
        true => Some(Globals::open()?),
        false => None,
    };
    let mut kernel = Theirs::new(Linux::new()?, globals);
    let mut good = true;
    for (name, text, script) in &scripts {
        let said = |why: String| format!("{name}: {why}");
        let ours = play(script, &mut Ours::default(), arguments.all).map_err(said)?;
        let theirs = play(script, &mut kernel, arguments.all).map_err(said)?;
        let is_right = ours.mismatches.is_empty() && theirs.mismatches.is_empty();
        good &= arguments.all || is_right;
        show(text, &ours.mismatches, &theirs.mismatches);
        let counts = ours.counts.iter().zip(&theirs.counts);
        for (case, (ours, theirs)) in script.cases.iter().zip(counts) {
            if ours != theirs && !case.differs() {
                good = false;
                println!("case {}: engine {ours}, kernel {theirs}", case.title);
            }
        }
    }
    Ok(good)
}

fn show(text: &str, ours: &[Mismatch], theirs: &[Mismatch]) {
    for (number, line) in text.lines().enumerate() {
        let at = |mismatches: &[Mismatch]| {
            let mut found = mismatches.iter();
            let found = found.find(|mismatch| mismatch.line == number + 1);
            found.map(|mismatch| (mismatch.seen.clone(), mismatch.reason))
        };
        if line.starts_with("case") {
            println!("{line}");
        }
        let (engine, kernel) = (at(ours), at(theirs));
        if engine.is_some() || kernel.is_some() {
            println!("{line}");
        }
        for (who, seen) in [("engine", engine), ("kernel", kernel)] {
            if let Some((seen, reason)) = seen {
                println!("    {who}: {seen} {}", reason.unwrap_or_default());
            }
        }
    }
}
