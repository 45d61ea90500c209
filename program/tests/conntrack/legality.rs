//! Which options go with which commands: every pair, beside the installed tool.

use crate::run::{THEIRS, ours, words};
use crate::space::Space;

/// Every option with an argument that is right.
#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "-s 1.1.1.1", "-d 1.1.1.1", "-r 1.1.1.1", "-q 1.1.1.1", "-p 99", "-t 5", "-u ASSURED", "-z", "-e NEW",
    "--tuple-src 1.1.1.1", "--tuple-dst 1.1.1.1", "--mask-src 255.0.0.0", "--mask-dst 255.0.0.0", "-m 1",
    "-i 1", "-f ipv4", "-g 9.9.9.9", "-j 9.9.9.9", "-o id", "-c 1", "-b 1000", "-w 1", "--orig-zone 1", "--reply-zone 1",
    "-p tcp --sport 5", "-p tcp --state CLOSE", "-p tcp --mask-port-src 5", "-p udp --dport 5",
    "-p icmp --icmp-type 8", "-p icmpv6 --icmpv6-code 8", "-p sctp --orig-vtag 5", "-p dccp --role client",
    "-p gre --srckey 5",
];

/// Commands, bare and with what they need.
#[rustfmt::skip]
const COMMANDS: &[&str] = &[
    "-L", "-G", "-D", "-I", "-U", "-F", "-C", "-S",
    "-G -s 1.1.1.1 -d 2.2.2.2 -p 99", "-L expect", "-F expect", "-C expect", "-S expect", "-G expect", "-D expect", "-I expect",
    "-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 5",
];

#[test]
fn every_command_takes_the_options_that_the_tools_takes() {
    let Some(space) = Space::new() else { return };
    for command in COMMANDS {
        for option in OPTIONS {
            let line = format!("{command} {option}");
            let answer = |program| {
                space.run(THEIRS, &["-F"]);
                space.run(program, &words(&line))
            };
            let (ours, theirs) = (answer(ours()), answer(THEIRS));
            assert_eq!(
                (ours.err, ours.status),
                (theirs.err, theirs.status),
                "{line}"
            );
        }
    }
}
