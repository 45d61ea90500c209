//! What stdout looks like: each form of `captures/web.pcap` against a file in `tests/golden`.
//!
//! `IPCT_GOLDEN=write cargo test -p ipct` writes the files anew. What changed in them is then to be
//! compared with what Linux and conntrack(8) print, not just committed.

use std::path::Path;

use crate::bench::{Bench, replay_web};
use crate::build::{CLIENT, Pcap, RAW, SERVER, udp};

/// Compares what `replay` prints for `captures/web.pcap` with a golden file.
#[track_caller]
fn golden(name: &str, arguments: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let ran = replay_web(arguments)
        .exits(0)
        .says("ipct: 119 packets; not tracked: 2 not_ip\n");
    if std::env::var_os("IPCT_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&file, &ran.stdout).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert!(expected.len() > 500, "{name} is all but empty");
    for (number, (line, want)) in ran.stdout.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, want, "{name}, line {}", number + 1);
    }
    assert_eq!(ran.stdout, expected, "{name}");
}

#[test]
fn proc_net_ip_conntrack_of_old() {
    golden("ip_conntrack.txt", "--format ip_conntrack");
}

#[test]
fn proc_net_nf_conntrack() {
    golden("nf_conntrack.txt", "--format nf_conntrack");
}

#[test]
fn conntrack_list() {
    golden("conntrack.txt", "--format conntrack");
}

#[test]
fn conntrack_list_extended() {
    golden("extended.txt", "--format extended");
}

#[test]
fn conntrack_list_xml() {
    golden("table.xml", "--format xml --seed 1");
}

#[test]
fn json() {
    golden("table.json", "--format json --seed 1");
}

#[test]
fn conntrack_list_with_ids_and_times() {
    golden(
        "id-ktimestamp.txt",
        "--format conntrack -o id,ktimestamp --seed 1 --sysctl nf_conntrack_timestamp=1",
    );
}

#[test]
fn events_as_they_happened() {
    golden("events.txt", "--events -o timestamp");
}

#[test]
fn a_verdict_for_each_packet() {
    golden("verdicts.txt", "--verdicts");
}

#[test]
fn counters() {
    golden("stats.txt", "--stats");
}

#[test]
fn proc_net_nf_conntrack_is_the_form_that_is_not_asked_for() {
    let asked = replay_web("--format nf_conntrack");
    replay_web("").exits(0).shows(&asked.stdout);
}

#[test]
fn the_same_seed_gives_the_same_ids_and_another_one_others() {
    let ids = |seed: &str| replay_web(&format!("--format json {seed}")).exits(0).stdout;
    assert_eq!(ids("--seed 7"), ids("--seed 7"));
    assert_ne!(ids("--seed 7"), ids("--seed 8"));
    assert_ne!(ids(""), ids(""));
}

#[test]
fn events_tell_when_a_connection_ran_out() {
    let file = Pcap::new(RAW).at(1_000_000, &udp((CLIENT, 4000), (SERVER, 53), 1));
    let bench = Bench::of("a.pcap", &file.bytes);
    let connection = "src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=53";
    let new = format!("    [NEW] udp      17 30 {connection} [UNREPLIED] ");
    let destroy = format!("[DESTROY] udp      17 {connection} packets=1 bytes=29 [UNREPLIED] ");
    let lines = |arguments: &str| -> Vec<String> {
        let ran = bench.replay(arguments).exits(0).says("");
        ran.stdout.lines().map(str::to_owned).collect()
    };
    let before = lines("--events --at 29 a.pcap");
    assert!(
        matches!(&*before, [one] if one.starts_with(&new)),
        "{before:?}"
    );
    let after = lines("--events --at 31 a.pcap");
    assert!(
        matches!(&*after, [one, two] if one.starts_with(&new) && two.starts_with(&destroy)),
        "{after:?}"
    );
}

#[test]
fn an_unknown_format_is_refused_with_the_list_of_those_there_are() {
    let forms = [
        "ip_conntrack",
        "nf_conntrack",
        "conntrack",
        "extended",
        "xml",
        "json",
    ];
    let ran = replay_web("--format yaml").exits(2).shows("");
    ran.mentions(&["yaml", "--format"]).mentions(&forms);
}

#[test]
fn an_unknown_option_is_refused() {
    let ran = replay_web("--colour").exits(2).shows("");
    ran.mentions(&["--colour"]);
}

#[test]
fn two_answers_to_what_to_print_are_refused() {
    let ran = replay_web("--events --stats").exits(2).shows("");
    ran.mentions(&["--events", "--stats"]);
}

#[test]
fn no_capture_is_a_mistake_of_usage() {
    let ran = Bench::new().replay("").exits(2).shows("");
    ran.mentions(&["CAPTURE"]);
}
