//! Protocols, and the options that each of them brings in.

use ip_conntrack::{Protocol, SctpState, TcpState};

/// What a protocol's option says something about. Ports and GRE's keys are the same part of a tuple.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    OrigSrc,
    OrigDst,
    ReplySrc,
    ReplyDst,
    MaskSrc,
    MaskDst,
    TupleSrc,
    TupleDst,
    State,
    Role,
    OrigTag,
    ReplyTag,
    IcmpType,
    IcmpCode,
    IcmpId,
}

/// How many there are.
pub(crate) const PARTS: usize = Part::IcmpId as usize + 1;

/// How the argument of a protocol's option is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Written {
    /// A number up to this one.
    Number(u32),
    /// A state, by its name.
    State,
    /// DCCP's `client` or `server`.
    Role,
}

/// An option of a protocol, and its rules as in [`super::declared`].
pub(crate) struct PartOption {
    pub(crate) part: Part,
    pub(crate) longs: &'static [&'static str],
    pub(crate) written: Written,
    pub(crate) doc: &'static str,
    pub(crate) may: [&'static str; 2],
    pub(crate) must: [&'static str; 2],
}

/// A protocol that has options.
pub(crate) struct Known {
    pub(crate) protocol: Protocol,
    /// The usual name first.
    pub(crate) names: &'static [&'static str],
    pub(crate) options: &'static [&'static [PartOption]],
    /// The names of its states, by number.
    states: fn() -> Vec<&'static str>,
    /// How messages call it.
    pub(crate) title: &'static str,
}

impl Known {
    /// Its options.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'static PartOption> + use<> {
        self.options.iter().copied().flatten()
    }

    /// Its option for `part`.
    pub(crate) fn option(&self, part: Part) -> Option<&'static PartOption> {
        self.options().find(|option| option.part == part)
    }

    /// The number of the state of this name.
    pub(crate) fn state(&self, name: &str) -> Option<u32> {
        let states = (self.states)();
        let number = states.iter().position(|state| *state == name)?;
        u32::try_from(number).ok()
    }
}

const PORT: Written = Written::Number(0xffff);

const fn part(
    part: Part,
    longs: &'static [&'static str],
    written: Written,
    doc: &'static str,
) -> PartOption {
    PartOption {
        part,
        longs,
        written,
        doc,
        may: ["LGDIAUE", "GDI"],
        must: [""; 2],
    }
}

/// Parts that only a new expectation has, and needs.
const fn expected(
    kind: Part,
    longs: &'static [&'static str],
    written: Written,
    doc: &'static str,
) -> PartOption {
    let mut option = part(kind, longs, written, doc);
    option.may = [""; 2];
    option.must = ["", "I"];
    option
}

impl PartOption {
    const fn rules(mut self, may: &'static str, must: &'static str) -> PartOption {
        self.may = [may, ""];
        self.must = [must, ""];
        self
    }

    /// The name in messages.
    pub(crate) const fn name(&self) -> &'static str {
        self.longs[0]
    }
}

#[rustfmt::skip]
const PORTS: &[PartOption] = &[
    part(Part::OrigSrc, &["sport", "orig-port-src"], PORT, "Source port of the original direction"),
    part(Part::OrigDst, &["dport", "orig-port-dst"], PORT, "Destination port of the original direction"),
    part(Part::ReplySrc, &["reply-port-src"], PORT, "Source port of the reply direction"),
    part(Part::ReplyDst, &["reply-port-dst"], PORT, "Destination port of the reply direction"),
    expected(Part::MaskSrc, &["mask-port-src"], PORT, "Bits of the expected source port that count"),
    expected(Part::MaskDst, &["mask-port-dst"], PORT, "Bits of the expected destination port that count"),
    expected(Part::TupleSrc, &["tuple-port-src"], PORT, "Expected source port"),
    expected(Part::TupleDst, &["tuple-port-dst"], PORT, "Expected destination port"),
];

