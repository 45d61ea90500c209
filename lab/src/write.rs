//! A sequence of packets written as a script, with what the kernel made of them as what is expected.

use std::fmt::Write;

use crate::craft::{Body, Craft, Ends, Sum, Tcp};
use crate::duel::Account;
use crate::entry::Entry;
use crate::random::Move;
use crate::rule::Rule;
use crate::script::{CHUNKS, EXTENSIONS};

/// The script of a sequence. `seen` is the kernel's account of each packet.
pub fn script(title: &str, knobs: &[(String, String)], moves: &[Move], seen: &[Account]) -> String {
    let mut text = format!("# {title}\n\n");
    for (name, value) in knobs {
        let _ = writeln!(text, "sysctl {name}={value}");
    }
    let mut flows: Vec<Ends> = Vec::new();
    for step in moves {
        if !flows.contains(&step.flow) {
            flows.push(step.flow);
            let Ends { src, dst } = step.flow;
            let _ = writeln!(text, "flow {} {src} {dst}", flows.len());
        }
    }
    text.push_str("\ncase found\n");
    let mut at = 0;
    for (step, account) in moves.iter().zip(seen) {
        at += step.wait;
        let packet = packet(&step.packet, &flows);
        let _ = writeln!(
            text,
            "{:.3} {packet} => {}",
            at as f64 / 1e9,
            outcome(account)
        );
    }
    text
}

/// `DIRECTION PACKET`.
fn packet(craft: &Craft, flows: &[Ends]) -> String {
    let reverse = Ends {
        src: craft.ends.dst,
        dst: craft.ends.src,
    };
    let ports = |ends: &Ends| (ends.src.port(), ends.dst.port());
    let number = |wanted: &Ends| flows.iter().position(|flow| flow == wanted);
    let alike = |wanted: &Ends| flows.iter().position(|flow| ports(flow) == ports(wanted));
    let (way, number) = if let Some(number) = number(&craft.ends) {
        ('o', number)
    } else if let Some(number) = number(&reverse) {
        ('r', number)
    } else if let Some(number) = alike(&craft.ends) {
        ('o', number)
    } else {
        ('r', alike(&reverse).unwrap_or(0))
    };
    let Ends { src, dst } = flows[number];
    let (src, dst) = if way == 'o' { (src, dst) } else { (dst, src) };
    let mut text = format!("{way}{} {}", number + 1, body(&craft.body));
    if craft.ends.src.ip() != src.ip() {
        let _ = write!(text, " from={}", craft.ends.src.ip());
    }
    if craft.ends.dst.ip() != dst.ip() {
        let _ = write!(text, " to={}", craft.ends.dst.ip());
    }
    if craft.rule != Rule::None {
        let _ = write!(text, " rule={}", craft.rule.name());
    }
    if let Some(cut) = craft.cut {
        let _ = write!(text, " cut={cut}");
    }
    if let Some((from, to, id)) = craft.fragment {
        let _ = write!(text, " frag={from}-{to}/{id}");
    }
    if !craft.extensions.is_empty() {
        let name = |number: &u8| {
            EXTENSIONS
                .iter()
                .find(|(_, known)| known == number)
                .map_or("", |known| known.0)
        };
        let names: Vec<&str> = craft.extensions.iter().map(name).collect();
        let _ = write!(text, " behind={}", names.join(","));
    }
    if let Body::IcmpError { about, .. } = &craft.body {
        let _ = write!(text, " about {}", packet(about, flows));
    }
    text
}

