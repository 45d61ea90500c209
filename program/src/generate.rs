//! `ipct generate DIR`: manual pages, shell completions and the sample configuration, made from what is
//! declared, for whoever packages the program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::Roff;

use crate::cli::Cli;
use crate::conntrack;
use crate::daemon::settings;

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// Where the files are written
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes all files.
///
/// # Errors
///
/// One of them cannot be written; the text names it.
pub(crate) fn run(arguments: &Generate) -> io::Result<()> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory).map_err(|error| named(directory, &error))?;
    let command = Cli::command();
    put(directory, "ipct.1", &overview(&command)?)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = format!("ipct-{}", verb.get_name());
        let mut page = Vec::new();
        let verb = verb
            .clone()
            .name(&name)
            .bin_name(name.replacen('-', " ", 1));
        Man::new(verb).render(&mut page)?;
        put(directory, &format!("{name}.1"), &page)?;
    }
    for document in DOCUMENTS {
        let name = format!("{}.7", document.name);
        put(directory, &name, page_of(document).as_bytes())?;
    }
    put(directory, "ipct.conf.5", settings::manual().as_bytes())?;
    put(directory, "ipct.conf", settings::sample().as_bytes())?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut script = Vec::new();
        clap_complete::generate(
            shell,
            &mut with_options(command.clone()),
            "ipct",
            &mut script,
        );
        let name = match shell {
            Shell::Zsh => "_ipct".to_owned(),
            shell => format!("ipct.{shell}"),
        };
        put(directory, &name, &script)?;
    }
    Ok(())
}

/// The page of the whole program: its verbs, then conntrack(8)'s options.
fn overview(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let mut options = Roff::new();
    options.control("SH", ["CONNTRACK OPTIONS"]);
    options.control("nf", []);
    for line in conntrack::help().lines() {
        options.text([clap_mangen::roff::roman(line)]);
    }
    options.control("fi", []);
    options.control("SH", ["FILES"]);
    for (path, what) in [
        (
            settings::DEFAULT_PATH,
            "the daemon's configuration, see ipct.conf(5)",
        ),
        (
            settings::DEFAULT_CONTROL,
            "the socket over which the daemon is asked",
        ),
        ("/var/lib/ipct/state", "the table, as it was saved last"),
    ] {
        options.control("TP", []);
        options.text([clap_mangen::roff::italic(path)]);
        options.text([clap_mangen::roff::roman(what)]);
    }
    options.control("SH", ["EXIT STATUS"]);
    options.text([clap_mangen::roff::roman(
        "0: it worked. 1: it did not. 2: the command line or the configuration is wrong.",
    )]);
    options.to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// What there is to know about live packets: for people who read the sources, and as a manual page.
const DOCUMENTS: &[Document] = &[
    Document {
        name: "ipct-queue",
        about: "ipct run in the path of live packets: rules for iptables and nftables",
        text: include_str!("../docs/queue.md"),
    },
    Document {
        name: "ipct-wire",
        about: "ipct run beside and between interfaces",
        text: include_str!("../docs/wire.md"),
    },
    Document {
        name: "ipct-rights",
        about: "what ipct run gives away, and how one daemon takes the place of another",
        text: include_str!("../docs/rights.md"),
    },
];

struct Document {
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

/// A manual page from headings, paragraphs, tables and examples.
fn page_of(document: &Document) -> String {
    let Document { name, about, text } = document;
    let mut page = Roff::new();
    page.control("TH", [*name, "7"]);
    page.control("SH", ["NAME"]);
    page.text([clap_mangen::roff::roman(format!("{name} - {about}"))]);
    for block in blocks(text) {
        let heading = block.trim_start_matches('#');
        if heading.len() < block.len() {
            page.control("SH", [heading.trim().to_uppercase().as_str()]);
            continue;
        }
        let is_form = block.starts_with("```") || block.starts_with('|');
        page.control("PP", []);
        if is_form {
            page.control("nf", []);
        }
        for line in block.lines().filter(|line| !line.starts_with("```")) {
            let line = line.replace(['`', '*'], "");
            page.text([clap_mangen::roff::roman(line)]);
        }
        if is_form {
            page.control("fi", []);
        }
    }
    page.to_roff()
}

/// What stands between empty lines; an example is one block.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut in_example = false;
    for line in text.lines() {
        in_example ^= line.starts_with("```");
        match blocks.last_mut() {
            Some(block) if in_example || !line.is_empty() => {
                block.push_str(line);
                block.push('\n');
            }
            _ => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// The command line with conntrack(8)'s commands and options, which clap does not read, but can complete.
fn with_options(command: Command) -> Command {
    let options = conntrack::completions().into_iter().map(|word| {
        let option = Arg::new(word.long).long(word.long).help(word.doc);
        let option = match word.short {
            Some(short) => option.short(short),
            None => option,
        };
        match word.takes_value {
            true => option.num_args(1),
            false => option.num_args(0),
        }
    });
    command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(options)
}

fn put(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = directory.join(name);
    fs::write(&path, bytes).map_err(|error| named(&path, &error))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
