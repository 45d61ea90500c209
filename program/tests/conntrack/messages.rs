//! Messages and exit statuses, word for word.

use crate::run::{IPCT, THEIRS, ours, run, words};
use crate::space::Space;

const TRY: &str = "Try `conntrack -h' or 'conntrack --help' for more information.";

const PREFIX: &str = "conntrack v1.4.7 (conntrack-tools): ";

/// Command lines that are wrong, what is said, and the status.
#[rustfmt::skip]
const WRONG: &[(&str, &str, i32)] = &[
    ("-L -p bogus", "`bogus' unsupported protocol", 2),
    ("-L -p 256", "`256' unsupported protocol", 2),
    ("-L -f ipx", "`ipx' unsupported protocol", 2),
    ("-L --sport 5", "unknown option `--sport'", 2),
    ("-L --bogus", "unknown option `--bogus'", 2),
    ("-L --reply 5", "unknown option `--reply'", 2),
    ("-L -x", "unknown option `-x'", 2),
    ("-L -d", "option `-d' requires an argument", 2),
    ("-L --src", "option `--src' requires an argument", 2),
    ("-L -p tcp --sport", "option `--sport' requires an argument", 2),
    ("-L -p tcp --state BOGUS", "unknown TCP state `BOGUS'", 2),
    ("-L -p tcp --state established", "unknown TCP state `established'", 2),
    ("-L -u FOO", "Bad parameter `FOO'", 2),
    ("-L -u ASSURED,FOO", "Bad parameter `FOO'", 2),
    ("-L -o foo", "Bad parameter `foo'", 2),
    ("-E -e FOO", "Bad parameter `FOO'", 2),
    ("-L -j -n", "cannot specify `--src-nat' or `--dst-nat' with `--any-nat'", 2),
    ("-L -z -p tcp", "Can't use -z with filtering parameters", 2),
    ("-L -z -m 1", "Can't use -z with filtering parameters", 2),
    ("-L -o xml,save", "cannot combine save output with any other output type, use -o save only", 1),
    ("-L -D", "Invalid commands combination", 2),
    ("-L -L", "Invalid commands combination", 2),
    ("-L -h", "Invalid commands combination", 2),
    ("-L foo", "unknown type `foo'", 2),
    ("-F dying", "Can't do that command with tables `dying' and `unconfirmed'", 2),
    ("-A expect", "Can't do --add on expectations", 2),
    ("-U expect", "Can't do --update on expectations", 2),
    ("-L -t 5", "Illegal option `--timeout' with this command", 2),
    ("-s 1.1.1.1", "Illegal option `--src' with this command", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 5 -f ipv4", "Illegal option `--family' with this command", 2),
    ("-L -r 10.0.2.0/24", "CIDR notation unavailable for `--reply-src'", 2),
    ("-L -n 1.2.3.4/8", "CIDR notation unavailable for `--src-nat'", 2),
    ("-L -n 1.1.1.1:zz", "Invalid port `zz'", 2),
    ("-L -s 300.1.1.1", "Invalid IP address `300.1.1.1'", 2),
    ("-L -s localhost", "Invalid IP address `localhost'", 2),
    ("-L -s 10.0.0.0/33", "Invalid netmask", 2),
    ("-L -s 10.0.0.0/abc", "Invalid netmask", 2),
    ("-L --mask-src 255.0.0.0", "Can't use --mask-src without --src", 2),
    ("-L -s 10.0.0.1 -d ::1", "mismatched address family", 2),
    ("-L -s 10.0.0.1 -f ipv6", "mismatched address family", 2),
    ("-G", "You need to supply the `--protonum' option for this command", 2),
    ("-G -p 99", "you have to specify `--src' and `--dst'", 2),
    ("-G -r 1.1.1.1 -p 99", "you have to specify `--reply-src' and `--reply-dst'", 2),
    ("-I -s 1.1.1.1 -p tcp -t 5 --sport 5 --dport 6 --state NONE", "you have to specify `--src' and `--dst'", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -t 5", "You need to supply the `--protonum' option for this command", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p tcp", "You need to supply the `--timeout' option for this command", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p tcp -t 5 --sport 5 --dport 6", "You need to supply the `--state' option for this command", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p udp -t 5", "you have to specify `--sport' and `--dport'", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p gre -t 5", "you have to specify `--srckey' and `--dstkey'", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p icmp -t 5 --icmp-type 8", "You need to supply the `--icmp-code' option for this command", 2),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p sctp -t 5 --sport 5 --dport 6 --state CLOSED", "You need to supply the `--orig-vtag' option for this command", 2),
    ("-R /nonexistent", "Failed to open file /nonexistent for reading", 2),
];

/// What is not as in the tool, which takes nonsense for 0, passes over words that mean nothing, and falls over an
/// unknown state of SCTP.
#[rustfmt::skip]
const STRICTER: &[(&str, &str, i32)] = &[
    ("-L -p sctp --state BOGUS", "unknown SCTP state `BOGUS'", 2),
    ("-L -m zz", "unexpected value 'zz' with -m option", 1),
    ("-L -m 1/", "unexpected value '' with -m option", 1),
    ("-L -w 70000", "unexpected value '70000' with -w option", 1),
    ("-L -p tcp --sport http", "unexpected value 'http' with --sport option", 1),
    ("-D -s 1.1.1.1 2.2.2.2", "unknown argument `2.2.2.2'", 2),
    ("-R", "option `-R' requires an argument", 2),
    ("-L --kernel --ipct", "cannot specify `--ipct' or `--socket' with `--kernel'", 2),
];

fn expected(message: &str, status: i32) -> String {
    match status {
        2 => format!("{PREFIX}{message}\n{TRY}\n"),
        _ => format!("{PREFIX}{message}\n"),
    }
}

#[test]
fn wrong_command_lines_are_told_in_the_tools_words() {
    for (line, message, status) in WRONG.iter().chain(STRICTER) {
        let said = run(ours(), &words(line));
        assert_eq!(said.err, expected(message, *status), "{line}");
        assert_eq!((said.out.as_str(), said.status), ("", *status), "{line}");
    }
}

#[test]
fn the_installed_tool_says_the_same() {
    let Some(space) = Space::new() else { return };
    for (line, _, _) in WRONG {
        let (ours, theirs) = (
            space.run(ours(), &words(line)),
            space.run(THEIRS, &words(line)),
        );
        assert_eq!(ours, theirs, "{line}");
    }
}

#[test]
fn under_its_own_name_the_program_signs_with_it() {
    let said = run(IPCT, &words("-L -t 5"));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        said.err,
        format!(
            "ipct v{version} (ip_conntrack): Illegal option `--timeout' with this command\n\
             Try `ipct -h' or 'ipct --help' for more information.\n"
        )
    );
    assert_eq!(
        run(IPCT, &["-V"]).out,
        format!("ipct v{version} (ip_conntrack)\n")
    );
}

