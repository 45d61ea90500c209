//! Programs that are run to their end.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Our program.
pub(crate) const IPCT: &str = env!("CARGO_BIN_EXE_ipct");

/// The installed tool.
pub(crate) const THEIRS: &str = "conntrack";

/// A link to our program that has the tool's name.
pub(crate) fn ours() -> &'static str {
    static LINK: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    let (_, path) = LINK.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let link: PathBuf = folder.path().join("conntrack");
        symlink(IPCT, &link).unwrap();
        let path = link.to_str().unwrap().to_owned();
        (folder, path)
    });
    path
}

/// What a program said, and how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: i32,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Said {
        Said {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code().unwrap_or(-1),
        }
    }
}

/// Runs a program outside of any namespace.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Said {
    Said::of(&Command::new(program).args(arguments).output().unwrap())
}

/// The words of a line.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
