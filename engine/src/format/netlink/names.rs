//! The numbers of the protocol, by the names that the field gives them.
//!
//! Source: what `linux/netlink.h`, `linux/netfilter/nfnetlink.h` and `nfnetlink_conntrack.h` fix as
//! interface, each seen on the wire of Linux 6.18, but for those of [`own`](super::own).

/// `nlmsg_type` of messages that are netlink's own.
pub mod control {
    /// Nothing.
    pub const NOOP: u16 = 1;
    /// An error number; 0 acknowledges.
    pub const ERROR: u16 = 2;
    /// The end of an answer in several messages.
    pub const DONE: u16 = 3;
    /// Messages were lost.
    pub const OVERRUN: u16 = 4;
    /// The least type that is not netlink's own.
    pub const MIN_TYPE: u16 = 16;
}

/// `nlmsg_flags`.
pub mod flag {
    /// It is a request.
    pub const REQUEST: u16 = 0x1;
    /// One of several messages that `DONE` ends.
    pub const MULTI: u16 = 0x2;
    /// Wants an acknowledgement.
    pub const ACK: u16 = 0x4;
    /// Wants to hear of the event that it causes itself.
    pub const ECHO: u16 = 0x8;
    /// The listing changed while it was made.
    pub const DUMP_INTR: u16 = 0x10;
    /// The listing was filtered as asked.
    pub const DUMP_FILTERED: u16 = 0x20;
    /// GET: wants all.
    pub const DUMP: u16 = 0x300;
    /// NEW: what is there must not be.
    pub const EXCL: u16 = 0x200;
    /// NEW: what is not there is made.
    pub const CREATE: u16 = 0x400;
    /// ERROR and DONE: the request is not repeated behind its header.
    pub const CAPPED: u16 = 0x100;
    /// ERROR and DONE: attributes follow.
    pub const ACK_TLVS: u16 = 0x200;
}

/// `nlmsg_type` of what is about connections and expectations: subsystem × 256 + message.
pub mod kind {
    /// Subsystem of connections.
    pub const CONNTRACK: u8 = 1;
    /// Subsystem of expectations.
    pub const EXPECT: u8 = 2;

    const fn of(subsystem: u8, message: u8) -> u16 {
        (subsystem as u16) << 8 | message as u16
    }

    /// An entry; NEW and UPDATE; to make or change one.
    pub const CT_NEW: u16 = of(CONNTRACK, 0);
    /// To tell one entry, or all.
    pub const CT_GET: u16 = of(CONNTRACK, 1);
    /// DESTROY; to delete an entry, or all.
    pub const CT_DELETE: u16 = of(CONNTRACK, 2);
    /// As `CT_GET`, and counters begin again at 0.
    pub const CT_GET_CTRZERO: u16 = of(CONNTRACK, 3);
    /// Counters of each CPU.
    pub const CT_GET_STATS_CPU: u16 = of(CONNTRACK, 4);
    /// How many entries there are.
    pub const CT_GET_STATS: u16 = of(CONNTRACK, 5);
    /// Entries that end and whose end is not told yet.
    pub const CT_GET_DYING: u16 = of(CONNTRACK, 6);
    /// Entries that are not confirmed.
    pub const CT_GET_UNCONFIRMED: u16 = of(CONNTRACK, 7);
    /// An expectation; its NEW; to make one.
    pub const EXP_NEW: u16 = of(EXPECT, 0);
    /// To tell one expectation, or all.
    pub const EXP_GET: u16 = of(EXPECT, 1);
    /// The end of an expectation; to delete one, or all.
    pub const EXP_DELETE: u16 = of(EXPECT, 2);
    /// Counters of expectations, of each CPU.
    pub const EXP_GET_STATS_CPU: u16 = of(EXPECT, 3);
}

/// Multicast groups.
pub mod group {
    /// New entries.
    pub const CONNTRACK_NEW: u32 = 1;
    /// Changed entries.
    pub const CONNTRACK_UPDATE: u32 = 2;
    /// Entries that ended.
    pub const CONNTRACK_DESTROY: u32 = 3;
    /// New expectations.
    pub const EXP_NEW: u32 = 4;
    /// Changed expectations: nobody tells them.
    pub const EXP_UPDATE: u32 = 5;
    /// Expectations that ended.
    pub const EXP_DESTROY: u32 = 6;
}

/// Address families.
pub mod family {
    /// All.
    pub const UNSPEC: u8 = 0;
    /// IPv4.
    pub const INET: u8 = 2;
    /// IPv6.
    pub const INET6: u8 = 10;
}

