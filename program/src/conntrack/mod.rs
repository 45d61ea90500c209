//! conntrack(8)'s command line, for two tables: the kernel's and the daemon's.
//!
//! **One way for both.** An order is read from the words ([`options`]), a socket is opened to whoever
//! has the table ([`table`]), requests go out and answers come in as ctnetlink's messages, and what was
//! asked for is printed in conntrack-tools' forms. Nothing below [`table::Table::open`] asks whose table
//! it is, but where the kernel has a defect that has to be gone around.
//!
//! **What goes where.** stdout: entries, events, numbers. stderr: how many they were, and what went wrong
//! ([`say`] tells how it is signed). Status 0, 1 (it did not work, or nothing was there to delete or
//! update), 2 (the command line is wrong).
//!
//! **Filters** are what the options say, in the tool's sense ([`filter`]); what the kernel can choose
//! itself it is asked to, and everything is looked at here once more.
//!
//! Source: conntrack(8) of conntrack-tools 1.4.7 as it behaves; its defects are not kept (what that changes
//! is said where it does).

mod filter;
mod labels;
mod options;
mod say;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

pub(crate) use say::Voice;

use options::{Command, Order};
use say::Failure;

/// Whether a command line is conntrack(8)'s: by the name that the program was called by, or because it
/// begins with an option.
pub(crate) fn voice(arguments: &[OsString]) -> Option<Voice> {
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    if called.is_some_and(|name| name == "conntrack") {
        return Some(Voice::Conntrack);
    }
    let first = arguments.get(1)?.to_str()?;
    let is_ours = arguments.len() == 2 && matches!(first, "-h" | "--help");
    (first.starts_with('-') && !is_ours).then_some(Voice::Ipct)
}

/// Carries out a command line; `arguments` begin with the program's name.
pub(crate) fn run(arguments: &[OsString], voice: Voice) -> ExitCode {
    let words: Vec<String> = arguments
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match carry_out(&words, voice) {
        Ok(status) => status,
        Err(failure) => voice.fail(&failure),
    }
}

fn carry_out(words: &[String], voice: Voice) -> Result<ExitCode, Failure> {
    let order = options::parse(words, voice)?;
    obey(&order, voice)
}

fn obey(order: &Order, voice: Voice) -> Result<ExitCode, Failure> {
    match order.command {
        Command::Help => {
            print!("{}", options::help(voice, order.known()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            println!("{}", voice.version());
            Ok(ExitCode::SUCCESS)
        }
        _ => say::failed("not yet"),
    }
}
