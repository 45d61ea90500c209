//! The declaration of every knob, once.
//!
//! A row is the documentation, the variant, the directory under `/proc/sys`, the name there, older
//! names of the same value, the default and what is accepted. The enum, its descriptions, the
//! defaults, the lookup by name and, further away, listings, help and manual are all made from
//! these rows. Rows stand in the order in which `sysctl` prints them for people: sizes, switches,
//! timeouts by protocol, fragments, the rest.
//!
//! Defaults are those of Linux 6.x on a machine with more than 4 GiB of memory.

use super::{Config, KnobInfo, Unit};

/// What a row accepts: its unit, its least and its greatest value.
type Accepts = (Unit, i64, i64);

/// The greatest value of a C `int`.
const INT: i64 = i32::MAX as i64;

/// Switches.
const FLAG: Accepts = (Unit::Flag, 0, 1);
/// Timeouts. The upper bound is Linux's, which counts them in ticks of 4 ms.
const TIME: Accepts = (Unit::Seconds, -1, INT / 250);
/// Sizes of memory.
const BYTES: Accepts = (Unit::Bytes, 0, i64::MAX);

/// Where the knobs live today.
const NETFILTER: &str = "net/netfilter";
/// Where those of IPv4's own reassembly live.
const IPV4: &str = "net/ipv4";

/// The path of a knob in the days of `ip_conntrack`.
macro_rules! old {
    ($name:literal) => {
        concat!("net/ipv4/netfilter/ip_conntrack_", $name)
    };
}

/// Makes [`Knob`], the table of descriptions and the default [`Config`] from the rows.
macro_rules! knobs {
    ($(
        #[doc = $doc:literal]
        $knob:ident $path:ident / $name:literal, $(old $old:expr,)* $default:literal, $accepts:expr
        $(, $read_only:ident)?;
    )*) => {
        /// A knob of the tracker: one sysctl.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Knob {
            $(#[doc = $doc] $knob,)*
        }

        impl Knob {
            /// Every knob, in the order of the declaration.
            pub const ALL: &'static [Knob] = &[$(Knob::$knob),*];
        }

        pub(super) static TABLE: [KnobInfo; Knob::ALL.len()] = [$(KnobInfo {
            name: $name,
            path: $path,
            old_names: &[$($old),*],
            default: $default,
            unit: $accepts.0,
            min: $accepts.1,
            max: $accepts.2,
            read_only: false $(|| knobs!(@ $read_only))?,
            doc: $doc.trim_ascii(),
        }),*];

        /// Linux's defaults.
        impl Default for Config {
            fn default() -> Config {
                Config { values: [$($default),*] }
            }
        }
    };
    (@ read_only) => { true };
}