fn body(body: &Body) -> String {
    match body {
        Body::Tcp(segment) => tcp(segment),
        Body::Udp { len, length, sum } => {
            format!("udp len={len}{}{}", option("length", *length), check(*sum))
        }
        Body::UdpLite { len, coverage, sum } => {
            format!("udplite len={len} coverage={coverage}{}", check(*sum))
        }
        Body::Icmp {
            kind,
            code,
            id,
            len,
            sum,
        } => {
            format!("icmp {kind}/{code} id={id} len={len}{}", check(*sum))
        }
        Body::IcmpError {
            kind,
            code,
            quoted,
            sum,
            ..
        } => {
            format!("icmp {kind}/{code} quoted={quoted}{}", check(*sum))
        }
        Body::Sctp {
            tag,
            chunks,
            length,
            sum,
        } => {
            let name = |kind: u8| {
                let known = CHUNKS.iter().find(|(_, known)| *known == kind);
                known.map_or("none", |known| known.0)
            };
            let names: Vec<&str> = chunks.iter().map(|chunk| name(chunk.0)).collect();
            let names = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join("+")
            };
            let init_tag = chunks.iter().find_map(|chunk| chunk.2);
            let flags = chunks.iter().map(|chunk| chunk.1).find(|flags| *flags != 0);
            format!(
                "sctp tag={tag} {names}{}{}{}{}",
                option("itag", init_tag),
                option("flags", flags),
                option("length", *length),
                check(*sum)
            )
        }
        Body::Gre {
            version,
            protocol,
            call,
            key,
        } => {
            format!(
                "gre version={version} protocol={protocol:#x} call={call}{}",
                option("key", *key)
            )
        }
        Body::Other { protocol, bytes } => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("ip protocol={protocol} bytes={digits}")
        }
    }
}

fn tcp(tcp: &Tcp) -> String {
    let letters = "FSRPAUEC".char_indices();
    let mut flags: String = letters
        .filter(|(bit, _)| tcp.flags & 1 << bit != 0)
        .map(|(_, letter)| letter)
        .collect();
    if flags.is_empty() {
        flags.push_str("none");
    }
    let mut text = format!(
        "tcp {flags} seq={} ack={} win={}",
        tcp.seq, tcp.ack, tcp.window
    );
    if tcp.len != 0 {
        let _ = write!(text, " len={}", tcp.len);
    }
    text.push_str(&option("wscale", tcp.scale));
    if tcp.sack_ok {
        text.push_str(" sackok");
    }
    if !tcp.sacks.is_empty() {
        let blocks = tcp
            .sacks
            .iter()
            .map(|(left, right)| format!("{left}-{right}"));
        let _ = write!(text, " sack={}", blocks.collect::<Vec<_>>().join(","));
    }
    text + &option("offset", tcp.offset) + check(tcp.sum)
}

fn option<T: std::fmt::Display>(key: &str, value: Option<T>) -> String {
    value.map_or(String::new(), |value| format!(" {key}={value}"))
}

const fn check(sum: Sum) -> &'static str {
    match sum {
        Sum::Right => "",
        Sum::Wrong => " sum=wrong",
        Sum::None => " sum=none",
        Sum::Stated => " sum=stated",
    }
}

/// `CLASS [ENTRY]`.
fn outcome(account: &Account) -> String {
    let class = account.class.split(' ').next().unwrap_or_default();
    match account.entries.iter().flatten().next() {
        None => format!("{class} gone"),
        Some(entry) => format!("{class} {}", shown(entry)),
    }
}

fn shown(entry: &Entry) -> String {
    let mut text = format!("{} {}", entry.state_name().unwrap_or("-"), entry.timeout);
    if entry.is_assured() {
        text.push_str(" ASSURED");
    }
    if !entry.is_replied() {
        text.push_str(" UNREPLIED");
    }
    for (name, (packets, bytes)) in ["o", "r"].iter().zip(entry.counters) {
        let _ = write!(text, " {name}={packets}/{bytes}");
    }
    for (name, number) in [("mark", u128::from(entry.mark)), ("labels", entry.labels)] {
        if number != 0 {
            let _ = write!(text, " {name}={number}");
        }
    }
    if let Some(helper) = &entry.helper {
        let _ = write!(text, " helper={helper}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::sequence;
    use crate::rng::Rng;
    use crate::script::{Action, Script};

    #[test]
    fn what_is_written_reads_back_as_the_same_packets() {
        let mut rng = Rng::new(5);
        for number in 0..500 {
            let moves = sequence(&mut rng, number, true);
            let seen = Account {
                class: "new".to_owned(),
                ..Account::default()
            };
            let seen = vec![seen; moves.len()];
            let text = script("title", &[], &moves, &seen);
            let read = Script::parse(&text).expect(&text);
            let packets = read.steps().filter_map(|step| match &step.action {
                Action::Send(send) => Some(send.packet.bytes()),
                _ => None,
            });
            let sent: Vec<Vec<u8>> = moves.iter().map(|step| step.packet.bytes()).collect();
            assert_eq!(packets.collect::<Vec<_>>(), sent, "{text}");
        }
    }
}
