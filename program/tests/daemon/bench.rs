//! A directory with a daemon in it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use ip_conntrack::format::netlink::{Answer, Ask, Message, Origin, Request};
use tempfile::TempDir;

/// Whatever is waited for comes within that time, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A capture with connections of many kinds.
pub(crate) fn web() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../captures/web.pcap").to_owned()
}

/// Whether this process is root; a test that needs it passes without.
pub(crate) fn is_root(what: &str) -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    may(id.stdout == b"0\n", what, "root")
}

/// Whether FUSE is there.
pub(crate) fn has_fuse(what: &str) -> bool {
    is_root(what) && may(Path::new("/dev/fuse").exists(), what, "/dev/fuse")
}

/// Whether a program is there.
pub(crate) fn has(program: &str, what: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .unwrap();
    may(found.status.success(), what, program)
}

fn may(may: bool, what: &str, needed: &str) -> bool {
    if !may {
        let required = std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some();
        assert!(!required, "{what}: {needed} is needed");
        eprintln!("{what}: left out, {needed} is needed");
    }
    may
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The directory.
pub(crate) struct Bench {
    directory: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("proc")).unwrap();
        Bench { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text_of(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `ipct run` with socket and state in the directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipct"));
        command.arg("run").args(arguments);
        for (option, name) in [("--control", "control.sock"), ("--state", "state")] {
            if !arguments.contains(&option) {
                command.arg(option).arg(self.path(name));
            }
        }
        let config = self.path("ipct.conf");
        if config.exists() && !arguments.contains(&"--config") {
            command.arg("--config").arg(config);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) fn run(&self, arguments: &[&str]) -> Daemon<'_> {
        self.run_command(self.command(arguments))
    }

    pub(crate) fn run_command(&self, mut command: Command) -> Daemon<'_> {
        let place = self.path("notify");
        let _ = fs::remove_file(&place);
        let notify = UnixDatagram::bind(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
        notify
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let log = fs::File::create(self.path("log")).unwrap();
        let child = command
            .env("NOTIFY_SOCKET", &place)
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Daemon {
            bench: self,
            child,
            notify,
        };
        daemon.told("READY=1");
        daemon
    }

    /// Starts a daemon that is to fail. => its status and what it says.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self
            .command(arguments)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    /// Asks the daemon with the program.
    pub(crate) fn ipct(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipct"));
        let socket = [
            "--socket".into(),
            self.path("control.sock").into_os_string(),
        ];
        // A verb comes first, and -R last.
        match arguments
            .first()
            .is_some_and(|first| first.starts_with('-'))
        {
            true => command.args(socket).args(arguments),
            false => command.args(arguments).args(socket),
        };
        command.output().unwrap()
    }

    /// What the program prints, which must work.
    pub(crate) fn asks(&self, arguments: &[&str]) -> String {
        let output = self.ipct(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A connection to the daemon.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// A daemon that runs.
pub(crate) struct Daemon<'a> {
    bench: &'a Bench,
    pub(crate) child: Child,
    notify: UnixDatagram,
}

impl Daemon<'_> {
    /// Waits until it told systemd that, and returns all that it told until then.
    pub(crate) fn told(&mut self, what: &str) -> String {
        let (begun, mut all) = (Instant::now(), String::new());
        loop {
            let mut bytes = [0; 4096];
            if let Ok(count) = self.notify.recv(&mut bytes) {
                all.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                all.push('\n');
            }
            if all.lines().any(|line| line == what) {
                return all;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{what}: it ended with {ended:?}: {}",
                self.log()
            );
            assert!(begun.elapsed() < PATIENCE, "{what}: it told only {all:?}");
        }
    }

    pub(crate) fn log(&self) -> String {
        self.bench.text_of("log")
    }

    /// Waits for words in the log.
    pub(crate) fn says(&self, words: &str) {
        wait_until(words, || self.log().contains(words));
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Stops it as systemd does.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ends()
    }

    /// Waits for its end.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the daemon's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let proc = self.bench.path("proc");
        let _ = Command::new("umount")
            .arg("-l")
            .arg(proc)
            .stderr(Stdio::null())
            .status();
    }
}

/// Sends a request.
pub(crate) fn send(stream: &mut UnixStream, sequence: u32, ask: Ask) {
    let origin = Origin { sequence, port: 0 };
    let mut bytes = Vec::new();
    Request {
        origin,
        ack: true,
        ask,
    }
    .write(&mut bytes);
    stream.write_all(&bytes).unwrap();
}

/// Reads messages until one ends it, with what that one says.
pub(crate) fn receive(
    stream: &mut UnixStream,
    mut each: impl FnMut(&Message<'_>),
    is_end: impl Fn(&Answer<'_>) -> bool,
) {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "the daemon closed the connection");
        bytes.extend_from_slice(&chunk[..count]);
        let mut used = 0;
        while let Some((message, len)) = Message::first(&bytes[used..]).unwrap() {
            used += len;
            match Answer::read(&message) {
                Some(answer) if is_end(&answer) => return,
                _ => each(&message),
            }
        }
        bytes.drain(..used.min(bytes.len()));
    }
}
