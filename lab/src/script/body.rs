//! What is behind the IP header of a script's packet, by protocol.

use super::words::{Fields, parse_bytes, parse_number};
use crate::craft::{Body, Craft, Sum, Tcp};

pub(super) fn body(
    kind: &str,
    mut fields: Fields<'_>,
    about: Option<Box<Craft>>,
) -> Result<Body, String> {
    let mut take_first = || match fields.0.is_empty() {
        true => Err(format!("{kind} what?")),
        false => Ok(fields.0.remove(0)),
    };
    match kind {
        "tcp" => {
            let flags = take_first()?;
            tcp(flags, &fields)
        }
        "icmp" => {
            let (kind, code) = take_first()?.split_once('/').ok_or("icmp TYPE/CODE")?;
            icmp(parse_number(kind)?, parse_number(code)?, &fields, about)
        }
        "udp" => {
            fields.check(&["len", "length", "sum"])?;
            Ok(Body::Udp {
                len: fields.or("len", 1)?,
                length: fields.number("length")?,
                sum: match fields.text("sum") {
                    Some("stated") => Sum::Stated,
                    _ => fields.sum()?,
                },
            })
        }
        "udplite" => {
            fields.check(&["len", "coverage", "sum"])?;
            Ok(Body::UdpLite {
                len: fields.or("len", 1)?,
                coverage: fields.or("coverage", 0)?,
                sum: fields.sum()?,
            })
        }
        "sctp" => sctp(fields),
        "gre" => {
            fields.check(&["version", "protocol", "call", "key"])?;
            Ok(Body::Gre {
                version: fields.or("version", 0)?,
                protocol: fields.or("protocol", 0x880b)?,
                call: fields.or("call", 0)?,
                key: fields.number("key")?,
            })
        }
        "ip" => {
            fields.check(&["protocol", "len", "bytes"])?;
            let len = fields.or("len", 4)?;
            let bytes = fields.text("bytes").map(parse_bytes).transpose()?;
            Ok(Body::Other {
                protocol: fields.or("protocol", 99)?,
                bytes: bytes.unwrap_or_else(|| vec![b'x'; len]),
            })
        }
        _ => Err(format!("{kind}: no such packet")),
    }
}

fn tcp(flags: &str, fields: &Fields<'_>) -> Result<Body, String> {
    const KNOWN: [&str; 9] = [
        "seq", "ack", "win", "len", "wscale", "sackok", "sack", "offset", "sum",
    ];
    fields.check(&KNOWN)?;
    let bit = |letter| "FSRPAUEC".find(letter).map(|bit| 1 << bit);
    let flags = match flags {
        "none" => Some(0),
        _ => flags
            .chars()
            .map(bit)
            .try_fold(0, |sum, bit| Some(sum | bit?)),
    };
    let mut sacks = Vec::new();
    for block in fields.text("sack").iter().flat_map(|list| list.split(',')) {
        let (left, right) = block.split_once('-').ok_or("sack=A-B")?;
        sacks.push((parse_number(left)?, parse_number(right)?));
    }
    Ok(Body::Tcp(Tcp {
        flags: flags.ok_or("flags are of SAFRPUEC")?,
        seq: fields.or("seq", 0)?,
        ack: fields.or("ack", 0)?,
        window: fields.or("win", 8192)?,
        len: fields.or("len", 0)?,
        scale: fields.number("wscale")?,
        sack_ok: fields.0.contains(&"sackok"),
        sacks,
        offset: fields.number("offset")?,
        sum: fields.sum()?,
    }))
}

fn icmp(
    kind: u8,
    code: u8,
    fields: &Fields<'_>,
    about: Option<Box<Craft>>,
) -> Result<Body, String> {
    if let Some(about) = about {
        fields.check(&["quoted", "sum"])?;
        let quoted = fields.or("quoted", 576)?;
        return Ok(Body::IcmpError {
            kind,
            code,
            about,
            quoted,
            sum: fields.sum()?,
        });
    }
    fields.check(&["id", "len", "sum"])?;
    Ok(Body::Icmp {
        kind,
        code,
        id: fields.or("id", 1)?,
        len: fields.or("len", 0)?,
        sum: fields.sum()?,
    })
}

/// Chunk types by name.
pub(crate) const CHUNKS: [(&str, u8); 15] = [
    ("DATA", 0),
    ("INIT", 1),
    ("INIT_ACK", 2),
    ("SACK", 3),
    ("HEARTBEAT", 4),
    ("HEARTBEAT_ACK", 5),
    ("ABORT", 6),
    ("SHUTDOWN", 7),
    ("SHUTDOWN_ACK", 8),
    ("ERROR", 9),
    ("COOKIE_ECHO", 10),
    ("COOKIE_ACK", 11),
    ("ECNE", 12),
    ("CWR", 13),
    ("SHUTDOWN_COMPLETE", 14),
];

fn sctp(mut fields: Fields<'_>) -> Result<Body, String> {
    let names = fields.0.iter().position(|word| !word.contains('='));
    let names = names.map(|at| fields.0.remove(at)).ok_or("sctp CHUNK")?;
    fields.check(&["tag", "itag", "flags", "length", "sum"])?;
    let init_tag: Option<u32> = fields.number("itag")?;
    let mut chunks = Vec::new();
    for name in names.split('+').filter(|name| *name != "none") {
        let known = CHUNKS.iter().find(|(known, _)| *known == name);
        let (_, kind) = known.ok_or(format!("{name}: no such chunk"))?;
        let announces = matches!(kind, 1 | 2);
        let init_tag = announces.then(|| init_tag.unwrap_or(1));
        chunks.push((*kind, fields.or("flags", 0)?, init_tag));
    }
    Ok(Body::Sctp {
        tag: fields.or("tag", 0)?,
        chunks,
        length: fields.number("length")?,
        sum: fields.sum()?,
    })
}
