//! The flows of a scene by kind: which of them a rule looks at.

use ip_conntrack::{Protocol, TcpState};

use super::Scene;
use super::group::Group;
use crate::flow::{Origin, Scope, scope};
use crate::limits::amplifier;
use crate::rows::{Side, View};

/// UDP ports of services that send without being answered, or answer elsewhere: logs, flow records,
/// traps, boot requests.
const ONE_WAY: &[u16] = &[
    67, 68, 69, 162, 514, 1514, 2055, 4739, 5140, 6343, 8125, 9995, 9996, 12201, 25826,
];

/// Where traceroute sends its datagrams.
const TRACEROUTE: std::ops::Range<u16> = 33_434..33_626;

/// Flows by kind, measured.
#[derive(Debug)]
pub(super) struct Kinds<'a> {
    /// Flows in all, without those that only say what was asked for (ARP) or are of no use.
    pub(super) flows: u64,
    pub(super) half_open: Group<'a>,
    pub(super) lone_udp: Group<'a>,
    /// Of the unanswered UDP flows: from a port that amplifies, or later fragments.
    pub(super) amplified: Group<'a>,
    pub(super) fragments: u64,
    /// The rest of the unanswered UDP flows.
    pub(super) plain_udp: Group<'a>,
    pub(super) one_way_udp: u64,
    /// Unanswered flows of protocols that are neither TCP, UDP nor ICMP.
    pub(super) other: Group<'a>,
    /// UDP to a port that amplifies, answered.
    pub(super) asked: Group<'a>,
    pub(super) dhcp: Group<'a>,
    pub(super) icmp: Group<'a>,
    /// TCP in the middle of nothing.
    pub(super) stray_tcp: Group<'a>,
    pub(super) syn_acks: Group<'a>,
    pub(super) established: Group<'a>,
    pub(super) closing: u64,
    pub(super) close_wait: Group<'a>,
    pub(super) tcp: u64,
    /// Everything unanswered.
    pub(super) unanswered: Group<'a>,
    /// What a scan leaves.
    pub(super) failed: Group<'a>,
    /// ICMP, answered or not.
    pub(super) icmp_all: Group<'a>,
}

