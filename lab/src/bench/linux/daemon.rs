//! `ipct run`, while it is measured.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The daemon, on the CPUs that the sender does not use.
pub(super) struct Daemon {
    child: Child,
    folder: String,
}

impl Daemon {
    /// Starts it, and waits until it is ready. `way` is where its packets come from, as on its command line.
    pub(super) fn start(ipct: &Path, way: &str, flows: u32) -> Result<Daemon, String> {
        let folder = format!("/tmp/lab-live-{}", std::process::id());
        let said = |error: io::Error| format!("{}: {error}", ipct.display());
        fs::create_dir_all(&folder).map_err(said)?;
        let config = format!("{folder}/ipct.conf");
        let text = format!("[control]\npath = \"{folder}/socket\"\n[state]\npath = \"\"\n");
        fs::write(&config, text).map_err(said)?;
        let child = Command::new("taskset")
            .args([
                "-c",
                &others(),
                &ipct.to_string_lossy(),
                "run",
                "--config",
                &config,
            ])
            .args(way.split(' '))
            .args([
                "--sysctl",
                &format!("nf_conntrack_max={}", 2 * flows + 1000),
            ])
            .args(["--sysctl", "nf_conntrack_checksum=0"])
            .stdin(Stdio::null())
            .stderr(fs::File::create(format!("{folder}/log")).map_err(said)?)
            .spawn()
            .map_err(said)?;
        let daemon = Daemon { child, folder };
        let end = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(format!("{}/socket", daemon.folder)).is_err() {
            if Instant::now() > end {
                let why = daemon.stop()?;
                return Err(format!(
                    "{}: the daemon does not start: {why}",
                    ipct.display()
                ));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(daemon)
    }

    /// The CPUs' time that its threads have taken.
    pub(super) fn cpu_time(&self) -> Duration {
        of_process(self.child.id())
    }

    /// Ends it. => what it has said.
    pub(super) fn stop(mut self) -> Result<String, String> {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let said = |error: io::Error| format!("the daemon's end: {error}");
        self.child.wait().map_err(said)?;
        fs::read_to_string(format!("{}/log", self.folder)).map_err(said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// All CPUs but the last, on which the sender is; that one if there is no other.
fn others() -> String {
    format!("0-{}", all_cpus().saturating_sub(2))
}

fn all_cpus() -> usize {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let last = online
        .trim()
        .rsplit(['-', ','])
        .next()
        .and_then(|last| last.parse().ok());
    last.unwrap_or(0) + 1
}

/// The CPUs' time that a process's threads have taken.
pub(super) fn of_process(id: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
