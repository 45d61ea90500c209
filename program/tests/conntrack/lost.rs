//! Events that come faster than they are read.

use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

use rustix::process::Signal;

use crate::events::listen;
use crate::run::{IPCT, ours};
use crate::space::Space;

const PORTS: std::ops::Range<u32> = 1000..4000;

/// A listener with a small buffer that stands still while thousands of entries are made.
fn overrun(space: &Space, program: &str, line: &str) -> crate::run::Said {
    let listener = listen(space, program, line);
    listener.signal(Signal::STOP);
    let mut commands = String::new();
    for port in PORTS {
        let _ = writeln!(
            commands,
            "-I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport {port} --dport 5 -t 600"
        );
    }
    assert_eq!(space.feed(ours(), &["-R", "-"], &commands).status, 0);
    listener.signal(Signal::CONT);
    std::thread::sleep(Duration::from_secs(2));
    listener.finish(Signal::INT)
}

fn ports(lines: &str, tag: &str) -> HashSet<u32> {
    let tagged = lines
        .lines()
        .filter(|line| line.trim_start().starts_with(tag));
    let port = |line: &str| line.split("sport=").nth(1)?.split(' ').next()?.parse().ok();
    tagged.filter_map(port).collect()
}

#[test]
fn losses_are_counted_and_the_table_is_listed_after_them() {
    let Some(space) = Space::new() else { return };
    let said = overrun(&space, IPCT, "--kernel -E -b 20000");
    let (new, sync) = (ports(&said.out, "[NEW]"), ports(&said.out, "[SYNC]"));
    let lost: usize = said
        .err
        .lines()
        .filter_map(|line| {
            line.strip_prefix("WARNING: ")?
                .split(' ')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    assert_eq!(new.len() + lost, PORTS.len(), "{}", said.err);
    assert!(lost > 0 && said.err.contains("ENOBUFS"), "{}", said.err);
    assert_eq!(sync, PORTS.collect(), "{}", said.err);
    assert!(
        said.err
            .contains(&format!("{} flow events have been shown.", new.len())),
        "{}",
        said.err
    );
    assert_eq!(said.status, 0);
}

#[test]
fn under_the_tools_name_losses_are_told_and_no_new_tag_is_used() {
    let Some(space) = Space::new() else { return };
    let said = overrun(&space, ours(), "-E -b 20000");
    assert!(
        said.err.contains("ENOBUFS") && said.status == 0,
        "{}",
        said.err
    );
    assert!(ports(&said.out, "[SYNC]").is_empty());
    assert!(!ports(&said.out, "[NEW]").is_empty());
}
