//! A packet of a script: its direction, what any packet may have, and what it is about.

use std::collections::BTreeMap;

use super::body::body;
use super::words::{Fields, parse_number};
use crate::craft::{Craft, Ends};
use crate::rule::Rule;

/// The flow that a direction names, and the ends of a packet of that direction.
pub(super) fn ends(direction: &str, flows: &BTreeMap<u32, Ends>) -> Result<(Ends, Ends), String> {
    let (way, number) = direction.split_at_checked(1).ok_or("no direction")?;
    let number = if number.is_empty() {
        1
    } else {
        parse_number(number)?
    };
    let flow = *flows
        .get(&number)
        .ok_or(format!("flow {number} is not there"))?;
    let reply = Ends {
        src: flow.dst,
        dst: flow.src,
    };
    match way {
        "o" => Ok((flow, flow)),
        "r" => Ok((flow, reply)),
        _ => Err(format!("{direction}: the direction is o or r")),
    }
}

pub(super) fn craft(
    direction: &str,
    words: &[&str],
    flows: &BTreeMap<u32, Ends>,
) -> Result<Craft, String> {
    let (_, mut ends) = ends(direction, flows)?;
    let (kind, words) = words.split_first().ok_or("no packet")?;
    let about = words.iter().position(|word| *word == "about");
    let (own, quoted) = words.split_at(about.unwrap_or(words.len()));
    let mut fields = Fields(own.to_vec());
    if let Some(from) = fields.take("from") {
        ends.src
            .set_ip(from.parse().map_err(|_| format!("from={from}"))?);
    }
    if let Some(to) = fields.take("to") {
        ends.dst.set_ip(to.parse().map_err(|_| format!("to={to}"))?);
    }
    let fragment = fields.take("frag").map(fragment).transpose()?;
    let cut = fields.take("cut").map(parse_number).transpose()?;
    let rule = fields.take("rule").map(rule).transpose()?;
    let ecn = fields.take("ecn").map(parse_number).transpose()?;
    let wrong_ip_sum = match fields.take("ipsum") {
        None | Some("right") => false,
        Some("wrong") => true,
        Some(other) => return Err(format!("ipsum={other}: right or wrong")),
    };
    let behind = fields
        .take("behind")
        .map(|names| extensions(names, ends))
        .transpose()?;
    let about = match quoted.split_first() {
        None => None,
        Some((_, [])) => return Err("about what?".to_owned()),
        Some((_, inner)) => Some(Box::new(craft(inner[0], &inner[1..], flows)?)),
    };
    Ok(Craft {
        ends,
        body: body(kind, fields, about)?,
        fragment,
        cut,
        extensions: behind.unwrap_or_default(),
        rule: rule.unwrap_or_default(),
        wrong_ip_sum,
        ecn: ecn.unwrap_or(0),
    })
}

fn rule(name: &str) -> Result<Rule, String> {
    let rule = Rule::ALL.into_iter().find(|(known, _)| *known == name);
    rule.map(|(_, rule)| rule)
        .ok_or(format!("{name}: no such rule"))
}

/// IPv6 extension headers by name.
pub(crate) const EXTENSIONS: [(&str, u8); 4] =
    [("hop", 0), ("routing", 43), ("auth", 51), ("dest", 60)];

fn extensions(names: &str, ends: Ends) -> Result<Vec<u8>, String> {
    if ends.src.is_ipv4() {
        return Err("extension headers are IPv6's".to_owned());
    }
    let number = |name: &str| {
        let known = EXTENSIONS.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, number)| *number)
            .ok_or(format!("{name}: no such header"))
    };
    names.split(',').map(number).collect()
}

fn fragment(text: &str) -> Result<(usize, usize, u32), String> {
    let parts = text.split_once('/').and_then(|(range, id)| {
        let (from, to) = range.split_once('-')?;
        Some((from, to, id))
    });
    let (from, to, id) = parts.ok_or("frag=FROM-TO/ID")?;
    Ok((parse_number(from)?, parse_number(to)?, parse_number(id)?))
}