knobs! {
    /// The most connections that the table holds; 0 sets no limit.
    Max NETFILTER/"nf_conntrack_max", old "net/nf_conntrack_max", old "net/ipv4/ip_conntrack_max",
        old old!("max"), 262144, (Unit::Count, 0, INT);
    /// Connections in the table now.
    Count NETFILTER/"nf_conntrack_count", old old!("count"), 0, (Unit::Count, 0, INT), read_only;
    /// Buckets of the hash table; changing them does not change the most connections.
    Buckets NETFILTER/"nf_conntrack_buckets", old old!("buckets"), 262144, (Unit::Count, 1, INT);
    /// Whether a packet whose checksum is wrong is INVALID.
    Checksum NETFILTER/"nf_conntrack_checksum", old old!("checksum"), 1, FLAG;
    /// The protocol whose INVALID packets are to be logged; 0 for none, 255 for all.
    LogInvalid NETFILTER/"nf_conntrack_log_invalid", old old!("log_invalid"), 0, (Unit::Choice, 0, 255);
    /// The most expected connections, over all helpers.
    ExpectMax NETFILTER/"nf_conntrack_expect_max", 4096, (Unit::Count, 1, INT);
    /// Whether new connections count their packets and bytes.
    Acct NETFILTER/"nf_conntrack_acct", 0, FLAG;
    /// Whether events are made: 0 never, 1 always, 2 while somebody listens.
    Events NETFILTER/"nf_conntrack_events", 2, (Unit::Choice, 0, 2);
    /// Whether new connections note when they began and ended.
    Timestamp NETFILTER/"nf_conntrack_timestamp", 0, FLAG;

    /// Idle time of a protocol that has no timeout of its own.
    GenericTimeout NETFILTER/"nf_conntrack_generic_timeout", old old!("generic_timeout"), 600, TIME;
    /// Idle time of an ICMP query.
    IcmpTimeout NETFILTER/"nf_conntrack_icmp_timeout", old old!("icmp_timeout"), 30, TIME;
    /// Idle time of an ICMPv6 query.
    Icmpv6Timeout NETFILTER/"nf_conntrack_icmpv6_timeout", 30, TIME;
    /// Idle time of UDP that is no stream yet.
    UdpTimeout NETFILTER/"nf_conntrack_udp_timeout", old old!("udp_timeout"), 30, TIME;
    /// Idle time of a UDP stream, ASSURED; 180 in the days of `ip_conntrack`.
    UdpTimeoutStream NETFILTER/"nf_conntrack_udp_timeout_stream", old old!("udp_timeout_stream"), 120, TIME;
    /// Idle time of GRE that was not answered.
    GreTimeout NETFILTER/"nf_conntrack_gre_timeout", 30, TIME;
    /// Idle time of GRE that was answered.
    GreTimeoutStream NETFILTER/"nf_conntrack_gre_timeout_stream", 180, TIME;

    /// Idle time of TCP in SYN_SENT: a SYN went out.
    TcpTimeoutSynSent NETFILTER/"nf_conntrack_tcp_timeout_syn_sent", old old!("tcp_timeout_syn_sent"), 120, TIME;
    /// Idle time of TCP in SYN_RECV: the SYN was answered.
    TcpTimeoutSynRecv NETFILTER/"nf_conntrack_tcp_timeout_syn_recv", old old!("tcp_timeout_syn_recv"), 60, TIME;
    /// Idle time of TCP in ESTABLISHED: five days.
    TcpTimeoutEstablished NETFILTER/"nf_conntrack_tcp_timeout_established", old old!("tcp_timeout_established"), 432000, TIME;
    /// Idle time of TCP in FIN_WAIT: a FIN went by.
    TcpTimeoutFinWait NETFILTER/"nf_conntrack_tcp_timeout_fin_wait", old old!("tcp_timeout_fin_wait"), 120, TIME;
    /// Idle time of TCP in CLOSE_WAIT: the FIN was acknowledged.
    TcpTimeoutCloseWait NETFILTER/"nf_conntrack_tcp_timeout_close_wait", old old!("tcp_timeout_close_wait"), 60, TIME;
    /// Idle time of TCP in LAST_ACK: both FINs went by.
    TcpTimeoutLastAck NETFILTER/"nf_conntrack_tcp_timeout_last_ack", old old!("tcp_timeout_last_ack"), 30, TIME;
    /// Idle time of TCP in TIME_WAIT: both FINs were acknowledged.
    TcpTimeoutTimeWait NETFILTER/"nf_conntrack_tcp_timeout_time_wait", old old!("tcp_timeout_time_wait"), 120, TIME;
    /// Idle time of TCP in CLOSE: a RST went by.
    TcpTimeoutClose NETFILTER/"nf_conntrack_tcp_timeout_close", old old!("tcp_timeout_close"), 10, TIME;
    /// The most that TCP keeps once it retransmitted `nf_conntrack_tcp_max_retrans` times.
    TcpTimeoutMaxRetrans NETFILTER/"nf_conntrack_tcp_timeout_max_retrans", old old!("tcp_timeout_max_retrans"), 300, TIME;
    /// The most that TCP keeps while data waits for its acknowledgement.
    TcpTimeoutUnacknowledged NETFILTER/"nf_conntrack_tcp_timeout_unacknowledged", 300, TIME;
    /// Whether TCP that is already under way is picked up.
    TcpLoose NETFILTER/"nf_conntrack_tcp_loose", old old!("tcp_loose"), 1, FLAG;
    /// Whether only RSTs outside of the window are INVALID.
    TcpBeLiberal NETFILTER/"nf_conntrack_tcp_be_liberal", old old!("tcp_be_liberal"), 0, FLAG;
    /// Whether a RST outside of the window is let by without effect.
    TcpIgnoreInvalidRst NETFILTER/"nf_conntrack_tcp_ignore_invalid_rst", 0, FLAG;
    /// Retransmissions after which `nf_conntrack_tcp_timeout_max_retrans` applies.
    TcpMaxRetrans NETFILTER/"nf_conntrack_tcp_max_retrans", old old!("tcp_max_retrans"), 3, (Unit::Count, 0, 255);

    /// Idle time of SCTP in CLOSED.
    SctpTimeoutClosed NETFILTER/"nf_conntrack_sctp_timeout_closed", 10, TIME;
    /// Idle time of SCTP in COOKIE_WAIT.
    SctpTimeoutCookieWait NETFILTER/"nf_conntrack_sctp_timeout_cookie_wait", 3, TIME;
    /// Idle time of SCTP in COOKIE_ECHOED.
    SctpTimeoutCookieEchoed NETFILTER/"nf_conntrack_sctp_timeout_cookie_echoed", 3, TIME;
    /// Idle time of SCTP in ESTABLISHED.
    SctpTimeoutEstablished NETFILTER/"nf_conntrack_sctp_timeout_established", 210, TIME;
    /// Idle time of SCTP in SHUTDOWN_SENT.
    SctpTimeoutShutdownSent NETFILTER/"nf_conntrack_sctp_timeout_shutdown_sent", 3, TIME;
    /// Idle time of SCTP in SHUTDOWN_RECD.
    SctpTimeoutShutdownRecd NETFILTER/"nf_conntrack_sctp_timeout_shutdown_recd", 3, TIME;
    /// Idle time of SCTP in SHUTDOWN_ACK_SENT.
    SctpTimeoutShutdownAckSent NETFILTER/"nf_conntrack_sctp_timeout_shutdown_ack_sent", 3, TIME;
    /// Idle time of SCTP in HEARTBEAT_SENT.
    SctpTimeoutHeartbeatSent NETFILTER/"nf_conntrack_sctp_timeout_heartbeat_sent", 30, TIME;

    /// How long fragments of an IPv6 datagram wait for the rest.
    Frag6Timeout NETFILTER/"nf_conntrack_frag6_timeout", 60, TIME;
    /// Memory that IPv6 fragments may hold before new ones are refused.
    Frag6HighThresh NETFILTER/"nf_conntrack_frag6_high_thresh", 4194304, BYTES;
    /// Kept for its name, without effect on IPv6 fragments since Linux 4.17; never above the high threshold.
    Frag6LowThresh NETFILTER/"nf_conntrack_frag6_low_thresh", 3145728, BYTES;
    /// How long fragments of an IPv4 datagram wait for the rest.
    IpfragTime IPV4/"ipfrag_time", 30, TIME;
    /// Memory that IPv4 fragments may hold before new ones are refused.
    IpfragHighThresh IPV4/"ipfrag_high_thresh", 4194304, BYTES;
    /// Kept for its name, without effect on IPv4 fragments since Linux 4.17; never above the high threshold.
    IpfragLowThresh IPV4/"ipfrag_low_thresh", 3145728, BYTES;
    /// Datagrams by which a fragment may trail others from its sender; 0 for any number.
    IpfragMaxDist IPV4/"ipfrag_max_dist", 64, (Unit::Count, 0, INT);

    /// Whether netfilter sees lightweight tunnels; Linux does not let it be cleared again.
    HooksLwtunnel NETFILTER/"nf_hooks_lwtunnel", 0, FLAG;
    /// Whether other network namespaces may write to the kernel's log. Kept for its name.
    LogAllNetns NETFILTER/"nf_log_all_netns", 0, FLAG;
}
