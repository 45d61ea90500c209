//! The configuration is checked as a whole.

use std::fs;

use crate::bench::Bench;

const WRONG: &str = r#"[run]
workers = 0
speed = "fast"
nothing = 1

[control]
mode = "0999"
group = "no such group"
timeout = "5"
path = "relative.sock"

[colour]
x = 1

[sysctl]
nf_conntrack_acct = 2
nf_conntrack_maxx = 3
net.netfilter.nf_conntrack_udp_timeout = 5
net.ipv4.ip_conntrack_max = "x"
"#;

#[test]
fn every_mistake_is_told_with_file_line_key_value_and_what_would_do() {
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), WRONG).unwrap();
    let (status, text) = bench.fails(&[]);
    assert_eq!(status, Some(2));
    for expected in [
        "ipct.conf:2: run.workers = 0: accepts a whole number from 1 to 256",
        "ipct.conf:3: run.speed = \"fast\": accepts a number from 0.001 to 1000000, or \"max\"",
        "ipct.conf:4: run.nothing: there is no such key; [run] has workers, replay, speed, repeat",
        "ipct.conf:7: control.mode = \"0999\": accepts permissions as an octal number in quotes, as in \"0660\"",
        "ipct.conf:8: control.group = \"no such group\": there is no such group; accepts a group's name in quotes, or number",
        "ipct.conf:9: control.timeout = \"5\": accepts a whole number from 1 to 86400",
        "ipct.conf:10: control.path = \"relative.sock\": accepts an absolute path in quotes",
        "ipct.conf:12: [colour]: there is no such section; there are [run], [queue], [tap], [bridge], [control], [state], [log], [metrics], [proc] and [sysctl]",
        "ipct.conf:16: sysctl.nf_conntrack_acct=2: accepts 0 to 1",
        "ipct.conf:17: sysctl.nf_conntrack_maxx: no such knob; did you mean nf_conntrack_max?",
        "ipct.conf:19: sysctl.nf_conntrack_max=x: accepts a whole number, 0 to 2147483647",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
    assert_eq!(text.lines().count(), 11, "{text}");
    assert!(!bench.path("control.sock").exists());
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let bench = Bench::new();
    for (wrong, place) in [
        ("\n[run\n", "ipct.conf:2:"),
        ("[run]\nworkers = = 1\n", "ipct.conf:2:"),
        ("[run]\nworkers = 1\nworkers = 2\n", "ipct.conf:3:"),
    ] {
        fs::write(bench.path("ipct.conf"), wrong).unwrap();
        let (status, text) = bench.fails(&[]);
        assert_eq!(status, Some(2), "{wrong:?}");
        assert!(text.contains(place), "{wrong:?}: {text}");
    }
    let (status, text) = bench.fails(&["--config", "/nowhere/ipct.conf"]);
    assert_eq!(status, Some(2));
    assert!(
        text.contains("/nowhere/ipct.conf: the configuration cannot be read"),
        "{text}"
    );
}

#[test]
fn thresholds_are_checked_together_whatever_their_order() {
    let bench = Bench::new();
    let two = "nf_conntrack_frag6_low_thresh = 6000000\nnf_conntrack_frag6_high_thresh = 7000000\n";
    fs::write(bench.path("ipct.conf"), format!("[sysctl]\n{two}")).unwrap();
    let daemon = bench.run(&[]);
    assert_eq!(
        bench.asks(&["sysctl", "-n", "nf_conntrack_frag6_low_thresh"]),
        "6000000\n"
    );
    drop(daemon);
    fs::write(
        bench.path("ipct.conf"),
        "[sysctl]\nnf_conntrack_frag6_low_thresh = 6000000\n",
    )
    .unwrap();
    let (status, text) = bench.fails(&[]);
    assert_eq!(status, Some(2));
    assert!(
        text.contains("[sysctl]: nf_conntrack_frag6_low_thresh=6000000: accepts at most 4194304"),
        "{text}"
    );
}

#[test]
fn the_command_line_wins_over_the_file() {
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), "[sysctl]\nnf_conntrack_max = 10\n").unwrap();
    let _daemon = bench.run(&["--sysctl", "ip_conntrack_max=20"]);
    assert_eq!(
        bench.asks(&["sysctl", "nf_conntrack_max"]),
        "net.netfilter.nf_conntrack_max = 20\n"
    );
}
