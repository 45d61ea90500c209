//! The knobs: Linux's names, defaults and bounds.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use ip_conntrack::config::{Config, ConfigError, Knob, Unit};

/// What `net.netfilter` holds in a fresh network namespace, and the bounds that it enforces.
const LINUX: &[(&str, i64, i64, i64)] = &[
    ("max", 262_144, 0, INT),
    ("count", 0, 0, INT),
    ("buckets", 262_144, 1, INT),
    ("checksum", 1, 0, 1),
    ("log_invalid", 0, 0, 255),
    ("expect_max", 4096, 1, INT),
    ("acct", 0, 0, 1),
    ("events", 2, 0, 2),
    ("timestamp", 0, 0, 1),
    ("generic_timeout", 600, -1, TIME),
    ("icmp_timeout", 30, -1, TIME),
    ("icmpv6_timeout", 30, -1, TIME),
    ("udp_timeout", 30, -1, TIME),
    ("udp_timeout_stream", 120, -1, TIME),
    ("gre_timeout", 30, -1, TIME),
    ("gre_timeout_stream", 180, -1, TIME),
    ("tcp_timeout_syn_sent", 120, -1, TIME),
    ("tcp_timeout_syn_recv", 60, -1, TIME),
    ("tcp_timeout_established", 432_000, -1, TIME),
    ("tcp_timeout_fin_wait", 120, -1, TIME),
    ("tcp_timeout_close_wait", 60, -1, TIME),
    ("tcp_timeout_last_ack", 30, -1, TIME),
    ("tcp_timeout_time_wait", 120, -1, TIME),
    ("tcp_timeout_close", 10, -1, TIME),
    ("tcp_timeout_max_retrans", 300, -1, TIME),
    ("tcp_timeout_unacknowledged", 300, -1, TIME),
    ("tcp_loose", 1, 0, 1),
    ("tcp_be_liberal", 0, 0, 1),
    ("tcp_ignore_invalid_rst", 0, 0, 1),
    ("tcp_max_retrans", 3, 0, 255),
    ("sctp_timeout_closed", 10, -1, TIME),
    ("sctp_timeout_cookie_wait", 3, -1, TIME),
    ("sctp_timeout_cookie_echoed", 3, -1, TIME),
    ("sctp_timeout_established", 210, -1, TIME),
    ("sctp_timeout_shutdown_sent", 3, -1, TIME),
    ("sctp_timeout_shutdown_recd", 3, -1, TIME),
    ("sctp_timeout_shutdown_ack_sent", 3, -1, TIME),
    ("sctp_timeout_heartbeat_sent", 30, -1, TIME),
    ("frag6_timeout", 60, -1, TIME),
    ("frag6_high_thresh", 4_194_304, 0, i64::MAX),
    ("frag6_low_thresh", 3_145_728, 0, i64::MAX),
];

/// What has a name of its own, with its default.
const OTHERS: &[(&str, i64)] = &[
    ("net.netfilter.nf_hooks_lwtunnel", 0),
    ("net.netfilter.nf_log_all_netns", 0),
    ("net.ipv4.ipfrag_time", 30),
    ("net.ipv4.ipfrag_high_thresh", 4_194_304),
    ("net.ipv4.ipfrag_low_thresh", 3_145_728),
    ("net.ipv4.ipfrag_max_dist", 64),
];

/// What `net.ipv4.netfilter.ip_conntrack_*` held.
const OLD: &[&str] = &[
    "max",
    "count",
    "buckets",
    "checksum",
    "log_invalid",
    "generic_timeout",
    "icmp_timeout",
    "udp_timeout",
    "udp_timeout_stream",
    "tcp_timeout_syn_sent",
    "tcp_timeout_syn_recv",
    "tcp_timeout_established",
    "tcp_timeout_fin_wait",
    "tcp_timeout_close_wait",
    "tcp_timeout_last_ack",
    "tcp_timeout_time_wait",
    "tcp_timeout_close",
    "tcp_timeout_max_retrans",
    "tcp_loose",
    "tcp_be_liberal",
    "tcp_max_retrans",
];

