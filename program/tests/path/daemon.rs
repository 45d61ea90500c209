//! `ipct run` on the first router.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::run::{IPCT, run};
use crate::space::Space;

/// A daemon, which ends with the value.
pub(crate) struct Daemon {
    child: Child,
    folder: Rc<tempfile::TempDir>,
}

impl Daemon {
    /// Starts it with these arguments, and waits until it is ready.
    pub(crate) fn start(space: &Space, arguments: &str) -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("proc")).unwrap();
        Daemon::start_in(space, Rc::new(folder), arguments)
    }

    fn start_in(space: &Space, folder: Rc<tempfile::TempDir>, arguments: &str) -> Daemon {
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let log = fs::File::create(path("log")).unwrap();
        let (control, proc) = (path("control.sock"), path("proc"));
        let mut words = vec!["run"];
        words.extend(arguments.split_whitespace());
        for (option, value) in [
            ("--control", &*control),
            ("--state", ""),
            ("--proc", &*proc),
        ] {
            if !arguments.contains(option) {
                words.extend([option, value]);
            }
        }
        let child = space
            .command(IPCT, &words)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let daemon = Daemon { child, folder };
        daemon.wait_for("ready: ");
        daemon
    }

    /// Starts another one in its place. => that one, when the first has ended well
    pub(crate) fn replace(mut self, space: &Space, arguments: &str) -> Daemon {
        let folder = Rc::clone(&self.folder);
        fs::rename(folder.path().join("log"), folder.path().join("log.before")).unwrap();
        let second = Daemon::start_in(space, folder, &format!("--replace {arguments}"));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        second
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How long it takes to end after that signal, which ends it well.
    pub(crate) fn end_after(mut self, signal: Signal) -> Duration {
        self.signal(signal);
        let begun = Instant::now();
        // One that stands still ends when it goes on.
        self.signal(Signal::CONT);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
        begun.elapsed()
    }

    /// Waits until the log says that.
    pub(crate) fn wait_for(&self, text: &str) {
        let since = Instant::now();
        while !self.log().contains(text) {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "no {text:?} in: {}",
                self.log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What `ipct` says with those arguments.
    pub(crate) fn ask(&self, arguments: &str) -> String {
        let control = self.folder.path().join("control.sock");
        let mut words = vec!["--socket", control.to_str().unwrap()];
        words.extend(arguments.split_whitespace());
        let said = run(IPCT, &words);
        assert_eq!(
            said.status,
            0,
            "{arguments}: {}; the log: {}",
            said.err,
            self.log()
        );
        said.out
    }

    /// A counter's value, by its name in `-S`; all workers together if each has one.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let said = self.ask("-S");
        let pairs = said
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        let (mut total, mut of_workers) = (None, 0);
        for (key, value) in pairs {
            let Ok(value) = value.parse::<u64>() else {
                continue;
            };
            match key.split_once('.') {
                None if key == name => *total.get_or_insert(0) += value,
                Some((_, key)) if key == name => of_workers += value,
                _ => {}
            }
        }
        total.unwrap_or(of_workers)
    }

    /// A file of its `/proc`: it is mounted where only the daemon sees it.
    pub(crate) fn proc(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().strip_prefix("/").unwrap();
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(folder).join("proc").join(name)
    }

    /// Bytes of memory that it has in use.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let words = line.unwrap().trim().trim_end_matches(" kB");
        words.parse::<u64>().unwrap() << 10
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Has it stop. => its log
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        let log = self.log();
        assert!(status.success(), "{status}: {log}");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
