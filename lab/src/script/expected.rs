//! What a script expects: of a packet, of its entry, of the counters.

use super::words::{Fields, parse_number};
use crate::play::{Seen, Tally};

/// What is expected of a packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expected {
    /// Its class.
    pub class: String,
    /// The zone in which to look for its entry.
    pub zone: u16,
    /// Its entry afterwards, if that is to be looked at.
    pub entry: Option<Entry>,
    /// The events of it, if they are to be looked at: `new`, `update` or `destroy`.
    pub told: Option<Vec<String>>,
}

/// What is expected of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// There is none.
    Gone,
    /// It is there.
    There(Box<There>),
}

/// An entry that is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct There {
    /// The state, `None` for protocols without.
    pub state: Option<String>,
    /// Seconds to expiry.
    pub timeout: Option<u64>,
    /// Whether it is ASSURED.
    pub assured: bool,
    /// Whether it was never answered.
    pub unreplied: bool,
    /// Packets and bytes, original and reply, where given.
    pub counters: [Option<(u64, u64)>; 2],
    /// TCP's flags of both sides, as ctnetlink numbers them.
    pub flags: Option<(u64, u64)>,
    /// TCP's window scales of both sides, or SCTP's tags.
    pub scales: Option<(u64, u64)>,
    /// Its mark.
    pub mark: u32,
    /// Its labels.
    pub labels: u128,
    /// Its helper.
    pub helper: Option<String>,
    /// When it was confirmed, in milliseconds since the case began.
    pub start: Option<u64>,
    /// Whether it is the one that the last line about the same tuple saw.
    pub is_same: Option<bool>,
}

const CLASSES: [&str; 9] = [
    "new",
    "established",
    "related",
    "invalid",
    "untracked",
    "held",
    "dropped",
    "passed",
    "any",
];

impl Expected {
    pub(super) fn parse(text: &str) -> Result<Expected, String> {
        let mut words = text.split_whitespace();
        let class = words.next().unwrap_or_default().to_owned();
        if !CLASSES.contains(&class.as_str()) {
            let known = CLASSES.join(", ");
            return Err(format!("{class}: the class is one of {known}"));
        }
        let mut fields = Fields(words.collect());
        let zone = fields.take("zone").map(parse_number).transpose()?;
        let told = fields.take("told").map(told).transpose()?;
        let entry = match fields.0[..] {
            [] => None,
            ["gone"] => Some(Entry::Gone),
            _ => Some(Entry::There(Box::new(There::parse(fields)?))),
        };
        Ok(Expected {
            class,
            zone: zone.unwrap_or(0),
            entry,
            told,
        })
    }

    /// Whether what happened is what was expected.
    pub fn agrees(&self, seen: &Seen) -> bool {
        let told_so = self.told.as_ref().is_none_or(|told| *told == seen.told);
        (self.class == "any" || self.class == seen.class)
            && told_so
            && match (&self.entry, &seen.entry) {
                (None, _) | (Some(Entry::Gone), None) => true,
                (Some(Entry::Gone), Some(_)) | (Some(Entry::There(_)), None) => false,
                (Some(Entry::There(wanted)), Some(_)) => wanted.agrees(seen),
            }
    }
}

/// `told=nothing`, or events in their order.
fn told(text: &str) -> Result<Vec<String>, String> {
    let kinds = text.split(',').filter(|kind| *kind != "nothing");
    let kind = |kind: &str| match kind {
        "new" | "update" | "destroy" => Ok(kind.to_owned()),
        _ => Err(format!("told={kind}: nothing, new, update or destroy")),
    };
    kinds.map(kind).collect()
}