#[rustfmt::skip]
const KEYS: &[PartOption] = &[
    part(Part::OrigSrc, &["srckey", "orig-key-src"], PORT, "Source key of the original direction"),
    part(Part::OrigDst, &["dstkey", "orig-key-dst"], PORT, "Destination key of the original direction"),
    part(Part::ReplySrc, &["reply-key-src"], PORT, "Source key of the reply direction"),
    part(Part::ReplyDst, &["reply-key-dst"], PORT, "Destination key of the reply direction"),
    expected(Part::MaskSrc, &["mask-key-src"], PORT, "Bits of the expected source key that count"),
    expected(Part::MaskDst, &["mask-key-dst"], PORT, "Bits of the expected destination key that count"),
    expected(Part::TupleSrc, &["tuple-key-src"], PORT, "Expected source key"),
    expected(Part::TupleDst, &["tuple-key-dst"], PORT, "Expected destination key"),
];

const STATE: &[PartOption] = &[part(
    Part::State,
    &["state"],
    Written::State,
    "State, by its name",
)
.rules("LGDUE", "IA")];

#[rustfmt::skip]
const TAGS: &[PartOption] = &[
    part(Part::OrigTag, &["orig-vtag"], Written::Number(u32::MAX), "Verification tag of the original direction").rules("GU", "IA"),
    part(Part::ReplyTag, &["reply-vtag"], Written::Number(u32::MAX), "Verification tag of the reply direction").rules("GU", "IA"),
];

const ROLE: &[PartOption] =
    &[part(Part::Role, &["role"], Written::Role, "client or server").rules("", "IA")];

#[rustfmt::skip]
const ICMP: &[PartOption] = &[
    part(Part::IcmpType, &["icmp-type"], Written::Number(255), "Type").rules("LDUE", "GIA"),
    part(Part::IcmpCode, &["icmp-code"], Written::Number(255), "Code").rules("LDUE", "GIA"),
    part(Part::IcmpId, &["icmp-id"], PORT, "Identifier").rules("LGDIAUE", ""),
];

#[rustfmt::skip]
const ICMPV6: &[PartOption] = &[
    part(Part::IcmpType, &["icmpv6-type"], Written::Number(255), "Type").rules("LDUE", "GIA"),
    part(Part::IcmpCode, &["icmpv6-code"], Written::Number(255), "Code").rules("LDUE", "GIA"),
    part(Part::IcmpId, &["icmpv6-id"], PORT, "Identifier").rules("LGDIAUE", ""),
];

/// DCCP's states by their numbers in ctnetlink, RFC 4340's as the tool names them.
const DCCP_STATES: [&str; 8] = [
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT",
];

fn tcp_states() -> Vec<&'static str> {
    TcpState::ALL.map(TcpState::name).to_vec()
}

fn sctp_states() -> Vec<&'static str> {
    SctpState::ALL.map(SctpState::name).to_vec()
}

const fn known(
    protocol: Protocol,
    names: &'static [&'static str],
    title: &'static str,
    options: &'static [&'static [PartOption]],
    states: fn() -> Vec<&'static str>,
) -> Known {
    Known {
        protocol,
        names,
        options,
        states,
        title,
    }
}

/// The protocols that have names.
#[rustfmt::skip]
pub(crate) const KNOWN: &[Known] = &[
    known(Protocol::TCP, &["tcp"], "TCP", &[PORTS, STATE], tcp_states),
    known(Protocol::UDP, &["udp"], "UDP", &[PORTS], Vec::new),
    known(Protocol::UDPLITE, &["udplite"], "UDPlite", &[PORTS], Vec::new),
    known(Protocol::SCTP, &["sctp"], "SCTP", &[PORTS, STATE, TAGS], sctp_states),
    known(Protocol::DCCP, &["dccp"], "DCCP", &[PORTS, STATE, ROLE], || DCCP_STATES.to_vec()),
    known(Protocol::ICMP, &["icmp"], "ICMP", &[ICMP], Vec::new),
    known(Protocol::ICMPV6, &["icmpv6", "ipv6-icmp"], "ICMPv6", &[ICMPV6], Vec::new),
    known(Protocol::GRE, &["gre"], "GRE", &[KEYS], Vec::new),
];

/// A protocol by its name, in any case, or by its number; and what is known of it.
pub(crate) fn by_name(text: &str) -> Option<(Protocol, Option<&'static Known>)> {
    let named = |known: &&Known| {
        known
            .names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(text))
    };
    if let Some(known) = KNOWN.iter().find(named) {
        return Some((known.protocol, Some(known)));
    }
    let protocol = Protocol(text.parse().ok()?);
    Some((protocol, of(protocol)))
}

/// What is known of a protocol.
pub(crate) fn of(protocol: Protocol) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.protocol == protocol)
}
