//! The kernel's table in every form, beside the installed tool.

use std::net::Ipv4Addr;

use crate::compare::{assert_same, assert_same_lines, at_once, without_sctp};
use crate::raw::Ends;
use crate::run::{IPCT, Said, THEIRS, ours, words};
use crate::space::Space;
use crate::traffic::Network;

/// What follows `-L`. The tool takes every ICMP entry for translated, so a protocol is given with `-n` and its like.
const FORMS: &[&str] = &[
    "",
    "-o extended",
    "-o id",
    "-o id,ktimestamp,labels",
    "-o extended,id,ktimestamp",
    "-o timestamp",
    "-o xml",
    "-o xml,id,ktimestamp,labels,timestamp",
    "-o save",
    "-o userspace",
    "-f ipv4",
    "-f ipv6 -o extended",
    "-p tcp",
    "-p tcp --state ESTABLISHED",
    "-p udp -o labels -l voip",
    "-n -p tcp",
    "-g -p tcp",
    "-j -p udp",
    "-n 10.91.2.1 -p udp",
    "-g 10.91.2.2",
    "-m 7",
    "-u ASSURED",
    "-u EXPECTED",
    "-p sctp -o extended",
    "-p icmp",
    "-s 10.91.1.0/24 -p tcp --dport 21",
];

#[test]
fn a_router_with_real_traffic_is_listed_as_the_tool_lists_it() {
    let Some(network) = Network::new() else {
        return;
    };
    network.talk();
    let ends = Ends {
        client: (&network.client, Ipv4Addr::new(10, 91, 1, 2)),
        server: (&network.server, Ipv4Addr::new(10, 91, 2, 2)),
    };
    ends.associate();
    ends.tunnel();
    let listed = network.router.must(THEIRS, &["-L", "-p", "sctp"]);
    assert!(listed.contains("ESTABLISHED"), "{listed}");
    let session = network.expecting();
    network.settle();
    let router = &network.router;
    // Both read names of labels from the same place.
    let names = network.folder.path().join("connlabel.conf");
    std::fs::write(&names, "1 voip\n3 other\n").unwrap();
    let mount = format!(
        "mkdir -p /etc/xtables && mount -t tmpfs none /etc/xtables && cp {} /etc/xtables/ && exec \"$@\"",
        names.display()
    );
    let list = |program: &str, line: &str| {
        let mut arguments = vec!["-c", &mount, "sh", program];
        if program == IPCT {
            arguments.push("--kernel");
        }
        arguments.push("-L");
        arguments.extend(words(line));
        router.run("sh", &arguments)
    };
    let whole = list(THEIRS, "");
    for protocol in ["tcp ", "udp ", "icmp ", "icmpv6 ", "sctp "] {
        assert!(whole.out.contains(protocol), "{protocol}: {}", whole.out);
    }
    assert!(whole.out.contains("helper=ftp"));
    for line in FORMS {
        println!("-L {line}");
        let (ipct, theirs) = at_once(|| list(IPCT, line), || list(THEIRS, line));
        assert_same_lines(&without_sctp(&ipct.out), &without_sctp(&theirs.out));
        let (link, theirs) = at_once(|| list(ours(), line), || list(THEIRS, line));
        assert_same_lines(&without_sctp(&link.out), &without_sctp(&theirs.out));
        assert_eq!(
            (link.err, link.status),
            (theirs.err, theirs.status),
            "-L {line}"
        );
        assert!(
            ipct.err.contains("flow entries have been shown."),
            "{}",
            ipct.err
        );
    }
    for line in ["-S", "-C", "-S expect", "-C expect"] {
        let (ours, theirs) = (
            router.run(ours(), &words(line)),
            router.run(THEIRS, &words(line)),
        );
        assert_eq!(ours, theirs, "{line}");
    }
    drop(session);
}

#[test]
fn one_entry_is_shown_as_the_tool_shows_it() {
    let Some(network) = Network::new() else {
        return;
    };
    network.talk();
    network.settle();
    let list = network.router.must(THEIRS, &words("-L -p udp -o save"));
    let line = list
        .lines()
        .find(|line| line.contains("--dport 53"))
        .unwrap();
    let value = |name: &str| {
        let mut words = line.split(' ').skip_while(|word| *word != name);
        words.nth(1).unwrap().to_owned()
    };
    let (src, port) = (value("-s"), value("--sport"));
    let get = format!("-G -s {src} -d 10.91.2.2 -p udp --sport {port} --dport 53 -o extended,id");
    let ask = |program| network.router.run(program, &words(&get));
    let (ours, theirs) = at_once(|| ask(ours()), || ask(THEIRS));
    assert_same(&ours.out, &theirs.out);
    assert_eq!((ours.err, ours.status), (theirs.err, theirs.status));
    assert!(ours.out.contains("use=2"), "{}", ours.out);
}

#[test]
fn times_are_those_of_the_readers_own_clock() {
    let Some(space) = Space::new() else { return };
    space.sysctl(&["net.netfilter.nf_conntrack_timestamp=1"]);
    space.must(THEIRS, &words("-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 500"));
    let mut seen = Vec::new();
    for zone in ["America/New_York", "Asia/Kolkata", "UTC"] {
        let list = |program| {
            let mut command = space.command(program, &["-L", "-o", "ktimestamp"]);
            Said::of(&command.env("TZ", zone).output().unwrap()).out
        };
        let (ours, theirs) = at_once(|| list(ours()), || list(THEIRS));
        assert_same(&ours, &theirs);
        seen.push(ours);
    }
    // Without the package tzdata there are no zones.
    if std::path::Path::new("/usr/share/zoneinfo/Asia/Kolkata").exists() {
        assert_ne!(seen[0], seen[1]);
    }
}
