//! `ipct sysctl`: the knobs of the running daemon, read and set as sysctl(8) does with the kernel's.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ip_conntrack::format::netlink::Ask;
use ip_conntrack::format::netlink::own::{self, Told};
use ip_conntrack::{Config, Knob};

use crate::conntrack::{Failure, Outcome, Table, Voice, Whose};
use crate::daemon::settings::DEFAULT_CONTROL;
use crate::say;

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Sysctl {
    /// Show all knobs
    #[arg(short, long, conflicts_with = "knobs")]
    all: bool,

    /// Show values without names
    #[arg(short = 'n', long)]
    values: bool,

    /// Set knobs; the same without it
    #[arg(short, long)]
    write: bool,

    /// The daemon's socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_CONTROL)]
    socket: PathBuf,

    /// Knobs by their names today or of old, alone or with their path. With a value, they are set
    #[arg(value_name = "NAME[=VALUE]")]
    knobs: Vec<String>,
}

/// Shows and sets, one after the other. What fails is said, and the others are done all the same.
pub(crate) fn run(arguments: &Sysctl) -> ExitCode {
    let mut table = match Table::open(&Whose::Daemons(arguments.socket.clone())) {
        Ok(table) => table,
        Err(failure) => return Voice::Ipct.fail(&failure),
    };
    let done: Vec<_> = match arguments.all {
        true => vec![show_all(&mut table, arguments.values)],
        false => arguments
            .knobs
            .iter()
            .map(|word| one(&mut table, arguments, word))
            .collect(),
    };
    let mut status = ExitCode::SUCCESS;
    for done in done {
        match done {
            Ok(()) | Err(Failure::ReaderGone) => {}
            Err(Failure::Failed(text) | Failure::Usage(text)) => {
                say(format_args!("{text}"));
                status = ExitCode::FAILURE;
            }
        }
    }
    status
}

fn show_all(table: &mut Table, values: bool) -> Result<(), Failure> {
    let outcome = table.ask(Ask::Own(own::Ask::Knobs), |message| {
        match Told::read(message) {
            Some(Told::Knob(name, value)) => Ok(print(values, &dotted(name), value)?),
            _ => Ok(()),
        }
    })?;
    outcome_of(outcome, "the knobs")
}

fn one(table: &mut Table, arguments: &Sysctl, word: &str) -> Result<(), Failure> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None if arguments.write => {
            return Err(Failure::Failed(format!(
                "{word}: a knob to be set needs a value, as in {word}=1"
            )));
        }
        None => (word, None),
    };
    if let Some(value) = value {
        set(table, name, value)?;
    }
    show(table, arguments.values, name)
}

fn show(table: &mut Table, values: bool, name: &str) -> Result<(), Failure> {
    if Knob::by_name(name).is_none() {
        // The error knows which one was probably meant.
        let error = Config::default().set_by_name(name, "0");
        return error
            .map(drop)
            .map_err(|error| Failure::Failed(error.to_string()));
    }
    let ask = Ask::Own(own::Ask::Knob(name.to_owned()));
    let outcome = table.ask(ask, |message| match Told::read(message) {
        Some(Told::Knob(_, value)) => Ok(print(values, &dotted(name), value)?),
        _ => Ok(()),
    })?;
    outcome_of(outcome, name)
}

fn set(table: &mut Table, name: &str, value: &str) -> Result<(), Failure> {
    let Ok(number) = value.parse::<i64>() else {
        let error = Config::default().set_by_name(name, value).err();
        let text = error.map_or_else(
            || format!("{name}={value}: accepts a whole number"),
            |error| error.to_string(),
        );
        return Err(Failure::Failed(text));
    };
    let ask = Ask::Own(own::Ask::SetKnob(name.to_owned(), number));
    let outcome = table.ask(ask, |_| Ok(()))?;
    outcome_of(outcome, name)
}

/// What was refused is said in the daemon's words, which name knob, value and mend.
fn outcome_of(outcome: Outcome, what: &str) -> Result<(), Failure> {
    match outcome {
        Outcome::Whole | Outcome::Interrupted => Ok(()),
        Outcome::Refused(_, Some(words)) if words.contains(what) => Err(Failure::Failed(words)),
        Outcome::Refused(_, Some(words)) => Err(Failure::Failed(format!("{what}: {words}"))),
        Outcome::Refused(errno, None) => {
            let error = io::Error::from_raw_os_error(errno);
            Err(Failure::Failed(format!("{what}: {error}")))
        }
    }
}

fn print(values: bool, name: &str, value: i64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match values {
        true => writeln!(out, "{value}"),
        false => writeln!(out, "{name} = {value}"),
    }
}

/// The whole name of a knob, as sysctl prints it: of old names, the old one.
fn dotted(name: &str) -> String {
    let Some(knob) = Knob::by_name(name) else {
        return name.to_owned();
    };
    let info = knob.info();
    let name = name
        .strip_prefix("/proc/sys/")
        .unwrap_or(name)
        .replace('.', "/");
    let is_it = |old: &&&str| **old == name || old.rsplit('/').next() == Some(&name);
    match info.old_names.iter().find(is_it) {
        Some(old) if !name.ends_with(info.name) => old.replace('/', "."),
        _ => format!("{}/{}", info.path, info.name).replace('/', "."),
    }
}