const INT: i64 = i32::MAX as i64;
const TIME: i64 = 8_589_934;

fn knob(name: &str) -> Knob {
    Knob::by_name(name).unwrap_or_else(|| panic!("{name} is unknown"))
}

/// Sets by name and gives the text of the refusal.
fn refusal(name: &str, value: &str) -> String {
    let mut config = Config::default();
    let error = config.set_by_name(name, value).unwrap_err();
    assert_eq!(
        config,
        Config::default(),
        "a refused change changes nothing"
    );
    error.to_string()
}

#[test]
fn defaults_and_bounds_are_those_of_linux() {
    for &(name, default, min, max) in LINUX {
        let knob = knob(&format!("nf_conntrack_{name}"));
        let info = knob.info();
        assert_eq!(
            (info.default, info.min, info.max),
            (default, min, max),
            "{name}"
        );
        assert_eq!(Config::default().get(knob), default, "{name}");
    }
    for &(name, default) in OTHERS {
        assert_eq!(Config::default().get(knob(name)), default, "{name}");
    }
    assert_eq!(Knob::ALL.len(), LINUX.len() + OTHERS.len());
}

#[test]
fn every_knob_is_described() {
    for (index, knob) in Knob::ALL.iter().enumerate() {
        let info = knob.info();
        assert_eq!(*knob as usize, index);
        assert!(
            info.doc.ends_with('.') && !info.doc.starts_with(' '),
            "{}",
            info.name
        );
        assert!(
            (info.min..=info.max).contains(&info.default),
            "{}",
            info.name
        );
        assert_eq!(
            info.unit == Unit::Flag,
            info.doc.starts_with("Whether") && info.max == 1
        );
        assert_eq!(info.read_only, *knob == Knob::Count);
    }
}

#[test]
fn every_form_of_a_name_is_known() {
    for knob in Knob::ALL {
        let info = knob.info();
        let slashed = format!("{}/{}", info.path, info.name);
        for name in [
            info.name.to_owned(),
            slashed.replace('/', "."),
            format!("/proc/sys/{slashed}"),
            slashed,
        ] {
            assert_eq!(Knob::by_name(&name), Some(*knob), "{name}");
        }
    }
    assert_eq!(knob("net.nf_conntrack_max"), Knob::Max);
}

#[test]
fn every_old_name_is_known() {
    for name in OLD {
        let today = knob(&format!("nf_conntrack_{name}"));
        assert_eq!(knob(&format!("ip_conntrack_{name}")), today);
        assert_eq!(
            knob(&format!("net.ipv4.netfilter.ip_conntrack_{name}")),
            today
        );
        assert_eq!(
            knob(&format!("/proc/sys/net/ipv4/netfilter/ip_conntrack_{name}")),
            today
        );
    }
    assert_eq!(knob("net.ipv4.ip_conntrack_max"), Knob::Max);
    assert_eq!(knob("/proc/sys/net/ipv4/ip_conntrack_max"), Knob::Max);
}

#[test]
fn a_name_in_the_wrong_place_is_unknown() {
    for name in [
        "net.ipv4.nf_conntrack_max",
        "net.ipv4.ip_conntrack_udp_timeout",
        "net.netfilter.ipfrag_time",
        "ip_conntrack_acct",
        "netfilter.nf_conntrack_max",
        ".nf_conntrack_max",
        "nf_conntrack_max/",
        "max",
        "",
    ] {
        assert_eq!(Knob::by_name(name), None, "{name}");
    }
}

#[test]
fn values_are_set_and_read_back() {
    let mut config = Config::default();
    assert_eq!(
        config.set_by_name("net.netfilter.nf_conntrack_acct", "1"),
        Ok(Knob::Acct)
    );
    assert!(config.flag(Knob::Acct));
    assert_eq!(
        config.set_by_name("ip_conntrack_udp_timeout", " -1\n"),
        Ok(Knob::UdpTimeout)
    );
    assert_eq!(config.get(Knob::UdpTimeout), -1);
    assert_eq!(config.set(Knob::Max, 0), Ok(()));
    assert_eq!(config.get(Knob::Max), 0);
}

