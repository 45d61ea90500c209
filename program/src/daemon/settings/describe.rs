//! The sample configuration and the manual page ipct.conf(5), made from the declarations.

use clap_mangen::roff::{Roff, bold, italic, roman};
use ip_conntrack::Knob;
use ip_conntrack::config::{KnobInfo, Unit};

use super::{DEFAULT_PATH, KEYS, Key, SECTIONS, Takes};
use crate::cli::default_config;

/// A configuration file with every key, each at its default and commented out.
pub(crate) fn sample() -> String {
    let mut text = format!(
        "# {DEFAULT_PATH}: the configuration of `ipct run`; see ipct.conf(5).\n\
         # Every key is shown with its default. A line takes effect without its \"#\".\n"
    );
    for (section, about) in SECTIONS {
        text.push_str(&format!("\n#{}\n[{section}]\n", about.join("\n#")));
        for key in KEYS.iter().filter(|key| key.section == *section) {
            text.push_str(&format!("\n#{}\n", key.doc.join("\n#")));
            if key.takes == Takes::Restart {
                text.push_str("# Takes effect at the next start.\n");
            }
            text.push_str(&format!("#{} = {}\n", key.name, key.default));
        }
    }
    text.push_str("\n# The tracker's knobs, by their names today or of old.\n[sysctl]\n");
    for (info, value) in knobs() {
        text.push_str(&format!("\n# {}\n#{} = {value}\n", info.doc, info.name));
    }
    text
}

/// The knobs that can be set, with the values that they have in the daemon if nobody sets them.
fn knobs() -> impl Iterator<Item = (&'static KnobInfo, i64)> {
    let config = default_config();
    let settable = Knob::ALL.iter().filter(|knob| !knob.info().read_only);
    settable.map(move |knob| (knob.info(), config.get(*knob)))
}

/// The manual page.
pub(crate) fn manual() -> String {
    let mut page = Roff::new();
    page.control("TH", ["ipct.conf", "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "ipct.conf - configuration of the connection tracking daemon `ipct run`",
    )]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        roman("The file is "),
        italic(DEFAULT_PATH),
        roman(" unless --config names another, and is written in TOML. Without it, everything has its \
               default. It is checked as a whole: if anything in it is wrong, all of that is told, and \
               the daemon does not start, or keeps the configuration that it has. "),
        bold("SIGHUP"),
        roman(" makes it read the file again; what can change only when the daemon is started again is \
               said in the log. The command line wins over the file."),
    ]);
    for (section, about) in SECTIONS {
        page.control("SH", [format!("[{section}]").as_str()]);
        page.text([roman(about.concat().trim())]);
        KEYS.iter()
            .filter(|key| key.section == *section)
            .for_each(|key| describe(&mut page, key));
    }
    page.control("SH", ["[sysctl]"]);
    page.text([roman(
        "The tracker's knobs. Any of their names will do, today's (nf_conntrack_max) or that of old \
         (ip_conntrack_max), alone or with its path. A reload sets those that the file has; the others stay as \
         they are.",
    )]);
    for (info, value) in knobs() {
        let unit = match info.unit {
            Unit::Seconds => " seconds",
            Unit::Bytes => " bytes",
            Unit::Count | Unit::Flag | Unit::Choice => "",
        };
        page.control("TP", []);
        page.text([bold(info.name), roman(format!(" = {value}"))]);
        page.text([roman(format!(
            "{} From {} to {}{unit}.",
            info.doc, info.min, info.max
        ))]);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("ipct"),
        roman("(1), "),
        bold("conntrack"),
        roman("(8), "),
        bold("sysctl"),
        roman("(8)"),
    ]);
    page.to_roff()
}

fn describe(page: &mut Roff, key: &Key) {
    page.control("TP", []);
    page.text([bold(key.name), roman(format!(" = {}", key.default))]);
    let doc: Vec<_> = key.doc.iter().map(|line| line.trim()).collect();
    let when = match key.takes {
        Takes::Reload => "",
        Takes::Restart => " Takes effect at the next start.",
    };
    let accepts = (key.accepts)();
    page.text([roman(format!("{} Accepts {accepts}.{when}", doc.join(" ")))]);
}
