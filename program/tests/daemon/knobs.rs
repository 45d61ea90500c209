//! `ipct sysctl`.

use crate::bench::Bench;

#[test]
fn knobs_are_shown_and_set_by_any_name_as_sysctl_does() {
    let bench = Bench::new();
    let _daemon = bench.run(&["--workers", "2"]);
    let asks = |arguments: &[&str]| bench.asks(&[&["sysctl"], arguments].concat());
    assert_eq!(
        asks(&["net.netfilter.nf_conntrack_max"]),
        "net.netfilter.nf_conntrack_max = 262144\n"
    );
    assert_eq!(
        asks(&["ip_conntrack_max=77"]),
        "net.ipv4.ip_conntrack_max = 77\n"
    );
    assert_eq!(asks(&["-n", "net/nf_conntrack_max"]), "77\n");
    assert_eq!(
        asks(&["-w", "nf_conntrack_acct=0", "nf_conntrack_events=1"])
            .lines()
            .count(),
        2
    );
    assert_eq!(
        asks(&["net.ipv4.netfilter.ip_conntrack_tcp_loose=3"]),
        "net.ipv4.netfilter.ip_conntrack_tcp_loose = 1\n"
    );
    let all = asks(&["-a"]);
    assert_eq!(all.lines().count(), ip_conntrack::Knob::ALL.len());
    assert!(all.contains("net.netfilter.nf_conntrack_count = 0\n"));
}

#[test]
fn what_is_refused_says_why_and_the_others_are_done() {
    let bench = Bench::new();
    let _daemon = bench.run(&[]);
    let output = bench.ipct(&[
        "sysctl",
        "nf_conntrack_maxx",
        "nf_conntrack_acct=7",
        "nf_conntrack_count=1",
        "nf_conntrack_acct=x",
        "nf_conntrack_max=5",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    for words in [
        "nf_conntrack_maxx: no such knob; did you mean nf_conntrack_max?",
        "nf_conntrack_acct=7: accepts 0 to 1",
        "nf_conntrack_count: accepts no value, it can only be read",
        "nf_conntrack_acct=x: accepts a whole number, 0 to 1",
    ] {
        assert!(text.contains(words), "{words}\nis not in\n{text}");
    }
    assert_eq!(output.stdout, b"net.netfilter.nf_conntrack_max = 5\n");
}
