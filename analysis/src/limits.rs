//! Every threshold, once, with where it comes from. The documentation prints this table.
//!
//! A share or a number is seldom simply above a threshold. Where two are given (`..._FROM` and
//! `..._TO`), evidence grows from none at the first to full at the second ([`ramp`]).

/// A threshold as the documentation shows it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Threshold {
    /// Its name in the source.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// What it is held against.
    pub meaning: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

macro_rules! thresholds {
    ($($name:ident = $value:expr, $meaning:literal, $source:literal;)*) => {
        $(#[doc = $meaning] #[doc = ""] #[doc = concat!("Source: ", $source)]
        pub const $name: f64 = $value;)*

        /// All thresholds, in the order of the source.
        pub const ALL: &[Threshold] = &[$(Threshold {
            name: stringify!($name),
            value: $value,
            meaning: $meaning,
            source: $source,
        },)*];
    };
}

thresholds! {
    FEW = 25.0, "flows below which nothing is called an attack",
        "Zeek policy/misc/scan: addr_scan_threshold 25";
    MANY = 75.0, "flows from which the number alone is no reason to doubt",
        "ours: three times FEW";
    OF_ONE_FROM = 50.0, "as FEW, where one source could be a client that tries again and again",
        "ours: SYN_SENT lasts 120 s; one try a second leaves as many entries";
    OF_ONE_TO = 150.0, "as MANY, where one source could be a client that tries again and again",
        "ours, as above; Junos: syn-flood attack-threshold 200 a second";
    SCANNED_HOSTS = 25.0, "hosts that one source failed to reach on one port",
        "Zeek policy/misc/scan: addr_scan_threshold 25 (Junos ip-sweep: 10 within 5 ms)";
    SCANNED_PORTS = 15.0, "ports of one host that one source failed to reach",
        "Zeek policy/misc/scan: port_scan_threshold 15 (Junos port-scan: 10 within 5 ms)";
    SHARE_FROM = 0.15, "share of all flows that an attack's flows need",
        "ours: SYN_SENT and SYN_RECV together stay below it on ordinary servers and clients";
    SHARE_TO = 0.5, "share of all flows from which an attack explains the table",
        "ours: the greater half";
    BACKLOG = 1024.0, "half-open connections of one service that no ordinary server has",
        "ours: what fits into the backlog that RFC 4987 says is exhausted; tcp_max_syn_backlog of Linux is of that order";
    SHARE_BACKLOG_FROM = 0.03, "as SHARE_FROM, from BACKLOG half-open connections of one service on",
        "ours: a handshake takes less than a second of a connection's life of minutes";
    SHARE_BACKLOG_TO = 0.15, "as SHARE_TO, from BACKLOG half-open connections of one service on",
        "ours, as above";
    FOCUS_FROM = 0.3, "share of an attack's flows that go to one target",
        "ours: a host that talks to many has a smaller one";
    FOCUS_TO = 0.7, "share of an attack's flows from which they have one target",
        "ours";
    SPOOFED_FROM = 0.2, "distinct sources for each flow, below which sources are real",
        "ours: a host that opens connections in earnest opens several";
    SPOOFED_TO = 0.6, "distinct sources for each flow, from which sources are made up",
        "Feinstein et al., Statistical approaches to DDoS attack detection (DISCEX 2003): the entropy of sources rises";
    SPOOFED_SOURCES = 30.0, "distinct sources below which nobody bothered to make them up",
        "ours: above FEW";
    FILLED_PREFIX = 0.5, "share of a network's addresses that are sources, from which they are made up",
        "ours: real networks are filled less";
    IMPOSSIBLE = 0.01, "share of sources that no host can have, from which sources are made up",
        "RFC 6890: 14 % of random addresses are multicast, reserved, this-network or loopback";
    CONNECTIONS_OF_ONE = 100.0, "established connections of one source to one service",
        "pf.conf(5): max-src-conn 100 in the example; nginx limit_conn examples: 10 to 100";
    IDLE_PACKETS = 4.0, "packets of a connection's opener, up to which nothing was said",
        "RFC 9293: SYN, ACK and perhaps a first segment, retransmitted once";
    IDLE_BYTES = 120.0, "mean bytes of a packet, up to which it carries next to nothing",
        "RFC 9293, RFC 791: 40 bytes of headers, up to 60 with options, and a line of text";
    CLOSING_NORMAL = 0.1, "share of closing connections (FIN_WAIT to CLOSE) that ordinary traffic has at least",
        "ours: TIME_WAIT lasts 120 s, most connections are shorter";
    ONE_SHOT = 3.0, "packets for each flow, up to which nobody talks to anybody",
        "ours: one packet, retransmitted twice";
    CARPET_TARGETS = 30.0, "targets within one network, none of which stands out",
        "ours: an eighth of a /24";
    CARPET_TOP = 0.2, "share of the most frequent target, below which none stands out",
        "ours";
    AMPLIFICATION = 5.0, "bytes answered for each byte asked",
        "US-CERT TA14-017A: amplification factors from 3.8 (NetBIOS) to 51,000 (memcached); ordinary DNS answers are 1 to 4 times the question";
    DHCP_RATE = 15.0, "DHCP exchanges a second",
        "Cisco IOS: `ip dhcp snooping limit rate`, recommended 15 for a port";
    INVALID_RATE = 200.0, "INVALID packets a second, where they are only counted",
        "Junos: the syn-flood screen's attack-threshold of 200 a second, for want of one for ACKs";
    ICMP_RATE = 1000.0, "ICMP packets a second to one host",
        "Junos: screen icmp flood threshold 1000";
    ICMP_RATE_UNANSWERED = 100.0, "ICMP packets a second to one host that answers none",
        "ours: ping sends one a second, and five a second at most for users that are not root (RFC 1122 asks for limits of errors only)";
    LEAK_SHARE_FROM = 0.1, "share of TCP connections in CLOSE_WAIT",
        "ours: a program that closes its sockets leaves that state within milliseconds";
    LEAK_SHARE_TO = 0.4, "share of TCP connections in CLOSE_WAIT from which a program leaks them",
        "ours, as above";
    IDLE_FOR = 3600.0, "seconds without a packet, from which an established connection is idle",
        "RFC 5382 REQ-5: idle timeouts of at least 2 h 4 min, two keep-alive intervals; half of that";
    FULL_SOON = 0.75, "fill from which the table is too small",
        "node-mixin: NodeHighNumberConntrackEntriesUsed fires above 0.75";
    SURE = 0.5, "confidence from which a class is named",
        "ours: every piece of evidence is at least half there";
}

