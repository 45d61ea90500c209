//! What is said on stderr, and the exit status.
//!
//! The program has two names and so two voices. As `ipct` it signs with its own name and version. A link
//! named `conntrack` stands in for conntrack-tools 1.4.7, whose forms and habits it keeps, and scripts
//! that look for that program's lines, or ask `-V` whether an option is there already, look at the whole
//! line: so it signs as that version does, and `-V` tells on stderr who answers.
//!
//! Quotes are a backquote and an apostrophe, as in the tool's own messages. What the system refuses is
//! worded by error number in one place, [`refusal`].

use std::io::{self, Write};
use std::process::ExitCode;

use rustix::io::Errno;

/// The version whose habits are kept.
const KEPT: &str = "1.4.7";

/// The name that the program was called by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Voice {
    Ipct,
    Conntrack,
}

impl Voice {
    /// The program's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Voice::Ipct => "ipct",
            Voice::Conntrack => "conntrack",
        }
    }

    /// What `-V` prints, and every message begins with.
    pub(crate) fn version(self) -> String {
        match self {
            Voice::Ipct => format!("ipct v{} (ip_conntrack)", env!("CARGO_PKG_VERSION")),
            Voice::Conntrack => format!("conntrack v{KEPT} (conntrack-tools)"),
        }
    }

    /// A line on stderr. That stderr is closed is nobody's concern.
    pub(crate) fn say(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}: {text}", self.version());
    }

    /// Says why it did not work; returns the status.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        match failure {
            Failure::Usage(text) => {
                self.say(text);
                let name = self.name();
                note(&format!(
                    "Try `{name} -h' or '{name} --help' for more information."
                ));
                ExitCode::from(2)
            }
            Failure::Failed(text) => {
                self.say(text);
                ExitCode::from(1)
            }
            Failure::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

/// A line on stderr that nobody signs.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Why a command ended early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The command line is wrong: status 2.
    Usage(String),
    /// It did not work: status 1.
    Failed(String),
    /// Nobody reads the output any more, which is no error.
    ReaderGone,
}

/// A wrong command line.
pub(crate) fn usage<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Usage(text.into()))
}

/// Something that did not work.
pub(crate) fn failed<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Failed(text.into()))
}

/// What was tried when the system refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tried {
    Connection,
    CreateExpectation,
    Expectation,
}

/// What a refusal means, by the system's error number. `words` are what a daemon said beside it.
pub(crate) fn refusal(tried: Tried, errno: i32, words: Option<&str>) -> Failure {
    let text = match (tried, Errno::from_raw_os_error(errno)) {
        (Tried::CreateExpectation, Errno::NOENT) => "master conntrack not found".to_owned(),
        (Tried::Expectation, Errno::NOENT) => "such expectation doesn't exist".to_owned(),
        (_, Errno::NOENT) => "such conntrack doesn't exist".to_owned(),
        (Tried::Connection, Errno::EXIST) => "Such conntrack exists, try -U to update".to_owned(),
        (_, Errno::EXIST) => "such expectation exists".to_owned(),
        (_, Errno::NOMEM) => "not enough memory".to_owned(),
        (_, Errno::INVAL) => "invalid parameters".to_owned(),
        (_, Errno::PERM | Errno::ACCESS) => {
            "sorry, you must be root or get CAP_NET_ADMIN capability to do this".to_owned()
        }
        (_, Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) => {
            "this kernel has no ctnetlink (modules nfnetlink and nf_conntrack_netlink)".to_owned()
        }
        _ => of_system(errno),
    };
    let more = words.map_or(String::new(), |words| format!(" ({words})"));
    Failure::Failed(format!("Operation failed: {text}{more}"))
}

/// The system's words for an error number, without the number.
fn of_system(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    match text.rsplit_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

impl From<io::Error> for Failure {
    /// Of writing to standard output.
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Failed(format!("standard output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Tried, refusal};
    use rustix::io::Errno;

    #[test]
    fn refusals_are_worded_as_the_tool_words_them() {
        let said = |tried, errno: Errno| match refusal(tried, errno.raw_os_error(), None) {
            Failure::Failed(text) => text.replace("Operation failed: ", ""),
            other => panic!("{other:?}"),
        };
        let of_one = |errno| said(Tried::Connection, errno);
        assert_eq!(of_one(Errno::NOENT), "such conntrack doesn't exist");
        assert_eq!(of_one(Errno::NOMEM), "not enough memory");
        assert_eq!(of_one(Errno::INVAL), "invalid parameters");
        assert_eq!(of_one(Errno::OPNOTSUPP), "Operation not supported");
        assert!(of_one(Errno::PROTONOSUPPORT).contains("nf_conntrack_netlink"));
        let master = said(Tried::CreateExpectation, Errno::NOENT);
        assert_eq!(master, "master conntrack not found");
        let words = refusal(
            Tried::Connection,
            Errno::ACCESS.raw_os_error(),
            Some("read only"),
        );
        assert!(matches!(words, Failure::Failed(text) if text.ends_with("to do this (read only)")));
    }
}
