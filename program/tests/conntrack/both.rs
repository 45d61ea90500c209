//! The same commands on both tables, the kernel's and a daemon's: the same entries are made in each, and what is
//! listed, found, changed, counted and deleted, in every form, is the same.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::compare::{assert_same_lines, at_once};
use crate::filters::{ENTRIES, FILTERS};
use crate::run::{IPCT, Said, run, words};
use crate::space::Space;

/// A daemon without packets, until it is dropped.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn new() -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let mut command = Command::new(IPCT);
        command
            .args(["run", "--state", "", "--control"])
            .arg(&socket);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let daemon = Daemon { child, folder };
        let begun = Instant::now();
        while daemon.ask("-C").status != 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it does not begin"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    fn ask(&self, line: &str) -> Said {
        let socket = self.folder.path().join("socket");
        let mut arguments = vec!["--socket", socket.to_str().unwrap()];
        arguments.extend(words(line));
        run(IPCT, &arguments)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the kernel's table says.
fn ask(space: &Space, line: &str) -> Said {
    let mut arguments = vec!["--kernel"];
    arguments.extend(words(line));
    space.run(IPCT, &arguments)
}

/// Entries that need no address translation, which a daemon does not do.
fn is_translated(line: &&&str) -> bool {
    line.contains(" -n ") || line.contains(" -g ")
}

/// Both tables, with the same entries; `None` if the test may be passed over.
fn filled() -> Option<(Space, Daemon)> {
    let space = Space::new()?;
    space.sysctl(&["net.netfilter.nf_conntrack_acct=1"]);
    let daemon = Daemon::new();
    for line in ENTRIES.iter().filter(|line| !is_translated(line)) {
        let said = (ask(&space, line), daemon.ask(line));
        assert_eq!(said.0, said.1, "{line}");
        assert_eq!(said.0.status, 0, "{line}: {}", said.0.err);
    }
    Some((space, daemon))
}

fn assert_same(space: &Space, daemon: &Daemon, line: &str) {
    let (kernel, ours) = at_once(|| ask(space, line), || daemon.ask(line));
    println!("{line}");
    assert_same_lines(&without_ids(&ours.out), &without_ids(&kernel.out));
    assert_eq!(
        (ours.err, ours.status),
        (kernel.err, kernel.status),
        "{line}"
    );
}

/// A listing without the numbers of its entries, which each table gives by itself.
fn without_ids(text: &str) -> String {
    // Pings have an identifier that is called like it; the entry's comes last.
    let of = |line: &str| match (line.split_once("<id>"), line.split_once("use=1 id=")) {
        (Some((before, after)), _) => {
            let after = after.split_once("</id>").map_or(after, |(_, rest)| rest);
            format!("{before}{after}")
        }
        (_, Some((before, after))) => {
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}use=1{after}")
        }
        _ => line.to_owned(),
    };
    text.lines().map(of).collect::<Vec<_>>().join("\n")
}

#[test]
fn both_tables_are_listed_in_the_same_forms() {
    let Some((space, daemon)) = filled() else {
        return;
    };
    for form in ["", "-o extended", "-o ktimestamp,labels", "-o save"] {
        assert_same(&space, &daemon, &format!("-L {form}"));
    }
    for filter in FILTERS {
        assert_same(&space, &daemon, &format!("-L {filter}"));
    }
    for line in ["-L dying", "-L unconfirmed", "-L expect", "-C", "-C expect"] {
        assert_same(&space, &daemon, line);
    }
}

/// Each as a daemon and the kernel have it done, one after the other.
const CHANGES: &[&str] = &[
    "-G -s 10.1.0.1 -d 10.2.0.1 -p tcp --sport 1000 --dport 80",
    "-G -s 10.1.0.1 -d 10.2.0.1 -p tcp --sport 9 --dport 80",
    "-I -s 10.1.0.1 -d 10.2.0.1 -p tcp --sport 1000 --dport 80 --state SYN_SENT -t 900",
    "-A -s 10.1.0.1 -d 10.2.0.1 -p tcp --sport 1000 --dport 80 --state SYN_SENT -t 900",
    "-A -s 10.1.7.1 -d 10.2.0.1 -p tcp --sport 1000 --dport 80 --state SYN_SENT -t 900",
    "-U -p tcp --state SYN_SENT -m 0x10/0xf0",
    "-U -p udp --sport 1003 -t 700",
    "-U -p tcp --sport 1001 --state CLOSE_WAIT",
    "-U -p tcp --sport 1000 -u SEEN_REPLY,ASSURED",
    "-U -s 9.9.9.9 -m 1",
    "-D -p icmp",
    "-D -s 9.9.9.9",
    "-D -p udp -m 0x15",
    "-D -s 2001:db8::1 -o extended",
    "-F",
];

#[test]
fn both_tables_are_changed_by_the_same_commands() {
    let Some((space, daemon)) = filled() else {
        return;
    };
    for line in CHANGES {
        let (kernel, ours) = (ask(&space, line), daemon.ask(line));
        println!("{line}");
        assert_same_lines(&ours.out, &kernel.out);
        assert_eq!(
            (ours.err, ours.status),
            (kernel.err, kernel.status),
            "{line}"
        );
        assert_same(&space, &daemon, "-L");
    }
}

#[test]
fn what_is_saved_from_one_table_is_loaded_into_the_other() {
    let Some((space, daemon)) = filled() else {
        return;
    };
    // What is saved of a DCCP connection lacks its state, without which none is made.
    assert_eq!(ask(&space, "-D -p dccp").status, 0);
    let saved = ask(&space, "-L -o save").out;
    let file = daemon.folder.path().join("saved");
    std::fs::write(&file, &saved).unwrap();
    assert_eq!(daemon.ask("-F").status, 0);
    assert_eq!(daemon.ask("-C").out, "0\n");
    let loaded = daemon.ask(&format!("-R {}", file.display()));
    assert_eq!(loaded.status, 0, "{}", loaded.err);
    assert_same_lines(&daemon.ask("-L -o save").out, &saved);
}
