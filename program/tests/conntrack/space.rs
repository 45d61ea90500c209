//! Network namespaces, which end with the value.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::run::{Said, THEIRS};

/// A network namespace.
pub(crate) struct Space(String);

impl Space {
    /// A namespace, or `None` where the test may be passed over.
    pub(crate) fn new() -> Option<Space> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ipct-{}-{number}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        let tool = Command::new(THEIRS).arg("-V").output();
        match made {
            Ok(made) if made.status.success() && tool.is_ok() => {}
            _ if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some() => {
                panic!("no network namespace, or no conntrack: root and iproute2 are needed")
            }
            _ => {
                eprintln!("passed over: no network namespace, or no conntrack");
                return None;
            }
        }
        let space = Space(name);
        space.ip("link set lo up");
        Some(space)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// A command that runs in it.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.0, program])
            .args(arguments);
        command
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Said {
        Said::of(&self.command(program, arguments).output().unwrap())
    }

    /// Runs a program that has to succeed.
    pub(crate) fn must(&self, program: &str, arguments: &[&str]) -> String {
        let said = self.run(program, arguments);
        assert_eq!(said.status, 0, "{program} {arguments:?}: {}", said.err);
        said.out
    }

    /// Runs a program with that input.
    pub(crate) fn feed(&self, program: &str, arguments: &[&str], input: &str) -> Said {
        let mut child = self
            .command(program, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        Said::of(&child.wait_with_output().unwrap())
    }

    /// Starts a program whose output is kept.
    pub(crate) fn start(&self, program: &str, arguments: &[&str]) -> Child {
        self.command(program, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// `ip`, in it.
    pub(crate) fn ip(&self, line: &str) {
        let words = line.split_whitespace();
        let output = Command::new("ip")
            .args(["-n", &self.0])
            .args(words)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "ip {line}: {}",
            Said::of(&output).err
        );
    }

    /// Sets knobs, `NAME=VALUE` each.
    pub(crate) fn sysctl(&self, settings: &[&str]) {
        for setting in settings {
            let (name, value) = setting.split_once('=').unwrap();
            let file = format!("/proc/sys/{}", name.replace('.', "/"));
            self.must("sh", &["-c", &format!("echo {value} >{file}")]);
        }
    }

    /// Does something in it, on a thread of its own.
    pub(crate) fn inside<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.0)).unwrap();
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                        .unwrap();
                    job()
                })
                .join()
                .unwrap()
        })
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}