/// All thresholds as a table of Markdown, as it stands in `docs/report.md`.
pub fn table() -> String {
    let mut text =
        "| name | value | what it is held against | source |\n| --- | ---: | --- | --- |\n"
            .to_owned();
    for Threshold {
        name,
        value,
        meaning,
        source,
    } in ALL
    {
        text.push_str(&format!("| `{name}` | {value} | {meaning} | {source} |\n"));
    }
    text
}

/// 0 up to `from`, 1 from `to` on, and a straight line between.
pub fn ramp(x: f64, from: f64, to: f64) -> f64 {
    ((x - from) / (to - from)).clamp(0.0, 1.0)
}

/// UDP services that answer with more than they are asked, by port: what reflection attacks use.
///
/// Sources: US-CERT TA14-017A; NETSCOUT and Akamai advisories (CoAP, WS-Discovery, ARMS, Plex, DVR-IP,
/// TP-240, SLP); Rossow, Amplification Hell (NDSS 2014).
pub const AMPLIFIERS: &[(u16, &str)] = &[
    (17, "QOTD"),
    (19, "CharGEN"),
    (53, "DNS"),
    (69, "TFTP"),
    (111, "portmap"),
    (123, "NTP"),
    (137, "NetBIOS"),
    (161, "SNMP"),
    (177, "XDMCP"),
    (389, "CLDAP"),
    (427, "SLP"),
    (500, "ISAKMP"),
    (520, "RIPv1"),
    (623, "IPMI"),
    (1194, "OpenVPN"),
    (1434, "MS SQL"),
    (1604, "Citrix ICA"),
    (1701, "L2TP"),
    (1900, "SSDP"),
    (2362, "digiman"),
    (3283, "Apple ARMS"),
    (3389, "RDP"),
    (3478, "STUN"),
    (3702, "WS-Discovery"),
    (4500, "IPsec NAT-T"),
    (5060, "SIP"),
    (5093, "Sentinel"),
    (5351, "NAT-PMP"),
    (5353, "mDNS"),
    (5683, "CoAP"),
    (6881, "BitTorrent"),
    (7001, "AFS"),
    (10001, "Ubiquiti discovery"),
    (10074, "Mitel TP-240"),
    (11211, "memcached"),
    (17185, "VxWorks"),
    (20800, "Call of Duty"),
    (27005, "Source engine"),
    (27015, "Source engine"),
    (27960, "Quake"),
    (30120, "FiveM"),
    (30718, "Lantronix"),
    (32410, "Plex"),
    (32414, "Plex"),
    (33848, "Jenkins"),
    (34567, "DVR"),
    (37020, "SADP"),
    (37810, "DVR-IP"),
    (41794, "Crestron"),
    (47808, "BACnet"),
    (64738, "Mumble"),
];

/// The amplifying service of a UDP port.
pub fn amplifier(port: u16) -> Option<&'static str> {
    let found = AMPLIFIERS.binary_search_by_key(&port, |(port, _)| *port);
    found.ok().map(|place| AMPLIFIERS[place].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.md");
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            text.contains(&table()),
            "put into docs/report.md:\n{}",
            table()
        );
    }

    #[test]
    fn the_amplifiers_are_in_the_order_of_their_ports() {
        assert!(AMPLIFIERS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(amplifier(161), Some("SNMP"));
        assert_eq!(amplifier(162), None);
    }

    #[test]
    fn evidence_grows_between_two_thresholds() {
        assert_eq!(
            [0.1, 0.25, 0.5, 0.75, 2.0].map(|x| ramp(x, 0.25, 0.75)),
            [0.0, 0.0, 0.5, 1.0, 1.0]
        );
    }
}