#[test]
fn under_the_tools_name_it_gives_the_version_whose_habits_it_keeps_and_says_who_answers() {
    let said = run(ours(), &["-V"]);
    assert_eq!(said.out, "conntrack v1.4.7 (conntrack-tools)\n");
    assert!(said.err.contains("ip_conntrack"), "{}", said.err);
}

#[test]
fn the_help_names_every_command_and_option_and_those_of_a_protocol() {
    let help = run(ours(), &["-h", "-p", "sctp"]);
    for name in [
        "-L, --dump",
        "--label-del",
        "--reply-zone",
        "--orig-vtag",
        "--state",
        "-R",
    ] {
        assert!(help.out.contains(name), "{name}");
    }
    assert!(!run(ours(), &["-h"]).out.contains("--orig-vtag"));
    assert_eq!(help.status, 0);
    assert_eq!(run(ours(), &[]).out, run(ours(), &["-h"]).out);
}

#[test]
fn verbs_and_their_help_stay_what_they_were() {
    let said = run(IPCT, &["--help"]);
    assert!(said.out.contains("replay") && said.status == 0, "{said:?}");
    assert!(said.out.contains("conntrack(8): ipct -h"), "{said:?}");
    assert!(run(IPCT, &["-h"]).out.contains("--orig-zone"));
    assert_eq!(run(IPCT, &["replay", "/nonexistent"]).status, 1);
}

