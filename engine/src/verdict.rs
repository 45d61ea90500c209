//! What became of a packet.
//!
//! A verdict says what to do with the packet, how netfilter would class it, and, wherever something
//! was refused or left out, why. Every [`Reason`] has a name and a counter of its own in
//! [`Stats`](crate::Stats); the counters of `conntrack -S` are sums over reasons.

use crate::connection::ProtocolState;
use crate::conntrack::Handle;
use crate::tuple::Direction;

/// What to do with the packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Let it pass; the class tells the rules the rest.
    Accept,
    /// Drop it.
    Drop,
    /// It is a fragment that waits for the rest of its datagram.
    Hold,
}

/// How far a verdict goes, where packets are fragments. Whoever holds them goes by this and not by their
/// identification, which two datagrams may share, one after the other or forged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Piece {
    /// No fragment, or one that was refused by itself: the verdict is on this packet alone.
    Alone,
    /// The first to wait for the rest of its datagram. What waited under the same identification before
    /// belongs to a datagram that was given up.
    First,
    /// It waits with those since the first.
    Next,
    /// The verdict is on the whole datagram: this one made it whole, or spoiled it.
    Last,
    /// The verdict is on this packet alone, and what waited under the same identification was given up.
    Stray,
}

/// The class that `ct state` and `--ctstate` match.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Opens a connection, or repeats the opening without having been answered.
    New,
    /// Belongs to a connection that was answered.
    Established,
    /// An ICMP error about a connection, or the first packet of an expected one.
    Related,
    /// Belongs to nothing and opens nothing.
    Invalid,
    /// Exempt from tracking.
    Untracked,
}

impl Class {
    /// The name, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Class::New => "NEW",
            Class::Established => "ESTABLISHED",
            Class::Related => "RELATED",
            Class::Invalid => "INVALID",
            Class::Untracked => "UNTRACKED",
        }
    }
}

/// What became of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Verdict {
    /// What to do with it.
    pub action: Action,
    /// How rules see it.
    pub class: Class,
    /// Whether it is on other fragments, too.
    pub piece: Piece,
    /// Why it was refused, dropped or left without effect.
    pub reason: Option<Reason>,
    /// Its direction in the connection; [`Direction::Original`] where there is none.
    pub direction: Direction,
    /// The state that the packet moved its connection to, if it moved it.
    pub state: Option<ProtocolState>,
    /// The entry it belongs to, if that is still in the table.
    pub connection: Option<Handle>,
}

impl Default for Verdict {
    /// INVALID without a reason: what stands in a place that no verdict was written to.
    fn default() -> Verdict {
        Verdict::new(Action::Accept, Class::Invalid, Direction::Original)
    }
}

impl Verdict {
    pub(crate) const fn new(action: Action, class: Class, direction: Direction) -> Verdict {
        Verdict {
            action,
            class,
            piece: Piece::Alone,
            direction,
            reason: None,
            state: None,
            connection: None,
        }
    }

    /// The verdict on a packet that has no connection: what to do follows from the reason.
    pub(crate) const fn refused(reason: Reason) -> Verdict {
        let action = match reason.kind() {
            Kind::Dropped | Kind::Policy | Kind::IpLayer | Kind::Fragment => Action::Drop,
            Kind::Skipped | Kind::Invalid | Kind::IcmpError | Kind::Ignored => Action::Accept,
        };
        let mut verdict = Verdict::new(action, Class::Invalid, Direction::Original);
        verdict.reason = Some(reason);
        verdict
    }
}

/// What a [`Reason`] means for the packet, and which counter of `conntrack -S` it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Nothing to track: passed over.
    Skipped,
    /// Linux's IP layer refuses it before connection tracking sees it.
    IpLayer,
    /// Refused by reassembly.
    Fragment,
    /// INVALID, counted as `invalid`.
    Invalid,
    /// INVALID, counted as `error`.
    IcmpError,
    /// Accepted as part of its connection, but without effect on it.
    Ignored,
    /// Dropped, counted as `drop`.
    Dropped,
    /// Dropped, since whoever runs the tracker does not want it to open a connection.
    Policy,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $name:literal $kind:ident,)*) => {
        /// Why a packet was refused, dropped or left without effect.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The name of the reason and of its counter.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Reason::$variant => $name,)*
                }
            }

            /// What it means for the packet.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Reason::$variant => Kind::$kind,)*
                }
            }
        }
    };
}

