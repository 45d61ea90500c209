//! The daemon in a namespace.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::run::{IPCT, Said, run};
use crate::space::Space;

pub(crate) struct Daemon {
    child: Child,
    folder: Rc<tempfile::TempDir>,
}

/// How a daemon has ended.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) log: String,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(space: &Space, arguments: &str) -> Daemon {
        let mut daemon = Daemon::launch(space, arguments);
        let end = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(daemon.socket()).is_err() {
            let has_ended = daemon.child.try_wait().unwrap().is_some();
            assert!(
                !has_ended && Instant::now() < end,
                "it does not start: {}",
                daemon.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        daemon
    }

    /// Starts it.
    pub(crate) fn launch(space: &Space, arguments: &str) -> Daemon {
        Daemon::launch_in(space, Rc::new(tempfile::tempdir().unwrap()), arguments)
    }

    /// Starts another one in its place. => that one, when the first has ended well
    pub(crate) fn replace(mut self, space: &Space, arguments: &str) -> Daemon {
        let folder = Rc::clone(&self.folder);
        fs::rename(folder.path().join("log"), folder.path().join("log.before")).unwrap();
        let second = Daemon::launch_in(space, folder, &format!("--replace {arguments}"));
        // It ends when the second one is there.
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", second.log());
        second
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn launch_in(space: &Space, folder: Rc<tempfile::TempDir>, arguments: &str) -> Daemon {
        let path = |name| folder.path().join(name).to_str().unwrap().to_owned();
        let config = format!(
            "[control]\npath = {:?}\n[state]\npath = \"\"\n",
            path("socket")
        );
        fs::write(path("ipct.conf"), config).unwrap();
        if let Some((_, user)) = arguments.split_once("--user ") {
            let user = user.split(' ').next().unwrap().parse().unwrap();
            chown(folder.path(), Some(user), Some(user)).unwrap();
        }
        let config = path("ipct.conf");
        let mut words = vec!["run", "--config", &config];
        words.extend(arguments.split_whitespace());
        let log = fs::File::create(path("log")).unwrap();
        let mut command = space.command(IPCT, &words);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child, folder }
    }

    fn socket(&self) -> String {
        self.folder
            .path()
            .join("socket")
            .to_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Said {
        let socket = self.socket();
        run(IPCT, &[&["--socket", &socket], arguments].concat())
    }

    /// A counter of all workers together, as it is now.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let said = self.ask(&["-S"]).out;
        said.lines().map(|line| sum(line, name)).sum()
    }

    /// Bytes of memory that it has in use.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // `ip netns exec` becomes the program.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends.
    pub(crate) fn wait(mut self) -> Ended {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ended {
                    status: status.code(),
                    log: self.log(),
                };
            }
            assert!(Instant::now() < end, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has it stop, and sees that it does so well.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert_eq!(ended.status, Some(0), "{}", ended.log);
        ended
    }
}

impl Ended {
    /// A counter of the trackers' that it told at its end; 0 if it told none.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let mut lines = self
            .log
            .lines()
            .skip_while(|line| !line.contains(" stops: "));
        let of_trackers = lines.find(|line| line.contains(" INFO packets="));
        of_trackers.map_or(0, |line| sum(line, name))
    }

    /// A counter of the sources' that it told at its end, all workers together.
    pub(crate) fn load(&self, name: &str) -> u64 {
        let of_worker = self.log.lines().filter(|line| line.contains("worker "));
        let sums: Vec<_> = of_worker.map(|line| sum(line, name)).collect();
        assert!(!sums.is_empty(), "no worker told anything: {}", self.log);
        sums.iter().sum()
    }
}

fn sum(line: &str, name: &str) -> u64 {
    let count = |word: &str| {
        let count = word.strip_prefix(name)?.strip_prefix('=')?;
        count.parse::<u64>().ok()
    };
    line.split_whitespace().filter_map(count).sum()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
