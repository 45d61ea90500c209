//! `lab script`: plays packet scripts into both and shows, line by line, what each made of it.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use lab::linux::Linux;
use lab::script::Script;
use lab::{Mismatch, Observation, ours, theirs};

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
    let mut linux = Linux::new()?;
    let mut good = true;
    for file in &arguments.files {
        let name = file.display();
        let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        let mut script =
            Script::parse(&text).map_err(|(line, why)| format!("{name}:{line}: {why}"))?;
        if arguments.all {
            // A class that no packet has makes every packet a mismatch.
            let steps = script.cases.iter_mut().flat_map(|case| &mut case.steps);
            steps.for_each(|step| step.expected.class.clear());
        }
        let ours = ours::play(&script).map_err(|error| format!("{name}: {error}"))?;
        let theirs = theirs::play(&script, &mut linux)?;
        good &= arguments.all || (ours.is_empty() && theirs.is_empty());
        show(&text, &ours, &theirs);
    }
    Ok(good)
}

fn show(text: &str, ours: &[Mismatch], theirs: &[Mismatch]) {
    for (number, line) in text.lines().enumerate() {
        let at = |mismatches: &[Mismatch]| {
            let found = mismatches
                .iter()
                .find(|mismatch| mismatch.line == number + 1);
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
            if let Some((Observation { class, entry }, reason)) = seen {
                let entry = entry.map_or("no entry".to_owned(), |entry| entry.to_string());
                println!("    {who}: {class} {entry} {}", reason.unwrap_or_default());
            }
        }
    }
}
