//! What could be done, and what it would free: found out by trying it on the entries.
//!
//! *Freed now and freed later.* Deleting entries frees them at once. A lowered timeout applies to an
//! entry when its timer is next set, and running timers are not shortened (as in Linux): it frees
//! nothing at once, but of a flood that goes on, only the entries stay that came within the new timeout.
//! So for a timeout, what is counted are the entries whose last packet is longer ago than the new one:
//! those that would not be there had it been set before. A dropped prefix frees what it has in the table,
//! once deleted or run out, and keeps it from coming back. What keeps new entries from coming (a SYN proxy, a limit for each
//! source) frees those that would not have come.
//!
//! Nothing here does anything: these are lines for an administrator to read, and perhaps to run.

mod by_class;

use ip_conntrack::{Config, Knob, Protocol, TcpState};
use serde::Serialize;

use crate::census::Census;
use crate::classify::{Class, Finding};
use crate::limits::amplifier;
use crate::prefix::PrefixCount;
use crate::report::Subject;
use crate::rows::{Rows, Side, View};
use crate::who::{PortCount, Who};

/// Where advice is to be followed.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The timeouts of that machine, in seconds, as far as they are known; the others are taken to be the default.
    pub timeouts: Vec<(Knob, u64)>,
    /// Entries that the memory allows.
    pub affordable: Option<u64>,
    /// Whether the table is a daemon's, whose commands begin with `ipct`.
    pub is_daemon: bool,
}

/// Something that could be done.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Advice {
    /// What it does, in a sentence.
    pub what: String,
    /// The commands for it, a line each.
    pub commands: Vec<String>,
    /// Entries that it frees.
    pub frees: u64,
    /// When: `at once`, `as entries run out`, or `while it goes on`.
    pub when: &'static str,
    /// What `frees` is counted from.
    pub counted: String,
}

/// Prefixes that are worth a rule, at most, and the share of the entries that each needs.
const RULES: usize = 3;
const RULE_SHARE: f64 = 0.05;

pub(crate) fn advise(
    subject: &Subject<'_>,
    who: &Who,
    strays: Option<&Rows>,
    finding: &Finding,
) -> Vec<Advice> {
    if finding.class == Class::Normal {
        return Vec::new();
    }
    let trial = Trial {
        table: subject.table,
        rows: &subject.table.rows,
        circumstances: &subject.circumstances,
    };
    let mut advice = Vec::new();
    advice.extend(trial.deletions(finding.class));
    advice.extend(trial.prefixes(finding.class, who));
    advice.extend(trial.source_ports(finding.class, who));
    advice.extend(trial.timeouts());
    advice.extend(by_class::advise(&trial, finding.class, who, strays));
    advice.extend(raise(subject));
    if subject.circumstances.is_daemon {
        advice.iter_mut().for_each(for_daemon);
    }
    advice
}

/// The same, for the table of a daemon.
fn for_daemon(advice: &mut Advice) {
    for command in &mut advice.commands {
        let knob = command
            .strip_prefix("sysctl -w net.netfilter.")
            .map(|knob| format!("ipct sysctl {knob}"));
        let entries = command
            .strip_prefix("conntrack ")
            .or_else(|| command.strip_prefix("ipct --kernel "))
            .map(|rest| format!("ipct {rest}"));
        if let Some(ours) = knob.or(entries) {
            *command = ours;
        }
    }
}

/// The entries, to try things on.
struct Trial<'a> {
    table: &'a Census,
    rows: &'a Rows,
    circumstances: &'a Circumstances,
}

