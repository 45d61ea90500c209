//! A script played into the kernel, in real time.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::linux::{Linux, Outcome};
use crate::ours::original_of;
use crate::script::{Case, Script};
use crate::{Mismatch, Observation};

/// Plays a script; returns every packet that did not do what was expected of it.
///
/// # Errors
///
/// The kernel refuses a knob, or the way to it broke.
pub fn play(script: &Script, linux: &mut Linux) -> Result<Vec<Mismatch>, String> {
    linux.be_a_host()?;
    let mut before = Vec::new();
    for (name, value) in &script.sysctls {
        before.push((name, linux.knob(name)?));
        linux.set(name, value)?;
    }
    let mut mismatches = Vec::new();
    for case in &script.cases {
        let found = play_case(case, linux).map_err(|error| format!("the kernel: {error}"))?;
        mismatches.extend(found);
    }
    for (name, value) in before {
        linux.set(name, &value)?;
    }
    Ok(mismatches)
}

fn play_case(case: &Case, linux: &mut Linux) -> io::Result<Vec<Mismatch>> {
    linux.flush()?;
    let start = Instant::now();
    let mut mismatches = Vec::new();
    for step in &case.steps {
        sleep(Duration::from_nanos(step.at).saturating_sub(start.elapsed()));
        let outcome = linux.send(&step.packet.bytes())?;
        let seen = Observation {
            class: match outcome.taken && outcome.class.is_some() && !outcome.passed {
                true => "dropped".to_owned(),
                false => class(&outcome).to_owned(),
            },
            entry: linux.get(original_of(step).into(), step.expected.zone)?,
        };
        if !step.expected.agrees(&seen) {
            mismatches.push(Mismatch {
                line: step.line,
                case: case.title.clone(),
                seen,
                reason: None,
            });
        }
    }
    Ok(mismatches)
}

/// The class, as scripts name it.
pub fn class(outcome: &Outcome) -> &str {
    match &outcome.class {
        _ if !outcome.taken => "dropped",
        None => "held",
        Some((class, _)) => class,
    }
}
