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

mod asked;
mod change;
mod count;
mod events;
mod expect;
mod filter;
mod labels;
mod list;
mod load;
mod options;
mod output;
mod process;
mod request;
mod say;
mod seen;
mod table;
mod whole;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

pub(crate) use options::{Whose, completions};
pub(crate) use say::{Failure, Voice};
pub(crate) use table::{Outcome, Table};
pub(crate) use whole::{DAEMONS, Whole};

use change::Tables;
use filter::Filter;
use labels::LabelNames;
use options::{Command, Order, TableName};
use output::Printer;

/// Whether a command line is conntrack(8)'s: by the name that the program was called by, or because it
/// begins with an option.
pub(crate) fn voice(arguments: &[OsString]) -> Option<Voice> {
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    if called.is_some_and(|name| name == "conntrack") {
        return Some(Voice::Conntrack);
    }
    let first = arguments.get(1)?.to_str()?;
    let is_about_verbs = arguments.len() == 2 && first == "--help";
    (first.starts_with('-') && !is_about_verbs).then_some(Voice::Ipct)
}

/// The help, as `ipct -h` prints it.
pub(crate) fn help() -> String {
    options::help(Voice::Ipct, None)
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
    if let Some((before, file)) = load::asked(words) {
        return match file {
            Some(file) => load::run(before, &file, voice),
            None => say::usage("option `-R' requires an argument"),
        };
    }
    let order = options::parse(words, voice)?;
    match order.command {
        Command::Help => print(&options::help(voice, order.known())),
        Command::Version => version(voice),
        Command::Count => count::count(&order),
        Command::Stats => count::stats(&order),
        Command::List | Command::Get | Command::Event => show(&order, voice),
        Command::Create | Command::Add | Command::Update | Command::Delete | Command::Flush => {
            change(&order, voice)
        }
    }
}

fn print(text: &str) -> Result<ExitCode, Failure> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn version(voice: Voice) -> Result<ExitCode, Failure> {
    if voice == Voice::Conntrack {
        say::note(&format!("answered by {}", Voice::Ipct.version()));
    }
    print(&format!("{}\n", voice.version()))
}

/// What shows entries and changes none.
fn show(order: &Order, voice: Voice) -> Result<ExitCode, Failure> {
    let names = LabelNames::of(order);
    let filter = Filter::new(order, names.bits(order)?.wanted);
    let pairs = names.pairs();
    let mut printer = Printer::new(order, &pairs);
    let printer = &mut printer;
    match (order.command, order.table) {
        (Command::Event, _) => events::run(order, &filter, printer, voice),
        (Command::Get, TableName::Expect) => expect::get(order, printer, voice),
        (Command::Get, _) => list::get(order, printer, &filter, voice),
        (_, TableName::Expect) => expect::list(order, printer, voice),
        _ => list::list(order, &filter, printer, voice),
    }
}

/// What changes the table. That nothing was there to be deleted or updated is a failure.
fn change(order: &Order, voice: Voice) -> Result<ExitCode, Failure> {
    let count = change::run(order, &mut Tables::default())?;
    let what = match order.table {
        TableName::Expect => "expectations",
        _ => "flow entries",
    };
    let done = match order.command {
        Command::Create => "created",
        Command::Add => "added",
        Command::Update => "updated",
        Command::Delete => "deleted",
        _ if order.table == TableName::Expect => {
            voice.say("expectation table has been emptied.");
            return Ok(ExitCode::SUCCESS);
        }
        _ => {
            voice.say("connection tracking table has been emptied.");
            return Ok(ExitCode::SUCCESS);
        }
    };
    voice.say(&format!("{count} {what} have been {done}."));
    let needs_one = matches!(order.command, Command::Update | Command::Delete);
    Ok(match needs_one && count == 0 {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
