//! The rules that scripts and random sequences can have applied to a packet, which says by its DSCP
//! which one (numbers that packets of captures hardly have): written once, for the kernel as a rule set, and for the engine as what a program that
//! embeds it would do between the two phases.
//!
//! A rule that marks, labels or gives a helper acts on the packet's connection, whatever the packet is
//! (also an ICMP error about it), after tracking and before confirmation. Marks and labels that are there
//! already are not set again, so nothing is told of them. A helper can only be given before an entry is
//! confirmed, and `ftp` speaks TCP.

use ip_conntrack::{Conntrack, Handle, Protocol, Unconfirmed, Zone, ZoneDirections};

/// What is done with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rule {
    /// Nothing.
    #[default]
    None = 0,
    /// Exempts it from tracking.
    Notrack = 33,
    /// Sets label 3 of its connection, and clears the others.
    Label3 = 35,
    /// Drops it after it was tracked, where packets are forwarded.
    Drop = 37,
    /// Puts it into zone 5, both directions.
    Zone5 = 41,
    /// Puts it into zone 6, for the original direction only.
    OriginalZone6 = 43,
    /// Marks its connection with 7.
    Mark7 = 45,
    /// Holds it, where packets are forwarded, until it is released.
    Wait = 47,
    /// Gives its connection, if that is a new one of TCP, the helper `ftp`.
    Ftp = 49,
}

/// The mark that [`Rule::Mark7`] sets.
const MARK: u32 = 7;
/// The labels that [`Rule::Label3`] leaves.
const LABELS: u128 = 1 << 3;

impl Rule {
    /// All rules with their names in scripts.
    pub const ALL: [(&'static str, Rule); 9] = [
        ("none", Rule::None),
        ("notrack", Rule::Notrack),
        ("label3", Rule::Label3),
        ("drop", Rule::Drop),
        ("zone5", Rule::Zone5),
        ("orig6", Rule::OriginalZone6),
        ("mark7", Rule::Mark7),
        ("wait", Rule::Wait),
        ("ftp", Rule::Ftp),
    ];

    /// The rule that applies to an IP packet.
    pub fn of(packet: &[u8]) -> Rule {
        let dscp = match packet {
            [first, second, ..] if first >> 4 == 4 => second >> 2,
            [first, second, ..] => (first & 15) << 2 | second >> 6,
            _ => 0,
        };
        let rule = Rule::ALL.into_iter().find(|(_, rule)| *rule as u8 == dscp);
        rule.map_or(Rule::None, |(_, rule)| rule)
    }

    /// Its name in scripts.
    pub fn name(self) -> &'static str {
        let known = Rule::ALL.into_iter().find(|(_, rule)| *rule == self);
        known.map_or("none", |(name, _)| name)
    }

    /// The kernel's rule set: what is done before tracking, after it, and where packets are forwarded. The
    /// chain `wait` is filled over netlink.
    pub fn chains() -> String {
        let both = |statement: &dyn Fn(&str) -> String| statement("ip") + &statement("ip6");
        let rule = |rule: Rule, does: &str| {
            both(&|family| format!("  {family} dscp {} {does}\n", rule as u8))
        };
        let before = rule(Rule::Notrack, "notrack")
            + &rule(Rule::Zone5, "ct zone set 5")
            + &rule(Rule::OriginalZone6, "ct original zone set 6");
        let after = rule(Rule::Mark7, &format!("ct mark set {MARK}"))
            + &rule(
                Rule::Label3,
                &format!("ct label set {}", LABELS.trailing_zeros()),
            )
            + &rule(Rule::Ftp, "ct helper set \"ftp\"");
        let forwarded = rule(Rule::Drop, "drop") + &rule(Rule::Wait, "jump wait");
        format!(
            " ct helper ftp {{ type \"ftp\" protocol tcp; }}
 chain wait {{ }}
 chain raw {{ type filter hook prerouting priority -300; policy accept;\n{before} }}
 chain rules {{ type filter hook prerouting priority -140; policy accept;\n{after} }}
 chain forward {{ type filter hook forward priority 0; policy accept;\n{forwarded} }}\n"
        )
    }

    /// The zone that packets are tracked in.
    pub const fn zone(self) -> Zone {
        match self {
            Rule::Zone5 => Zone::both(5),
            Rule::OriginalZone6 => Zone {
                id: 6,
                applies: ZoneDirections::Original,
            },
            _ => Zone::both(0),
        }
    }

    /// What is done to a connection that is not confirmed yet.
    pub fn apply_to_new(self, connection: &mut Unconfirmed) {
        match self {
            Rule::Mark7 => connection.set_mark(MARK),
            Rule::Label3 => connection.set_labels(LABELS),
            Rule::Ftp if connection.protocol() == Protocol::TCP => connection.set_helper("ftp"),
            _ => {}
        }
    }

    /// What is done to the connection of a packet of a confirmed one.
    pub fn apply(self, conntrack: &mut Conntrack, handle: Handle) {
        let Some(connection) = conntrack.get(handle) else {
            return;
        };
        match self {
            Rule::Mark7 if connection.mark != MARK => {
                conntrack.set_mark(handle, MARK);
            }
            Rule::Label3 if connection.labels != LABELS => {
                conntrack.set_labels(handle, LABELS);
            }
            _ => {}
        }
    }
}