/// Attributes of an entry. Numbers in them are big-endian, but for labels.
pub mod entry {
    /// Nest of [`tuple`](super::tuple).
    pub const TUPLE_ORIG: u16 = 1;
    /// Nest of [`tuple`](super::tuple).
    pub const TUPLE_REPLY: u16 = 2;
    /// u32.
    pub const STATUS: u16 = 3;
    /// Nest of [`protoinfo`](super::protoinfo).
    pub const PROTOINFO: u16 = 4;
    /// Nest: 1 is the helper's name.
    pub const HELP: u16 = 5;
    /// Nest of [`nat`](super::nat).
    pub const NAT_SRC: u16 = 6;
    /// u32, seconds.
    pub const TIMEOUT: u16 = 7;
    /// u32.
    pub const MARK: u16 = 8;
    /// Nest: 1 packets, 2 bytes, u64.
    pub const COUNTERS_ORIG: u16 = 9;
    /// Nest: 1 packets, 2 bytes, u64.
    pub const COUNTERS_REPLY: u16 = 10;
    /// u32.
    pub const USE: u16 = 11;
    /// u32.
    pub const ID: u16 = 12;
    /// Nest of [`nat`](super::nat).
    pub const NAT_DST: u16 = 13;
    /// Nest of [`tuple`](super::tuple): the original tuple of the entry that expected this one.
    pub const TUPLE_MASTER: u16 = 14;
    /// Shifted sequence numbers.
    pub const SEQ_ADJ_ORIG: u16 = 15;
    /// Shifted sequence numbers.
    pub const SEQ_ADJ_REPLY: u16 = 16;
    /// u16.
    pub const ZONE: u16 = 18;
    /// Nest: 1 is the security context.
    pub const SECCTX: u16 = 19;
    /// Nest: 1 start, 2 stop, u64, nanoseconds since 1970.
    pub const TIMESTAMP: u16 = 20;
    /// u32.
    pub const MARK_MASK: u16 = 21;
    /// Up to 16 bytes: bits in the machine's own order of bytes in words of its own size.
    pub const LABELS: u16 = 22;
    /// As labels.
    pub const LABELS_MASK: u16 = 23;
    /// Of SYN proxies.
    pub const SYNPROXY: u16 = 24;
    /// Nest: 1 original, 2 reply: which parts of the tuples a listing is filtered by.
    pub const FILTER: u16 = 25;
    /// u32.
    pub const STATUS_MASK: u16 = 26;
    /// u64, nanoseconds since 1970: when an event was.
    pub const TIMESTAMP_EVENT: u16 = 27;
}

/// Attributes of a tuple.
pub mod tuple {
    /// Nest: 1 and 2 are the IPv4 source and destination, 3 and 4 those of IPv6.
    pub const IP: u16 = 1;
    /// Nest: 1 protocol; 2 and 3 ports; 4, 5, 6 ICMP identifier, type, code; 7, 8, 9 of ICMPv6.
    pub const PROTO: u16 = 2;
    /// u16: the zone, where it applies to this direction only.
    pub const ZONE: u16 = 3;
}

/// Attributes of a protocol's state.
pub mod protoinfo {
    /// Nest: 1 state, 2 and 3 window scales, 4 and 5 flags with mask, original and reply.
    pub const TCP: u16 = 1;
    /// Nest: 1 state, 2 and 3 verification tags.
    pub const SCTP: u16 = 3;
}

/// Attributes of a translation that a new entry shall have.
pub mod nat {
    /// IPv4, least.
    pub const V4_MIN: u16 = 1;
    /// IPv4, greatest.
    pub const V4_MAX: u16 = 2;
    /// Nest: 1 least port, 2 greatest.
    pub const PROTO: u16 = 3;
    /// IPv6, least.
    pub const V6_MIN: u16 = 4;
    /// IPv6, greatest.
    pub const V6_MAX: u16 = 5;
}

/// Attributes of an expectation.
pub mod expect {
    /// Nest of [`tuple`](super::tuple): the original tuple of the entry that expects.
    pub const MASTER: u16 = 1;
    /// Nest of [`tuple`](super::tuple): what is expected.
    pub const TUPLE: u16 = 2;
    /// Nest of [`tuple`](super::tuple): which bits of that count.
    pub const MASK: u16 = 3;
    /// u32, seconds.
    pub const TIMEOUT: u16 = 4;
    /// u32.
    pub const ID: u16 = 5;
    /// The helper's name.
    pub const HELP_NAME: u16 = 6;
    /// u16.
    pub const ZONE: u16 = 7;
    /// u32.
    pub const FLAGS: u16 = 8;
    /// u32.
    pub const CLASS: u16 = 9;
    /// How the expected connection is translated.
    pub const NAT: u16 = 10;
    /// The name of a function.
    pub const FN: u16 = 11;
}
