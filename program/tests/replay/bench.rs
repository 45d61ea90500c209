//! A directory of capture files, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Ran {
        Ran {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code(),
        }
    }

    /// Asserts the exit status. => the run, for more.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Ran {
        assert_eq!(self.status, Some(status), "{self:?}");
        self
    }

    /// Asserts all that stderr says.
    #[track_caller]
    pub(crate) fn says(self, stderr: &str) -> Ran {
        assert_eq!(self.stderr, stderr, "{self:?}");
        self
    }

    /// Asserts that stderr has each of these somewhere.
    #[track_caller]
    pub(crate) fn mentions(self, parts: &[&str]) -> Ran {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
        self
    }

    /// Asserts all that stdout shows.
    #[track_caller]
    pub(crate) fn shows(self, stdout: &str) -> Ran {
        assert_eq!(self.stdout, stdout, "{self:?}");
        self
    }

    /// The value that `--stats` gives for a name of its own.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        let found = self
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
            .parse()
            .unwrap()
    }
}

/// Files to run on.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench {
            dir: TempDir::new().unwrap(),
        }
    }

    /// One file.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Bench {
        Bench::new().with(name, bytes)
    }

    /// One more file.
    pub(crate) fn with(self, name: &str, bytes: &[u8]) -> Bench {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ipct replay` with arguments that have no blanks in them.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        command(self.dir.path(), arguments)
    }

    pub(crate) fn replay(&self, arguments: &str) -> Ran {
        Ran::new(self.command(arguments).output().unwrap())
    }
}

fn command(dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipct"));
    command
        .arg("replay")
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

/// `ipct replay` on `captures/web.pcap` of this repository.
pub(crate) fn replay_web(arguments: &str) -> Ran {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures");
    let arguments = format!("{arguments} web.pcap");
    Ran::new(command(&captures, &arguments).output().unwrap())
}

/// Starts the program with all three streams in pipes.
pub(crate) fn start(bench: &Bench, arguments: &str) -> Child {
    let mut command = bench.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}
