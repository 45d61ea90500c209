//! Filters: a table of everything, and what each option leaves of it, beside the installed tool.

use crate::compare::{assert_same_lines, at_once, without_sctp};
use crate::run::{THEIRS, ours, words};
use crate::space::Space;

/// One of each.
#[rustfmt::skip]
pub(crate) const ENTRIES: &[&str] = &[
    "-I -s 10.1.0.1 -d 10.2.0.1 -p tcp --sport 1000 --dport 80 --state SYN_SENT -t 900",
    "-I -s 10.1.0.1 -d 10.2.0.1 -p tcp --sport 1001 --dport 80 --state ESTABLISHED -t 900 -u SEEN_REPLY,ASSURED",
    "-I -s 10.1.0.2 -d 10.2.0.2 -p tcp --sport 1002 --dport 443 --state TIME_WAIT -t 900 -u SEEN_REPLY -m 5",
    "-I -s 10.1.0.3 -d 10.2.0.2 -p udp --sport 1003 --dport 53 -t 900 -u SEEN_REPLY,FIXED_TIMEOUT -m 0x15",
    "-I -s 10.1.0.3 -d 10.2.0.2 -p udp --sport 1004 --dport 53 -t 900 -n 10.9.0.1",
    "-I -s 10.1.0.3 -d 10.2.0.3 -p udp --sport 1005 --dport 53 -t 900 -g 10.9.0.2:5353",
    "-I -s 10.1.0.3 -d 10.2.0.3 -p udp --sport 1006 --dport 53 -t 900 -g 10.9.0.2:5353 -n 10.9.0.1:77",
    "-I -s 10.1.0.4 -d 10.2.0.4 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 7 -t 900",
    "-I -s 10.1.0.4 -d 10.2.0.4 -p icmp --icmp-type 13 --icmp-code 0 --icmp-id 8 -t 900",
    "-I -s 10.1.0.4 -d 10.2.0.4 -p gre --srckey 0x10 --dstkey 32 -t 900",
    "-I -s 10.1.0.4 -d 10.2.0.4 -p sctp --sport 9 --dport 10 --state COOKIE_WAIT --orig-vtag 5 --reply-vtag 6 -t 900",
    "-I -s 10.1.0.4 -d 10.2.0.4 -p udplite --sport 9 --dport 10 -t 900",
    "-I -s 10.1.0.4 -d 10.2.0.4 -p dccp --sport 9 --dport 10 --state OPEN --role client -t 900",
    "-I -s 10.1.0.4 -d 10.2.0.4 -p 99 -t 900",
    "-I -s 10.1.0.5 -d 10.2.0.5 -p udp --sport 9 --dport 10 -t 900 -w 5",
    "-I -s 10.1.0.5 -d 10.2.0.5 -p udp --sport 9 --dport 10 -t 900 --orig-zone 6",
    "-I -s 10.1.0.6 -d 10.2.0.6 -p udp --sport 9 --dport 10 -t 900 --reply-zone 7",
    "-I -r 10.2.0.7 -q 10.1.0.7 -p udp --reply-port-src 53 --reply-port-dst 99 -t 900",
    "-I -s 2001:db8::1 -d 2001:db8::2 -p tcp --sport 1 --dport 2 --state CLOSE -t 900",
    "-I -s 2001:db8::1 -d 2001:db8:1::2 -p udp --sport 1 --dport 2 -t 900 -m 5",
    "-I -s 2001:db8::1 -d 2001:db8::2 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 3 -t 900",
];

