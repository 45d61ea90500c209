//! Events, beside the installed tool that hears the same ones.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::compare::assert_same;
use crate::run::{IPCT, Said, THEIRS, ours, words};
use crate::space::Space;
use crate::traffic::Network;

/// A program that listens to events, and is ended with the value: as long as anybody listens, the kernel tells
/// events in all namespaces.
pub(crate) struct Listener(Option<Child>);

impl Listener {
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.0.as_ref().unwrap();
        // `ip netns exec` has become the program.
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Ends it as a user does, and takes what it said.
    pub(crate) fn finish(mut self, with: Signal) -> Said {
        self.signal(with);
        Said::of(&self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl From<Child> for Listener {
    fn from(child: Child) -> Listener {
        Listener(Some(child))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a program that listens, and waits until it does.
pub(crate) fn listen(space: &Space, program: &str, line: &str) -> Listener {
    let sockets = || space.must("cat", &["/proc/net/netlink"]).lines().count();
    let before = sockets();
    let listener = Listener::from(space.start(program, &words(line)));
    let end = Instant::now() + Duration::from_secs(10);
    while sockets() == before {
        assert!(Instant::now() < end, "{program} {line} opens no socket");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(100));
    listener
}

const FORMS: &[&str] = &[
    "-E",
    "-E -o extended,timestamp,id",
    "-E -o xml,timestamp",
    "-E -o save",
    "-E -o ktimestamp",
    "-E -e NEW",
    "-E -e DESTROY,UPDATES",
    "-E -p udp",
    "-E -f ipv6 -o extended",
    "-E -n -p tcp",
    "-E -j -p udp",
    "-E -m 7",
    "-E expect",
    "-E expect -o xml",
];

#[test]
fn what_happens_to_real_traffic_is_told_as_the_tool_tells_it() {
    let Some(network) = Network::new() else {
        return;
    };
    let router = &network.router;
    let listeners: Vec<_> = FORMS
        .iter()
        .map(|line| {
            (
                line,
                listen(router, ours(), line),
                listen(router, THEIRS, line),
            )
        })
        .collect();
    network.talk();
    drop(network.expecting());
    network.settle();
    router.must("nft", &["flush", "ruleset"]);
    std::thread::sleep(Duration::from_millis(300));
    for (line, ours, theirs) in listeners {
        let (ours, theirs) = (ours.finish(Signal::INT), theirs.finish(Signal::INT));
        println!("{line}");
        // The tool does not know the kernel's stamp, and takes its own time.
        assert_same(&without_stamps(&ours.out), &without_stamps(&theirs.out));
        assert_eq!(
            (ours.err, ours.status),
            (theirs.err, theirs.status),
            "{line}"
        );
        assert!(ours.out.lines().count() > 1, "{line}: {}", ours.out);
    }
}

/// Without the times at which events happened.
fn without_stamps(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.split_once('\t').map_or(line, |(_, rest)| rest);
        match (line.split_once("<when>"), line.split_once("</when>")) {
            (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Without the name of the program that asked, which both may see or miss.
fn without_names(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split(" progname=").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn changes_by_hand_are_told_with_the_port_of_who_asked() {
    let Some(space) = Space::new() else { return };
    let lines = ["-E", "-E -o timestamp,id", "-E -o xml", "-E -o save"];
    let listeners: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line,
                listen(&space, ours(), line),
                listen(&space, THEIRS, line),
            )
        })
        .collect();
    for line in [
        "-I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 5 --dport 6 --state SYN_SENT -t 600 -m 7",
        "-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 600",
        "-U -p tcp -m 8",
        "-U -p tcp -t 50 -u SEEN_REPLY",
        "-D",
    ] {
        space.must(ours(), &words(line));
    }
    std::thread::sleep(Duration::from_millis(300));
    for (line, ours, theirs) in listeners {
        let (ours, theirs) = (ours.finish(Signal::INT), theirs.finish(Signal::TERM));
        let plain = |text: &str| without_names(&without_stamps(text));
        assert_same(&plain(&ours.out), &plain(&theirs.out));
        assert_eq!(
            (ours.err, ours.status),
            (theirs.err, theirs.status),
            "{line}"
        );
    }
}

#[test]
fn the_program_that_asked_is_named_while_it_runs() {
    let Some(space) = Space::new() else { return };
    let listener = listen(&space, ours(), "-E -e NEW");
    // It waits for more commands, and so is still there.
    let mut loader = space
        .command(ours(), &["-R", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = loader.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 600\n").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    drop(input);
    loader.wait().unwrap();
    let said = listener.finish(Signal::TERM);
    let port = format!("portid={} progname=conntrack", loader.id());
    assert!(said.out.contains(&port), "{port}: {}", said.out);
}

#[test]
fn a_buffer_of_the_wanted_size_is_set_and_told() {
    let Some(space) = Space::new() else { return };
    for bytes in ["100000", "1"] {
        let line = format!("-E -b {bytes}");
        let (ours, theirs) = (listen(&space, ours(), &line), listen(&space, THEIRS, &line));
        let (ours, theirs) = (ours.finish(Signal::INT), theirs.finish(Signal::INT));
        assert_eq!(ours, theirs);
        assert!(
            ours.err
                .starts_with("NOTICE: Netlink socket buffer size has been set to "),
            "{}",
            ours.err
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let Some(space) = crate::filters::filled(THEIRS) else {
        return;
    };
    let pipe = format!("{IPCT} --kernel -L -o xml | head -1; exit ${{PIPESTATUS[0]}}");
    let output = space.command("bash", &["-c", &pipe]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