#[test]
fn a_refusal_says_what_is_accepted() {
    assert_eq!(
        refusal("nf_conntrack_acct", "2"),
        "nf_conntrack_acct=2: accepts 0 to 1"
    );
    assert_eq!(
        refusal("ip_conntrack_icmp_timeout", "8589935"),
        "nf_conntrack_icmp_timeout=8589935: accepts -1 to 8589934"
    );
    assert_eq!(
        refusal("nf_conntrack_expect_max", "0"),
        "nf_conntrack_expect_max=0: accepts 1 to 2147483647"
    );
    assert_eq!(
        refusal("nf_conntrack_udp_timeout", "0.5"),
        "nf_conntrack_udp_timeout=0.5: accepts a whole number, -1 to 8589934"
    );
    assert_eq!(
        refusal("nf_conntrack_max", "99999999999999999999"),
        "nf_conntrack_max=99999999999999999999: accepts a whole number, 0 to 2147483647"
    );
    assert_eq!(
        refusal("ipfrag_high_thresh", "-1"),
        "ipfrag_high_thresh=-1: accepts 0 or more"
    );
}

#[test]
fn the_count_can_only_be_read() {
    let text = "nf_conntrack_count: accepts no value, it can only be read";
    assert_eq!(refusal("nf_conntrack_count", "5"), text);
    assert_eq!(refusal("ip_conntrack_count", "x"), text);
    let error = Config::default().set(Knob::Count, 1);
    assert_eq!(
        error,
        Err(ConfigError::ReadOnly {
            name: "nf_conntrack_count"
        })
    );
}

#[test]
fn an_unknown_name_gets_a_suggestion() {
    for (name, nearest) in [
        ("nf_conntrack_udp_timout", "nf_conntrack_udp_timeout"),
        (
            "net.netfilter.nf_conntrack_tcp_timeout_estabished",
            "nf_conntrack_tcp_timeout_established",
        ),
        ("ip_conntrack_acct", "nf_conntrack_acct"),
        ("tcp_loose", "nf_conntrack_tcp_loose"),
        ("ipfrag_tim", "ipfrag_time"),
    ] {
        let text = format!("{name}: no such knob; did you mean {nearest}?");
        assert_eq!(refusal(name, "1"), text);
    }
    assert_eq!(
        refusal("kernel.hostname", "1"),
        "kernel.hostname: no such knob"
    );
}

#[test]
fn a_low_threshold_never_passes_its_high_one() {
    assert_eq!(
        refusal("nf_conntrack_frag6_high_thresh", "3145727"),
        "nf_conntrack_frag6_high_thresh=3145727: accepts at least 3145728, \
         which is nf_conntrack_frag6_low_thresh"
    );
    assert_eq!(
        refusal("net.ipv4.ipfrag_low_thresh", "4194305"),
        "ipfrag_low_thresh=4194305: accepts at most 4194304, which is ipfrag_high_thresh"
    );
    let mut config = Config::default();
    assert_eq!(config.set(Knob::Frag6LowThresh, 4_194_304), Ok(()));
    assert_eq!(config.set(Knob::Frag6HighThresh, i64::MAX), Ok(()));
    assert_eq!(config.set(Knob::IpfragHighThresh, 3_145_728), Ok(()));
}

#[test]
fn the_old_loose_counted_packets() {
    let mut config = Config::default();
    for (value, flag) in [("3", true), ("0", false), ("1", true)] {
        let set = config.set_by_name("net.ipv4.netfilter.ip_conntrack_tcp_loose", value);
        assert_eq!(
            (set, config.flag(Knob::TcpLoose)),
            (Ok(Knob::TcpLoose), flag)
        );
    }
    let text = "nf_conntrack_tcp_loose=-1: accepts 0 to 1";
    assert_eq!(refusal("ip_conntrack_tcp_loose", "-1"), text);
    let text = "nf_conntrack_tcp_loose=3: accepts 0 to 1";
    assert_eq!(refusal("nf_conntrack_tcp_loose", "3"), text);
}