#[rustfmt::skip]
pub(crate) const FILTERS: &[&str] = &[
    "", "-f ipv4", "-f ipv6", "-p tcp", "-p 6", "-p UDP", "-p icmp", "-p icmpv6", "-p gre", "-p sctp", "-p dccp", "-p 99", "-p 47",
    "-s 10.1.0.3", "-s 10.1.0.0/30", "-s 10.1.0.2 --mask-src 255.255.255.254", "-d 10.2.0.2", "-d 10.2.0.0/30", "-s 10.1.0.0/16 -d 10.2.0.4",
    "-r 10.9.0.2", "-q 10.9.0.1", "-r 10.2.0.1", "-s 2001:db8::1", "-d 2001:db8::/48", "-d 2001:db8:1::2", "-s 0.0.0.0/0", "-s ::/0",
    "-p tcp --sport 1000", "-p tcp --dport 80", "-p udp --reply-port-src 5353", "-p udp --reply-port-dst 77", "-p tcp --orig-port-dst 443",
    "-p tcp --state SYN_SENT", "-p tcp --state CLOSE", "-p sctp --state COOKIE_WAIT", "-p sctp --state CLOSED",
    "-p icmp --icmp-type 8", "-p icmp --icmp-id 8", "-p icmp --icmp-code 0", "-p icmpv6 --icmpv6-type 128", "-p gre --srckey 16", "-p gre --dstkey 0x20",
    "-m 5", "-m 0", "-m 5/0xf", "-m 0x10/0x10", "-m 1/0", "-u ASSURED", "-u SEEN_REPLY", "-u SEEN_REPLY,ASSURED", "-u FIXED_TIMEOUT", "-u EXPECTED",
    "-n", "-g", "-j", "-n 10.9.0.1", "-n 10.9.0.1:77", "-g 10.9.0.2", "-g 10.9.0.2:5353", "-g 10.9.0.2:1", "-j 10.9.0.1", "-n -g",
    "-w 5", "-w 0", "-w 6", "--orig-zone 6", "--orig-zone 5", "--reply-zone 7", "--reply-zone 0", "--orig-zone 0", "-w 5 -p udp",
    "-s 10.1.0.5 -w 5", "-f ipv6 -p udp -m 5", "-s 10.1.0.1 -d 10.2.0.1 -p tcp --sport 1001 --dport 80 -u ASSURED -o extended,id",
    "-o save", "-o xml", "-o extended,id", "-z", "-z -f ipv6", "-c 0",
];

/// A namespace with one entry of each kind.
pub(crate) fn filled(program: &str) -> Option<Space> {
    let space = Space::new()?;
    for line in ENTRIES {
        let said = space.run(program, &words(line));
        assert_eq!(said.status, 0, "{line}: {}", said.err);
    }
    Some(space)
}

#[test]
fn every_filter_leaves_what_the_tools_leaves() {
    let Some(space) = filled(THEIRS) else { return };
    for filter in FILTERS {
        let line = format!("-L {filter}");
        let ask = |program| space.run(program, &words(&line));
        let (ours, theirs) = at_once(|| ask(ours()), || ask(THEIRS));
        println!("{line}");
        assert_same_lines(&without_sctp(&ours.out), &without_sctp(&theirs.out));
        assert_eq!(
            (ours.err, ours.status),
            (theirs.err, theirs.status),
            "{line}"
        );
    }
}

#[test]
fn filters_that_the_tool_refuses_or_turns_around_do_what_they_say() {
    let Some(space) = filled(THEIRS) else { return };
    let count = |line: &str| {
        space
            .must(ours(), &words(&format!("-L {line}")))
            .lines()
            .count()
    };
    let all = ENTRIES.len();
    assert_eq!(count(""), all);
    assert_eq!(count("-u !SEEN_REPLY") + count("-u SEEN_REPLY"), all);
    assert_eq!(count("-u UNREPLIED"), count("-u !SEEN_REPLY"));
    assert_eq!(
        count("-u SEEN_REPLY,!ASSURED"),
        count("-u SEEN_REPLY") - count("-u ASSURED")
    );
    // The kernel tells no security marks; to the tool, what is not told matches anything.
    assert_eq!(count("-c 1"), 0);
    // The kernel's own filter has the test of IPv6 addresses turned around.
    assert_eq!(count("-s 2001:db8::1 -d 2001:db8:1::2 -p udp"), 1);
    assert_eq!(count("-s 2001:db8::9 -p udp"), 0);
}
