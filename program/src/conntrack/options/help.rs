//! The help, made from the declarations.

use std::fmt::Write;

use super::declared::{Argument, COMMANDS, OPTIONS};
use super::protocol::{Known, PartOption, Written};
use crate::conntrack::say::Voice;

/// The column in which explanations begin.
const COLUMN: usize = 44;

/// Commands, options, and those of the protocol that was asked for.
pub(crate) fn help(voice: Voice, known: Option<&'static Known>) -> String {
    let name = voice.name();
    let mut text = format!(
        "{}\nUsage: {name} COMMAND [TABLE] [OPTIONS]\n\nCommands:\n",
        voice.version()
    );
    for c in COMMANDS {
        let longs = c.longs.first().map_or("", |long| long);
        line(
            &mut text,
            &format!("-{}, --{longs} {}", c.letter, c.follows),
            c.doc,
        );
    }
    line(
        &mut text,
        "-R, --load-file FILE",
        "Carry out the commands in FILE, one a line; - is standard input",
    );
    text.push_str(
        "\nTables: conntrack (if none is named), expect, dying, unconfirmed\n\nOptions:\n",
    );
    for o in OPTIONS {
        let short = o
            .short
            .map_or("    ".to_owned(), |short| format!("-{short}, "));
        let argument = match o.argument {
            Argument::Never => String::new(),
            Argument::Maybe(name) => format!(" [{name}]"),
            Argument::Needed(name) => format!(" {name}"),
        };
        let longs = longs(o.longs);
        line(&mut text, &format!("{short}{longs}{argument}"), o.doc);
    }
    if let Some(known) = known {
        protocol(&mut text, known);
    }
    if voice == Voice::Ipct {
        text.push_str("\nCommands that conntrack(8) has no word for: ipct --help\n");
    }
    text
}

fn protocol(text: &mut String, known: &'static Known) {
    let _ = write!(text, "\n{} options:\n", known.title);
    for option in known.options() {
        let PartOption { longs, doc, .. } = option;
        let argument = match option.written {
            Written::Number(_) => "NUMBER",
            Written::State => "STATE",
            Written::Role => "ROLE",
        };
        line(text, &format!("    {} {argument}", self::longs(longs)), doc);
    }
}

fn longs(longs: &[&str]) -> String {
    let dashed: Vec<String> = longs.iter().map(|long| format!("--{long}")).collect();
    dashed.join(", ")
}

fn line(text: &mut String, names: &str, doc: &str) {
    let _ = if names.len() + 3 > COLUMN {
        writeln!(text, "  {names}\n{:COLUMN$}{doc}", "")
    } else {
        writeln!(text, "  {names:width$}{doc}", width = COLUMN - 2)
    };
}
