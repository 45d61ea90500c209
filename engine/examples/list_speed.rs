//! Lists a large table in every form, into nothing: what an entry's line costs.
//!
//!     cargo run --release -p ip_conntrack --example list_speed [CONNECTIONS]
//!
//! Four connections in five are established TCP, the others UDP without an answer; every tenth is of
//! IPv6. The readable form alone is measured too, since every listing makes it; and ctnetlink's messages, which
//! are read again as the tool reads those of the kernel's table.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use ip_conntrack::format::netlink::names::flag;
use ip_conntrack::format::netlink::{self, Entry, Messages, Origin};
use ip_conntrack::format::{Options, json, line, xml};
use ip_conntrack::{Config, Connection, Conntrack, Knob, LinkType, Packet, Time};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Bytes that are gathered before they are written.
const CHUNK: usize = 1 << 16;

type Form = (&'static str, fn(&mut Vec<u8>, &Connection));

const FORMS: [Form; 7] = [
    ("readable form", |_, connection| {
        black_box(connection);
    }),
    ("ip_conntrack", line::ip_conntrack),
    ("nf_conntrack", line::nf_conntrack),
    ("conntrack -L", |out, connection| {
        line::list(out, connection, &Options::default());
    }),
    ("xml", |out, connection| {
        xml::entry(out, connection, &Options::default());
    }),
    ("json", |out, connection| {
        json::entry(out, connection, &Options::default());
    }),
    ("ctnetlink", |out, connection| {
        netlink::put_entry(out, Origin::default(), flag::MULTI, connection);
    }),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let connections = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |n| n.parse())?;
    let conntrack = table(connections)?;
    let mut sink = std::fs::File::create("/dev/null")?;
    for (name, form) in FORMS {
        let begin = Instant::now();
        let bytes = list(&conntrack, form, &mut sink)?;
        let seconds = begin.elapsed().as_secs_f64();
        let each = seconds * 1e9 / conntrack.len() as f64;
        println!(
            "{name}: {} entries, {bytes} bytes, {seconds:.3} s, {each:.0} ns an entry",
            conntrack.len()
        );
    }
    read_again(&conntrack)
}

/// Messages in pieces of the size that the kernel sends them in, read alone and then with the line that the
/// tool prints.
fn read_again(conntrack: &Conntrack) -> Result<(), Box<dyn std::error::Error>> {
    let mut pieces = vec![Vec::new()];
    for connection in conntrack.connections() {
        if pieces.last().is_none_or(|piece| piece.len() > CHUNK / 2) {
            pieces.push(Vec::with_capacity(CHUNK));
        }
        if let Some(piece) = pieces.last_mut() {
            netlink::put_entry(piece, Origin::default(), flag::MULTI, &connection);
        }
    }
    for (name, prints) in [("read", false), ("read, and conntrack -L", true)] {
        let mut line = Vec::new();
        let begin = Instant::now();
        for message in pieces.iter().flat_map(|piece| Messages::new(piece)) {
            let read = Entry::read(&message?)?;
            if prints {
                line.clear();
                line::list(&mut line, &read.connection, &Options::default());
            }
            black_box((&read, &line));
        }
        let each = begin.elapsed().as_secs_f64() * 1e9 / conntrack.len() as f64;
        println!("ctnetlink {name}: {each:.0} ns an entry");
    }
    Ok(())
}

fn list(
    conntrack: &Conntrack,
    form: fn(&mut Vec<u8>, &Connection),
    sink: &mut impl Write,
) -> io::Result<usize> {
    let mut buffer = Vec::with_capacity(2 * CHUNK);
    let mut bytes = 0;
    for connection in conntrack.connections() {
        form(&mut buffer, &connection);
        if buffer.len() >= CHUNK {
            bytes += buffer.len();
            sink.write_all(&buffer)?;
            buffer.clear();
        }
    }
    sink.write_all(&buffer)?;
    Ok(bytes + buffer.len())
}

fn table(connections: u32) -> Result<Conntrack, ip_conntrack::ConfigError> {
    let mut config = Config::default();
    config.set(Knob::Max, connections.into())?;
    config.set(Knob::Acct, 1)?;
    config.set(Knob::Checksum, 0)?;
    let mut conntrack = Conntrack::new(config, 1);
    let now = Time::from_secs(1_700_000_000);
    conntrack.advance(now);
    for number in 0..connections {
        let mut send = |from_server, flags| {
            let bytes = packet(number, from_server, flags);
            if let Ok(packet) = Packet::parse(LinkType::Raw, &bytes) {
                conntrack.track(&packet, now);
            }
        };
        send(false, SYN);
        if is_tcp(number) {
            send(true, SYN | ACK);
            send(false, ACK);
        }
    }
    Ok(conntrack)
}

const fn is_tcp(number: u32) -> bool {
    !number.is_multiple_of(5)
}

/// TCP with these flags, or UDP.
fn packet(number: u32, from_server: bool, flags: u8) -> Vec<u8> {
    let l4 = if is_tcp(number) {
        tcp(number, from_server, flags)
    } else {
        udp(number)
    };
    let protocol = if is_tcp(number) { 6 } else { 17 };
    let mut bytes = if number.is_multiple_of(10) {
        ipv6(number, from_server, protocol, l4.len() as u8)
    } else {
        ipv4(number, from_server, protocol, 20 + l4.len() as u8)
    };
    bytes.extend(l4);
    bytes
}

fn ipv4(number: u32, from_server: bool, protocol: u8, len: u8) -> Vec<u8> {
    let mut ends = [
        (0x0a00_0000 | number).to_be_bytes(),
        [203, 0, 113, number as u8],
    ];
    if from_server {
        ends.reverse();
    }
    let mut bytes = vec![0x45, 0, 0, len, 0, 0, 0, 0, 64, protocol, 0, 0];
    bytes.extend(ends.as_flattened());
    bytes
}

fn ipv6(number: u32, from_server: bool, protocol: u8, len: u8) -> Vec<u8> {
    let net = 0x2001_0db8 << 96;
    let mut ends = [
        net | 1 << 64 | u128::from(number),
        net | 2 << 64 | u128::from(number % 256),
    ];
    if from_server {
        ends.reverse();
    }
    let mut bytes = vec![0x60, 0, 0, 0, 0, len, protocol, 64];
    bytes.extend(ends.map(u128::to_be_bytes).as_flattened());
    bytes
}

fn ports(number: u32, from_server: bool, service: u16) -> Vec<u8> {
    let mut ports = [1024 + (number % 60_000) as u16, service];
    if from_server {
        ports.reverse();
    }
    ports.map(u16::to_be_bytes).concat()
}

fn tcp(number: u32, from_server: bool, flags: u8) -> Vec<u8> {
    let seq = u32::from(flags == ACK);
    let ack = u32::from(flags & ACK != 0);
    let mut bytes = ports(number, from_server, 443);
    bytes.extend([seq, ack].map(u32::to_be_bytes).as_flattened());
    bytes.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    bytes
}

fn udp(number: u32) -> Vec<u8> {
    let mut bytes = ports(number, false, 53);
    bytes.extend([0, 9, 0, 0, b'?']);
    bytes
}
