//! What an attack of a class asks for: rules that keep its entries from coming. What is counted are the entries that
//! would not be there had the rules been there before.
//!
//! Rules that ask for the state of a connection (`ct`, a SYN proxy) stand on Linux's own tracking, which a daemon takes the
//! place of: for its table, there is what the daemon itself does when it stands in the path.

use ip_conntrack::{Protocol, TcpState};

use super::{Advice, Trial};
use crate::classify::Class;
use crate::flow::Origin;
use crate::limits;
use crate::rows::{Rows, Side, View};
use crate::who::Who;

pub(super) fn advise(
    trial: &Trial<'_>,
    class: Class,
    who: &Who,
    strays: Option<&Rows>,
) -> Option<Advice> {
    let is_daemon = trial.circumstances.is_daemon;
    match class {
        Class::SpoofedSynFlood | Class::SynFlood if !is_daemon => syn_proxy(trial, who),
        Class::AckFlood => Some(refuse_the_middle(trial, strays)),
        Class::ConnectionFlood if is_daemon => Some(limit_sources_of_a_bridge(trial)),
        Class::ConnectionFlood => Some(limit_sources(trial)),
        _ => None,
    }
}

fn lines(commands: &[&str]) -> Vec<String> {
    commands.iter().map(|line| (*line).to_owned()).collect()
}

const CHAINS: [&str; 2] = ["input", "forward"];

/// Lets the handshake prove itself, for the port that is flooded.
fn syn_proxy(trial: &Trial<'_>, who: &Who) -> Option<Advice> {
    let mut ports = who.ports.iter();
    let port = ports.find(|line| line.protocol == Protocol::TCP)?.port;
    let mut commands = lines(&[
        "sysctl -w net.ipv4.tcp_syncookies=1",
        "sysctl -w net.netfilter.nf_conntrack_tcp_loose=0",
        "nft add table ip ipct_proxy",
        "nft 'add chain ip ipct_proxy raw { type filter hook prerouting priority raw; }'",
    ]);
    commands.push(format!(
        "nft 'add rule ip ipct_proxy raw tcp dport {port} tcp flags & (fin | syn | rst | ack) == syn notrack'"
    ));
    for chain in CHAINS {
        let rule = format!("nft 'add rule ip ipct_proxy {chain} tcp dport {port} ct state");
        commands.push(format!(
            "nft 'add chain ip ipct_proxy {chain} {{ type filter hook {chain} priority filter; }}'"
        ));
        commands.push(format!(
            "{rule} invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm'"
        ));
        commands.push(format!("{rule} invalid drop'"));
    }
    let is_it = |row: &View<'_>| {
        let is_half_open = matches!(row.tcp(), Some(TcpState::SynSent | TcpState::SynRecv));
        is_half_open && row.dport == port && !row.is_v6()
    };
    Some(Advice {
        what: format!(
            "let a SYN proxy answer for TCP port {port}, so that only completed handshakes make entries"
        ),
        commands,
        frees: trial.count(is_it),
        when: "while it goes on",
        counted: format!("half-open TCP entries of IPv4 to port {port}"),
    })
}

/// Makes no entries of ACKs that belong to none.
fn refuse_the_middle(trial: &Trial<'_>, strays: Option<&Rows>) -> Advice {
    let refused = strays.map_or(0, |rows| {
        rows.iter()
            .filter(|row| row.origin() != Origin::Arp)
            .count()
    });
    let is_it = |row: &View<'_>| row.tcp().is_some() && !row.replied() && !row.is_half_open();
    let (drop, more): (_, &[_]) = match trial.circumstances.is_daemon {
        true => (
            "; a daemon that packets pass through also drops them once it is started again with --drop-invalid",
            &["ipct run --drop-invalid"],
        ),
        false => (
            ", and drop them",
            &[
                "nft add table inet ipct_drop",
                "nft 'add chain inet ipct_drop invalid { type filter hook prerouting priority mangle; }'",
                "nft add rule inet ipct_drop invalid ct state invalid drop",
            ],
        ),
    };
    let mut commands = lines(&["sysctl -w net.netfilter.nf_conntrack_tcp_loose=0"]);
    commands.extend(lines(more));
    Advice {
        what: format!(
            "make no entries of packets in the middle of nothing{drop} ({refused} flows were refused as it is)"
        ),
        commands,
        frees: trial.count(is_it),
        when: "while it goes on",
        counted: "TCP entries that began in the middle and have no answer".to_owned(),
    }
}

/// Connections that a source may have.
const MOST: u64 = limits::CONNECTIONS_OF_ONE as u64;

/// Limits the connections of each source, where complete connections are what fills the table.
fn limit_sources(trial: &Trial<'_>) -> Advice {
    let mut commands = lines(&[
        "nft add table inet ipct_limit",
        "nft 'add set inet ipct_limit sources { type ipv4_addr; flags dynamic; }'",
        "nft 'add chain inet ipct_limit new { type filter hook prerouting priority filter; }'",
    ]);
    commands.push(format!(
        "nft 'add rule inet ipct_limit new ip protocol tcp ct state new add @sources {{ ip saddr ct count over {MOST} }} drop'"
    ));
    Advice {
        what: format!(
            "limit the connections of each source to {MOST}: no more are let in, and those that are there run out"
        ),
        commands,
        frees: beyond(trial, |row| !row.is_v6() && row.tcp().is_some()),
        when: "while it goes on",
        counted: format!("TCP entries of IPv4 sources beyond the first {MOST} of each"),
    }
}

/// The same, where a daemon is a bridge: it counts entries of any kind.
fn limit_sources_of_a_bridge(trial: &Trial<'_>) -> Advice {
    Advice {
        what: format!(
            "if the daemon is a bridge, start it again so that each source has {MOST} entries at most (per_source = {MOST} \
             in section [bridge] of ipct.conf, or as below with its two interfaces)"
        ),
        commands: vec![format!(
            "ipct run --bridge FIRST,SECOND --policy per_source={MOST}"
        )],
        frees: beyond(trial, |_| true),
        when: "while it goes on",
        counted: format!("entries beyond the first {MOST} of each source"),
    }
}

/// How many of these entries are more than [`MOST`] of one source.
fn beyond(trial: &Trial<'_>, counts: impl Fn(&View<'_>) -> bool) -> u64 {
    let rows = trial.rows.iter().filter(counts);
    let mut sources: Vec<u64> = rows.map(|row| row.key(Side::Source)).collect();
    sources.sort_unstable();
    let of_each = sources.chunk_by(|a, b| a == b);
    let above = of_each.map(|of_one| (of_one.len() as u64).saturating_sub(MOST));
    (above.sum::<u64>() as f64 * trial.rows.weight()).round() as u64
}
