//! The words of a command line, taken apart as getopt does it: short options may be joined, long ones
//! cut short as long as one is meant, arguments joined or apart, and words between options are kept for
//! later. A protocol's options are known once the protocol is.

use super::declared::{Argument, COMMANDS, Declared, DeclaredCommand, OPTIONS};
use super::protocol::{Known, PartOption};
use crate::conntrack::say::{Failure, usage};

/// What an option's name leads to.
#[derive(Clone, Copy)]
pub(super) enum Named {
    Command(&'static DeclaredCommand),
    Option(&'static Declared),
    Part(&'static PartOption),
}

impl Named {
    fn argument(self) -> Argument {
        match self {
            // The table, which is a word of its own.
            Named::Command(declared) if matches!(declared.letter, 'h' | 'V') => Argument::Never,
            Named::Command(_) => Argument::Maybe("TABLE"),
            Named::Option(declared) => declared.argument,
            Named::Part(_) => Argument::Needed("NUMBER"),
        }
    }

    fn is(self, other: Named) -> bool {
        match (self, other) {
            (Named::Command(a), Named::Command(b)) => core::ptr::eq(a, b),
            (Named::Option(a), Named::Option(b)) => core::ptr::eq(a, b),
            (Named::Part(a), Named::Part(b)) => core::ptr::eq(a, b),
            _ => false,
        }
    }
}

/// An option with its argument, or a word that belongs to none.
pub(super) enum Item {
    Named(Named, Option<String>),
    Word(String),
}

/// A command line that is read from left to right.
pub(super) struct Words<'a> {
    rest: &'a [String],
    /// Short options that are joined to those that were read.
    joined: String,
    /// Whether `--` was seen, after which there are no options.
    ended: bool,
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [String]) -> Words<'a> {
        Words {
            rest: words,
            joined: String::new(),
            ended: false,
        }
    }

    /// The next option or word.
    pub(super) fn next(&mut self, known: Option<&'static Known>) -> Result<Option<Item>, Failure> {
        if !self.joined.is_empty() {
            return self.short().map(Some);
        }
        let Some(word) = self.word() else {
            return Ok(None);
        };
        if self.ended || !word.starts_with('-') || word == "-" {
            return Ok(Some(Item::Word(word)));
        }
        if word == "--" {
            self.ended = true;
            return self.next(known);
        }
        match word.strip_prefix("--") {
            Some(long) => self.long(long, known).map(Some),
            None => {
                self.joined = word[1..].to_owned();
                self.short().map(Some)
            }
        }
    }

    fn word(&mut self) -> Option<String> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first.clone())
    }

    /// The next word, unless that is an option.
    fn word_beside(&mut self) -> Option<String> {
        let next = self.rest.first()?;
        if next.starts_with('-') {
            return None;
        }
        self.word()
    }

    fn short(&mut self) -> Result<Item, Failure> {
        let mut letters = core::mem::take(&mut self.joined)
            .chars()
            .collect::<Vec<_>>();
        let letter = letters.remove(0);
        let rest: String = letters.into_iter().collect();
        let Some(named) = by_letter(letter) else {
            return usage(format!("unknown option `-{letter}'"));
        };
        let takes_rest = named.argument() != Argument::Never && !rest.is_empty();
        if takes_rest {
            return Ok(Item::Named(named, Some(rest)));
        }
        self.joined = rest;
        let argument = self.argument(named, &format!("-{letter}"))?;
        Ok(Item::Named(named, argument))
    }

    fn long(&mut self, long: &str, known: Option<&'static Known>) -> Result<Item, Failure> {
        let (name, joined) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let named = by_name(name, known)
            .filter(|named| joined.is_none() || named.argument() != Argument::Never);
        let Some(named) = named else {
            return usage(format!("unknown option `--{long}'"));
        };
        let argument = match joined {
            Some(value) => Some(value),
            None => self.argument(named, &format!("--{long}"))?,
        };
        Ok(Item::Named(named, argument))
    }

    /// The argument that stands apart.
    fn argument(&mut self, named: Named, written: &str) -> Result<Option<String>, Failure> {
        match named.argument() {
            Argument::Never => Ok(None),
            Argument::Maybe(_) => Ok(self.word_beside()),
            Argument::Needed(_) => match self.word() {
                Some(word) => Ok(Some(word)),
                None => usage(format!("option `{written}' requires an argument")),
            },
        }
    }
}

fn by_letter(letter: char) -> Option<Named> {
    let command = COMMANDS.iter().find(|c| c.letter == letter);
    let option = OPTIONS.iter().find(|o| o.short == Some(letter));
    command.map(Named::Command).or(option.map(Named::Option))
}

/// What a long name means: all of it, or the beginning of one option's name.
fn by_name(name: &str, known: Option<&'static Known>) -> Option<Named> {
    let all = names(known);
    if let Some((_, named)) = all.iter().find(|(long, _)| *long == name) {
        return Some(*named);
    }
    let mut meant = all.iter().filter(|(long, _)| long.starts_with(name));
    let (_, named) = meant.next()?;
    meant.all(|(_, other)| named.is(*other)).then_some(*named)
}

/// All long names that are known now.
fn names(known: Option<&'static Known>) -> Vec<(&'static str, Named)> {
    let commands = COMMANDS
        .iter()
        .flat_map(|c| c.longs.iter().map(move |l| (*l, Named::Command(c))));
    let options = OPTIONS
        .iter()
        .flat_map(|o| o.longs.iter().map(move |l| (*l, Named::Option(o))));
    let parts = known
        .into_iter()
        .flat_map(Known::options)
        .flat_map(|p| p.longs.iter().map(move |l| (*l, Named::Part(p))));
    commands.chain(options).chain(parts).collect()
}
