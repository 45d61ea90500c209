//! The knobs of a round: the defaults in one of four, otherwise a mixture, with timeouts that are short, or
//! near to each other, so that which of two is the shorter one changes.

use lab::rng::Rng;

/// Timeouts with their defaults in seconds.
const TIMEOUTS: [(&str, u64); 23] = [
    ("tcp_timeout_syn_sent", 120),
    ("tcp_timeout_syn_recv", 60),
    ("tcp_timeout_established", 432_000),
    ("tcp_timeout_fin_wait", 120),
    ("tcp_timeout_close_wait", 60),
    ("tcp_timeout_last_ack", 30),
    ("tcp_timeout_time_wait", 120),
    ("tcp_timeout_close", 10),
    ("tcp_timeout_unacknowledged", 300),
    ("tcp_timeout_max_retrans", 300),
    ("udp_timeout", 30),
    ("udp_timeout_stream", 120),
    ("icmp_timeout", 30),
    ("icmpv6_timeout", 30),
    ("generic_timeout", 600),
    ("gre_timeout", 30),
    ("gre_timeout_stream", 180),
    ("sctp_timeout_established", 210),
    ("sctp_timeout_cookie_wait", 3),
    ("sctp_timeout_cookie_echoed", 3),
    ("sctp_timeout_shutdown_sent", 3),
    ("sctp_timeout_shutdown_recd", 3),
    ("sctp_timeout_heartbeat_sent", 30),
];

/// Names and values.
pub(super) fn knobs(rng: &mut Rng) -> Vec<(String, String)> {
    let is_usual = rng.one_in(4);
    let mut flag = |default: u64, one_in: u64| match !is_usual && rng.one_in(one_in) {
        true => 1 - default,
        false => default,
    };
    let mut knobs = vec![
        ("tcp_loose", flag(1, 3)),
        ("tcp_be_liberal", flag(0, 4)),
        ("tcp_ignore_invalid_rst", flag(0, 3)),
        ("checksum", flag(1, 4)),
        ("timestamp", flag(0, 2)),
    ];
    knobs.push(("tcp_max_retrans", if is_usual { 3 } else { rng.below(4) }));
    for (name, usual) in TIMEOUTS {
        knobs.push((name, if is_usual { usual } else { timeout(rng, usual) }));
    }
    let named = |(name, value)| (format!("nf_conntrack_{name}"), format!("{value}"));
    knobs.into_iter().map(named).collect()
}

fn timeout(rng: &mut Rng, usual: u64) -> u64 {
    match rng.below(8) {
        0 => 1 + rng.below(4),
        1 => rng.pick(&[100, 280, 450, 700]),
        2..=4 => rng.pick(&[50, 70, 90, 110, 130]),
        _ => usual,
    }
}