impl Trial<'_> {
    fn count(&self, would_go: impl Fn(&View<'_>) -> bool) -> u64 {
        let gone = self.rows.iter().filter(would_go).count();
        (gone as f64 * self.rows.weight()).round() as u64
    }

    /// Whether so many entries are worth a command.
    fn is_worth(&self, frees: u64) -> bool {
        frees > 0 && frees as f64 >= RULE_SHARE * self.rows.seen() as f64
    }

    /// Deletes by state: what no one would miss.
    fn deletions(&self, class: Class) -> Vec<Advice> {
        let states = [TcpState::SynSent, TcpState::SynRecv, TcpState::CloseWait];
        let mut advice = Vec::new();
        for state in states {
            let frees = self.table.of_tcp(state);
            if self.is_worth(frees) {
                let name = state.name();
                advice.push(Advice {
                    what: format!("delete the TCP entries in {name}; those that are meant come back with the next packet"),
                    commands: vec![format!("conntrack -D -p tcp --state {name}")],
                    frees,
                    when: "at once",
                    counted: format!("TCP entries in {name}"),
                });
            }
        }
        let udp = self.table.unreplied_of(Protocol::UDP);
        if self.is_worth(udp) && class != Class::ConnectionLeak {
            advice.push(Advice {
                what: "delete the UDP entries without an answer".to_owned(),
                // conntrack 1.4.7 deletes answered ones, too, whatever state is asked for.
                commands: vec!["ipct --kernel -D -p udp -u UNREPLIED".to_owned()],
                frees: udp,
                when: "at once",
                counted: "UDP entries that are UNREPLIED".to_owned(),
            });
        }
        advice
    }

    /// Drops the sources' prefixes; where those are made up, limits the target instead.
    fn prefixes(&self, class: Class, who: &Who) -> Vec<Advice> {
        if matches!(class, Class::Growth | Class::ConnectionLeak) {
            return Vec::new();
        }
        let worth = |line: &&PrefixCount| {
            line.length > 0 && line.flows as f64 >= RULE_SHARE * self.rows.seen() as f64
        };
        let lines = who.source_prefixes.iter().filter(worth).take(RULES);
        lines.map(|line| self.drop_prefix(line)).collect()
    }

    fn drop_prefix(&self, line: &PrefixCount) -> Advice {
        let prefix = format!("{}/{}", line.ip, line.length);
        let family = if line.ip.is_ipv6() { "ip6" } else { "ip" };
        Advice {
            what: format!(
                "drop packets from {prefix} before they are tracked, and delete what it has in the table"
            ),
            commands: vec![
                "nft add table inet ipct_drop".to_owned(),
                "nft 'add chain inet ipct_drop raw { type filter hook prerouting priority raw; }'"
                    .to_owned(),
                format!("nft add rule inet ipct_drop raw {family} saddr {prefix} drop"),
                format!("conntrack -D -s {prefix}"),
            ],
            frees: self.count(|row| within(row, line)),
            when: "at once",
            counted: format!("entries whose source is in {prefix}"),
        }
    }

    /// Drops answers of the services that are misused, by their port.
    fn source_ports(&self, class: Class, who: &Who) -> Vec<Advice> {
        if !matches!(class, Class::Reflection | Class::CarpetBombing) {
            return Vec::new();
        }
        let is_service = |line: &&PortCount| {
            let is_great = line.flows as f64 >= RULE_SHARE * self.rows.seen() as f64;
            is_great && line.protocol == Protocol::UDP && amplifier(line.port).is_some()
        };
        let lines = who.source_ports.iter().filter(is_service).take(RULES);
        lines.map(|line| self.drop_source_port(line.port)).collect()
    }

    fn drop_source_port(&self, port: u16) -> Advice {
        let name = amplifier(port).unwrap_or("the service");
        Advice {
            what: format!(
                "drop answers of {name} (UDP from port {port}) before they are tracked, unless this network asks such servers"
            ),
            commands: vec![
                "nft add table inet ipct_drop".to_owned(),
                "nft 'add chain inet ipct_drop raw { type filter hook prerouting priority raw; }'"
                    .to_owned(),
                format!("nft add rule inet ipct_drop raw udp sport {port} drop"),
                format!("conntrack -D -p udp --sport {port}"),
            ],
            frees: self.count(|row| row.protocol == Protocol::UDP && row.sport == port),
            when: "at once",
            counted: format!("UDP entries from port {port}"),
        }
    }

    /// The timeouts that would free most, each tried at the values that are still sensible.
    fn timeouts(&self) -> Vec<Advice> {
        let mut tried: Vec<Advice> = TIMEOUTS
            .iter()
            .filter_map(|candidate| self.timeout(candidate))
            .collect();
        tried.sort_by_key(|advice| std::cmp::Reverse(advice.frees));
        tried.truncate(3);
        tried
    }

    fn timeout(&self, candidate: &Candidate) -> Option<Advice> {
        let knob = candidate.knob;
        let known = self.circumstances.timeouts.iter();
        let known = known
            .filter(|(known, _)| *known == knob)
            .map(|(_, secs)| *secs)
            .next();
        let present = known.or_else(|| u64::try_from(Config::default().get(knob)).ok())?;
        let value = candidate.value;
        // What is too few to be worth it need not be looked at.
        if present <= value || !self.is_worth((candidate.of)(self.table)) {
            return None;
        }
        // Seconds left are whole ones, the rest cut off: fewer left than `present - value` means that
        // the last packet is longer ago than `value`.
        let frees = self.count(|row| {
            let is_late = |left: u32| u64::from(left) < present - value;
            (candidate.applies)(row) && row.timeout().is_some_and(is_late)
        });
        let name = knob.info().name;
        self.is_worth(frees).then(|| Advice {
            what: format!("lower {name} from {present} to {value} seconds"),
            commands: vec![format!("sysctl -w net.netfilter.{name}={value}")],
            frees,
            when: "while it goes on",
            counted: format!(
                "{}, whose last packet is more than {value} s ago",
                candidate.what
            ),
        })
    }
}