impl<'a> Kinds<'a> {
    pub(super) fn of(scene: &Scene<'a>) -> Kinds<'a> {
        let flows = scene.flows();
        let mut places: [Vec<u32>; GROUPS.len()] = Default::default();
        let mut counts = [0; COUNTS.len()];
        // All kinds of a row while it is in the cache.
        for (place, row) in flows.iter().enumerate() {
            for (kind, places) in GROUPS.iter().zip(&mut places) {
                if kind(&row) {
                    places.push(place as u32);
                }
            }
            for (kind, count) in COUNTS.iter().zip(&mut counts) {
                *count += u64::from(kind(&row));
            }
        }
        let [
            half_open,
            lone_udp,
            amplified,
            plain_udp,
            other,
            asked,
            dhcp,
            icmp,
            icmp_all,
            stray_tcp,
            syn_acks,
            established,
            close_wait,
            unanswered,
            failed,
        ] = places.map(|places| Group::of(flows, places));
        let [all, fragments, one_way_udp, closing, tcp] = counts;
        Kinds {
            flows: all,
            half_open,
            lone_udp,
            amplified,
            fragments,
            plain_udp,
            one_way_udp,
            other,
            asked,
            dhcp,
            icmp,
            icmp_all,
            stray_tcp,
            syn_acks,
            established,
            closing,
            close_wait,
            tcp,
            unanswered,
            failed,
        }
    }
}

/// Whether a flow is of a kind.
type Kind = fn(&View<'_>) -> bool;

/// The kinds that are measured, in the order of `Kinds::of`.
const GROUPS: [Kind; 15] = [
    is_half_open,
    is_lone_udp,
    is_amplified,
    |row| is_lone_udp(row) && !is_amplified(row),
    is_lone_other,
    is_asked,
    is_dhcp,
    is_icmp,
    |row| row.protocol.is_icmp(),
    is_stray_tcp,
    |row| row.origin() == Origin::StraySynAck,
    is_established,
    |row| row.tcp() == Some(TcpState::CloseWait),
    is_unanswered,
    is_failed,
];

/// The kinds that are counted.
const COUNTS: [Kind; 5] = [
    |row| !matches!(row.origin(), Origin::Arp | Origin::Other),
    is_udp_fragments,
    |row| is_lone_udp(row) && ONE_WAY.contains(&row.dport),
    is_closing,
    |row| row.tcp().is_some(),
];

fn to_one(row: &View<'_>) -> bool {
    scope(row.ip(Side::Destination)) != Scope::Group
}

fn is_half_open(row: &View<'_>) -> bool {
    row.is_half_open()
}

fn is_udp(row: &View<'_>) -> bool {
    matches!(row.protocol, Protocol::UDP | Protocol::UDPLITE)
}

fn is_udp_fragments(row: &View<'_>) -> bool {
    row.origin() == Origin::Fragments && is_udp(row)
}

/// Unanswered UDP to one host.
fn is_lone_udp(row: &View<'_>) -> bool {
    let is_entry = row.origin().is_entry() || row.origin() == Origin::Fragments;
    is_udp(row) && is_entry && !row.replied() && to_one(row)
}

/// Of a protocol without ports, or with ports and without a rule of its own.
fn is_lone_other(row: &View<'_>) -> bool {
    let has_rules = row.tcp().is_some()
        || row.protocol == Protocol::TCP
        || is_udp(row)
        || row.protocol.is_icmp();
    let is_entry = row.origin().is_entry() || row.origin() == Origin::Fragments;
    !has_rules && is_entry && !row.replied() && to_one(row)
}

fn is_amplified(row: &View<'_>) -> bool {
    is_lone_udp(row) && (amplifier(row.sport).is_some() || is_later_fragment(row))
}

/// Nothing but the header of the datagram's first fragment has ports.
fn is_later_fragment(row: &View<'_>) -> bool {
    row.origin() == Origin::Fragments && row.sport == 0 && row.dport == 0
}

fn is_asked(row: &View<'_>) -> bool {
    is_udp(row) && row.origin().is_entry() && row.replied() && amplifier(row.dport).is_some()
}

fn is_dhcp(row: &View<'_>) -> bool {
    is_udp(row) && matches!(row.dport, 67 | 547)
}

/// ICMP that is unanswered, or answered with the first packet: as a flood to a host that lives.
fn is_icmp(row: &View<'_>) -> bool {
    let is_single = row.packets().is_none_or(|[original, _]| original <= 2);
    row.protocol.is_icmp() && to_one(row) && (!row.replied() || is_single)
}

fn is_stray_tcp(row: &View<'_>) -> bool {
    match row.origin() {
        Origin::StrayAck | Origin::StrayReset | Origin::StrayFlags => true,
        Origin::Entry => row.tcp().is_some() && !row.replied() && !row.is_half_open(),
        _ => false,
    }
}

fn is_established(row: &View<'_>) -> bool {
    row.tcp() == Some(TcpState::Established) && row.replied()
}

fn is_closing(row: &View<'_>) -> bool {
    use TcpState::{Close, CloseWait, FinWait, LastAck, TimeWait};
    let is_closing = matches!(
        row.tcp(),
        Some(FinWait | CloseWait | LastAck | TimeWait | Close)
    );
    is_closing && row.replied()
}

/// Everything that somebody sends and nobody answers.
fn is_unanswered(row: &View<'_>) -> bool {
    is_half_open(row)
        || is_lone_udp(row)
        || is_lone_other(row)
        || is_stray_tcp(row)
        || (is_icmp(row) && !row.replied())
}

/// A try that failed: what a scan leaves.
fn is_failed(row: &View<'_>) -> bool {
    let is_trace = is_udp(row) && TRACEROUTE.contains(&row.dport);
    let is_echo = row.protocol.is_icmp() && matches!(row.dport >> 8, 8 | 128);
    let is_plain_udp = is_lone_udp(row) && !is_amplified(row) && !is_trace;
    let is_flags = row.origin() == Origin::StrayFlags;
    is_half_open(row) || is_plain_udp || is_flags || (is_echo && !row.replied())
}