reasons! {
    /// The link type is not one that the parser knows.
    LinkType "link_type" Skipped,
    /// The frame ends inside its link header.
    LinkShort "link_short" Skipped,
    /// The frame carries no IP.
    NotIp "not_ip" Skipped,
    /// The capture was cut before the headers that tracking needs.
    Snapped "snapped" Skipped,

    /// The packet ends inside its IP header, or the header says that it is shorter than possible.
    IpHeader "ip_header" IpLayer,
    /// The IP total length goes beyond the frame.
    IpTruncated "ip_truncated" IpLayer,
    /// The IPv4 header checksum is wrong.
    IpChecksum "ip_checksum" IpLayer,
    /// An IPv6 address that no packet carries there: a multicast or IPv4-mapped source, multicast of
    /// scope 0 as destination.
    IpAddress "ip_address" IpLayer,
    /// An IPv6 hop-by-hop option that is malformed or asks for the packet to be discarded.
    HopByHop "hop_by_hop" IpLayer,

    /// A fragment that overlaps another, lies about its end, is empty or lacks its header; or the last
    /// of a datagram that mixes packets with and without congestion notification.
    FragmentBad "fragment_bad" Fragment,
    /// A fragment that repeats another.
    FragmentDuplicate "fragment_duplicate" Fragment,
    /// No memory is left for unfinished datagrams.
    FragmentMemory "fragment_memory" Fragment,

    /// No transport protocol could be found behind the IP headers.
    NoTransport "no_transport" Invalid,
    /// The packet ends before the protocol's part of the tuple, or has none.
    NoTuple "no_tuple" Invalid,
    /// ICMP over IPv6 or ICMPv6 over IPv4.
    WrongFamily "wrong_family" Invalid,

    /// TCP header cut short, or its data offset points outside the segment.
    TcpHeader "tcp_header" Invalid,
    /// Wrong TCP checksum.
    TcpChecksum "tcp_checksum" Invalid,
    /// A combination of TCP flags that no connection uses.
    TcpFlags "tcp_flags" Invalid,
    /// A TCP packet that belongs to no connection and cannot open one.
    TcpNew "tcp_new" Invalid,
    /// A TCP packet that its connection's state does not allow.
    TcpState "tcp_state" Invalid,
    /// A sequence number above what the receiver allowed.
    TcpSeqOver "tcp_seq_over" Invalid,
    /// An acknowledgement of data that was never sent.
    TcpAckOver "tcp_ack_over" Invalid,
    /// A RST below what its receiver already acknowledged.
    TcpRst "tcp_rst" Invalid,

    /// A SYN, SYN/ACK or ACK that the state does not expect, but that may be right.
    TcpIgnored "tcp_ignored" Ignored,
    /// The ACK that answers a stray SYN (RFC 5961).
    TcpChallengeAck "tcp_challenge_ack" Ignored,
    /// Slightly more data than the window allows.
    TcpSeqBeyond "tcp_seq_beyond" Ignored,
    /// Data that was acknowledged long ago.
    TcpSeqUnder "tcp_seq_under" Ignored,
    /// A very late acknowledgement.
    TcpAckUnder "tcp_ack_under" Ignored,

    /// UDP header cut short.
    UdpShort "udp_short" Invalid,
    /// The UDP length is impossible.
    UdpLength "udp_length" Invalid,
    /// Wrong UDP checksum.
    UdpChecksum "udp_checksum" Invalid,
    /// UDP-Lite header cut short.
    UdpliteShort "udplite_short" Invalid,
    /// Impossible UDP-Lite checksum coverage.
    UdpliteCoverage "udplite_coverage" Invalid,
    /// Missing or wrong UDP-Lite checksum.
    UdpliteChecksum "udplite_checksum" Invalid,

    /// An ICMP or ICMPv6 type that opens no connection, and answers none.
    IcmpNew "icmp_new" Invalid,
    /// ICMP or ICMPv6 header cut short.
    IcmpShort "icmp_short" IcmpError,
    /// Wrong ICMP or ICMPv6 checksum.
    IcmpChecksum "icmp_checksum" IcmpError,
    /// An ICMP type that does not exist.
    IcmpType "icmp_type" IcmpError,
    /// An ICMPv6 redirect that is not one of RFC 4861.
    IcmpRedirect "icmp_redirect" IcmpError,
    /// An ICMP error whose quoted packet cannot be read.
    IcmpQuote "icmp_quote" IcmpError,
    /// An ICMP error about no tracked connection.
    IcmpUnrelated "icmp_unrelated" IcmpError,
    /// An ICMP error sent to another address than the connection that it is about.
    IcmpAddress "icmp_address" IcmpError,

    /// SCTP header cut short.
    SctpShort "sctp_short" Invalid,
    /// Wrong SCTP checksum.
    SctpChecksum "sctp_checksum" Invalid,
    /// Chunks of no length, in the wrong place, or none at all.
    SctpChunks "sctp_chunks" Invalid,
    /// An SCTP packet that belongs to no association and cannot open one.
    SctpNew "sctp_new" Invalid,
    /// A verification tag that is not the association's.
    SctpTag "sctp_tag" Invalid,
    /// A chunk that the association's state does not allow.
    SctpState "sctp_state" Invalid,
    /// A heartbeat with a new tag: perhaps the peer was restarted.
    SctpRestart "sctp_restart" Ignored,

    /// `table full, dropping packet`: the limit is reached and nothing may be evicted.
    TableFull "table_full" Dropped,
    /// Another packet of the same connection was confirmed first, and the two cannot be joined.
    Clash "clash" Dropped,
    /// The hash index has no place within the bounded probe.
    ChainTooLong "chain_too_long" Dropped,

    /// From where it came, no connections may be opened ([`Conntrack::set_open`](crate::Conntrack::set_open)).
    SideClosed "side_closed" Policy,
    /// Its source has as many entries as one may have ([`Census`](crate::Census)).
    SourceLimit "source_limit" Policy,
}