fn within(row: &View<'_>, line: &PrefixCount) -> bool {
    use std::net::IpAddr::{V4, V6};
    match (row.ip(Side::Source), line.ip) {
        (V4(ip), V4(prefix)) => {
            let shift = 32 - u32::from(line.length);
            (ip.to_bits() ^ prefix.to_bits())
                .checked_shr(shift)
                .unwrap_or(0)
                == 0
        }
        (V6(ip), V6(prefix)) => {
            let shift = 128 - u32::from(line.length);
            (ip.to_bits() ^ prefix.to_bits())
                .checked_shr(shift)
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

/// The timeouts that advice may be about.
pub fn timeouts() -> impl Iterator<Item = Knob> {
    TIMEOUTS.iter().map(|candidate| candidate.knob)
}

/// A timeout that could be lower.
struct Candidate {
    knob: Knob,
    /// Seconds that still do for ordinary traffic.
    value: u64,
    what: &'static str,
    /// Entries that it may apply to, at most.
    of: fn(&Census) -> u64,
    applies: fn(&View<'_>) -> bool,
}

const TIMEOUTS: &[Candidate] = &[
    Candidate {
        knob: Knob::TcpTimeoutSynSent,
        value: 20,
        what: "TCP entries in SYN_SENT",
        of: |table| table.of_tcp(TcpState::SynSent),
        applies: |row| row.tcp() == Some(TcpState::SynSent),
    },
    Candidate {
        knob: Knob::TcpTimeoutSynRecv,
        value: 20,
        what: "TCP entries in SYN_RECV",
        of: |table| table.of_tcp(TcpState::SynRecv),
        applies: |row| row.tcp() == Some(TcpState::SynRecv),
    },
    Candidate {
        knob: Knob::TcpTimeoutEstablished,
        value: 7_440,
        what: "answered TCP entries in ESTABLISHED (RFC 5382: not below 2 h 4 min)",
        of: |table| table.of_tcp(TcpState::Established),
        applies: |row| row.tcp() == Some(TcpState::Established) && row.replied(),
    },
    Candidate {
        knob: Knob::TcpTimeoutUnacknowledged,
        value: 60,
        what: "unanswered TCP entries in ESTABLISHED",
        of: |table| table.of_tcp(TcpState::Established),
        applies: |row| row.tcp() == Some(TcpState::Established) && !row.replied(),
    },
    Candidate {
        knob: Knob::TcpTimeoutTimeWait,
        value: 30,
        what: "TCP entries in TIME_WAIT",
        of: |table| table.of_tcp(TcpState::TimeWait),
        applies: |row| row.tcp() == Some(TcpState::TimeWait),
    },
    Candidate {
        knob: Knob::TcpTimeoutCloseWait,
        value: 15,
        what: "TCP entries in CLOSE_WAIT",
        of: |table| table.of_tcp(TcpState::CloseWait),
        applies: |row| row.tcp() == Some(TcpState::CloseWait),
    },
    Candidate {
        knob: Knob::UdpTimeout,
        value: 10,
        what: "UDP entries that are not ASSURED",
        of: |table| table.of_protocol(Protocol::UDP),
        applies: |row| row.protocol == Protocol::UDP && !row.assured(),
    },
    Candidate {
        knob: Knob::UdpTimeoutStream,
        value: 60,
        what: "UDP entries that are ASSURED",
        of: |table| table.of_protocol(Protocol::UDP),
        applies: |row| row.protocol == Protocol::UDP && row.assured(),
    },
    Candidate {
        knob: Knob::IcmpTimeout,
        value: 5,
        what: "ICMP entries",
        of: |table| table.of_protocol(Protocol::ICMP),
        applies: |row| row.protocol == Protocol::ICMP,
    },
];

/// More room, where the memory allows it.
fn raise(subject: &Subject<'_>) -> Option<Advice> {
    let (max, affordable) = (subject.max?, subject.circumstances.affordable?);
    (affordable > max && max > 0).then(|| Advice {
        what: format!("raise the limit from {max} to {affordable}, which a tenth of this machine's memory holds"),
        commands: vec![
            format!("sysctl -w net.netfilter.nf_conntrack_buckets={affordable}"),
            format!("sysctl -w net.netfilter.nf_conntrack_max={affordable}"),
        ],
        frees: affordable - max,
        when: "at once",
        counted: "places, by `ipct size`".to_owned(),
    })
}