impl There {
    fn parse(mut fields: Fields<'_>) -> Result<There, String> {
        let mut there = There {
            mark: fields.or("mark", 0)?,
            labels: u128::from(fields.or::<u64>("labels", 0)?),
            helper: fields.take("helper").map(str::to_owned),
            start: fields.take("start").map(milliseconds).transpose()?,
            flags: fields.take("flags").map(pair).transpose()?,
            scales: fields.take("scales").map(pair).transpose()?,
            ..There::default()
        };
        fields.take("mark");
        fields.take("labels");
        for (at, name) in ["o", "r"].into_iter().enumerate() {
            there.counters[at] = fields.take(name).map(pair).transpose()?;
        }
        for word in fields.0 {
            match word {
                "-" => {}
                "ASSURED" => there.assured = true,
                "UNREPLIED" => there.unreplied = true,
                "same" => there.is_same = Some(true),
                "another" => there.is_same = Some(false),
                _ if word.starts_with(|c: char| c.is_ascii_digit()) => {
                    there.timeout = Some(parse_number(word)?);
                }
                _ if word.contains('=') => return Err(format!("{word}: not understood here")),
                _ => there.state = Some(word.to_owned()),
            }
        }
        Ok(there)
    }

    fn agrees(&self, seen: &Seen) -> bool {
        /// The kernel is given packets in real time.
        const SLACK_NS: u64 = 200_000_000;
        let Some(entry) = &seen.entry else {
            return false;
        };
        let in_time = |timeout: u64| entry.timeout == timeout || entry.timeout + 1 == timeout;
        let counts = self.counters.iter().zip(&entry.counters);
        let begun = |at: u64| {
            let start = entry.start.unwrap_or(u64::MAX);
            start.abs_diff(at * 1_000_000) < SLACK_NS
        };
        let [one, other] = entry.sides;
        let flags = (u64::from(one.1), u64::from(other.1));
        let scales = (u64::from(one.0), u64::from(other.0));
        self.state.as_deref() == entry.state_name()
            && self.flags.is_none_or(|wanted| wanted == flags)
            && self.scales.is_none_or(|wanted| wanted == scales)
            && self.timeout.is_none_or(in_time)
            && self.assured == entry.is_assured()
            && self.unreplied != entry.is_replied()
            && counts
                .into_iter()
                .all(|(wanted, count)| wanted.is_none_or(|wanted| wanted == *count))
            && (self.mark, self.labels) == (entry.mark, entry.labels)
            && self.helper == entry.helper
            && self.start.is_none_or(begun)
            && self
                .is_same
                .is_none_or(|is_same| Some(is_same) == seen.is_same)
    }
}

/// Seconds with decimals.
fn milliseconds(text: &str) -> Result<u64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text}: no time"))?;
    Ok((seconds * 1e3).round() as u64)
}

fn pair(text: &str) -> Result<(u64, u64), String> {
    let (packets, bytes) = text
        .split_once('/')
        .ok_or(format!("{text}: NUMBER/NUMBER"))?;
    Ok((parse_number(packets)?, parse_number(bytes)?))
}

/// What is expected of the counters: names that are added up, and the least and greatest sum.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sums(Vec<(Vec<String>, u64, u64)>);

impl Sums {
    /// `NAME[+NAME…]=VALUE` or `…=LEAST..GREATEST`.
    pub(super) fn parse(text: &str) -> Result<Sums, String> {
        let sum = |word: &str| {
            let (names, value) = word.split_once('=').ok_or(format!("{word}: NAME=VALUE"))?;
            let names: Vec<String> = names.split('+').map(str::to_owned).collect();
            let known = |name: &&String| Tally::default().get(name).is_none();
            if let Some(unknown) = names.iter().find(known) {
                return Err(format!("{unknown}: no such counter"));
            }
            let (least, greatest) = value.split_once("..").unwrap_or((value, value));
            Ok((names, parse_number(least)?, parse_number(greatest)?))
        };
        let sums: Result<Vec<_>, String> = text.split_whitespace().map(sum).collect();
        sums.map(Sums)
    }

    /// Whether what was counted is what was expected.
    pub fn agrees(&self, tally: &Tally) -> bool {
        let sum = |names: &[String]| names.iter().filter_map(|name| tally.get(name)).sum::<u64>();
        let mut sums = self.0.iter();
        sums.all(|(names, least, greatest)| (*least..=*greatest).contains(&sum(names)))
    }
}