/// What the kernel refuses.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("-G -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 5 --dport 7", "such conntrack doesn't exist"),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p udp -t 50 --sport 5 --dport 6", "Such conntrack exists, try -U to update"),
    ("-I -s 1.1.1.1 -d 2.2.2.2 -p icmp -t 5 --icmp-type 3 --icmp-code 0", "invalid parameters"),
    ("-L -u UNSET", "invalid parameters"),
];

#[test]
fn what_the_kernel_refuses_is_told_in_the_tools_words() {
    let Some(space) = Space::new() else { return };
    space.must(THEIRS, &words(REFUSED[1].0));
    for (line, message) in REFUSED {
        let said = space.run(ours(), &words(line));
        let expected = format!("{PREFIX}Operation failed: {message}\n");
        assert_eq!((said.err, said.status), (expected, 1), "{line}");
        let both = (
            space.run(ours(), &words(line)),
            space.run(THEIRS, &words(line)),
        );
        assert_eq!(both.0, both.1, "{line}");
    }
}

#[test]
fn without_the_right_to_it_nothing_is_listed_or_changed() {
    let Some(space) = Space::new() else { return };
    let run = |line: &str| {
        let drop = ["--bounding-set", "-net_admin", ours()];
        let arguments: Vec<&str> = drop.into_iter().chain(line.split(' ')).collect();
        space.run("setpriv", &arguments)
    };
    // What `/proc` shows to everybody is shown.
    for line in ["-C", "-S", "-S expect"] {
        let said = run(line);
        assert_eq!((said.err.as_str(), said.status), ("", 0), "{line}");
        assert_eq!(said.out, space.must(ours(), &words(line)), "{line}");
    }
    for line in ["-L", "-F", "-D", "-L expect", "-C expect", "-E"] {
        let said = run(line);
        assert_eq!(
            said.err,
            format!(
                "{PREFIX}Operation failed: sorry, you must be root or get CAP_NET_ADMIN \
                 capability to do this\n"
            ),
            "{line}"
        );
        assert_eq!((said.out.as_str(), said.status), ("", 1), "{line}");
    }
}

#[test]
fn an_empty_table_is_told_by_every_command() {
    let Some(space) = Space::new() else { return };
    #[rustfmt::skip]
    let lines = [
        ("-L", "0 flow entries have been shown.", 0),
        ("-L exp", "0 expectations have been shown.", 0),
        ("-L dying", "0 flow entries have been shown.", 0),
        ("-L unconf", "0 flow entries have been shown.", 0),
        ("-D", "0 flow entries have been deleted.", 1),
        ("-U -f ipv4 -m 1", "0 flow entries have been updated.", 1),
        ("-F", "connection tracking table has been emptied.", 0),
        ("-F expect", "expectation table has been emptied.", 0),
    ];
    for (line, message, status) in lines {
        let both = (
            space.run(ours(), &words(line)),
            space.run(THEIRS, &words(line)),
        );
        assert_eq!(both.0, both.1, "{line}");
        assert_eq!(
            (both.0.err, both.0.status),
            (format!("{PREFIX}{message}\n"), status),
            "{line}"
        );
    }
    assert_eq!(space.run(ours(), &["-C"]).out, "0\n");
    assert_eq!(space.run(ours(), &["-C", "expect"]).out, "0\n");
}
