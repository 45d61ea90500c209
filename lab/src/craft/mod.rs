//! Packets from descriptions: whole IP packets with right checksums, unless a wrong one is asked for.

use std::net::{IpAddr, SocketAddr};

use crate::rule::Rule;
use ip::{extension_header, ipv4, ipv6};
use sctp::sctp;
use sum::{finish_icmp, ones_complement, put_sum, transport_sum};
pub use tcp::Tcp;

mod ip;
mod sctp;
mod sum;
mod tcp;

/// The ends of a packet; ports are left out where the protocol has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// Where it comes from.
    pub src: SocketAddr,
    /// Where it goes.
    pub dst: SocketAddr,
}

/// A packet to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct Craft {
    /// Its ends.
    pub ends: Ends,
    /// What is behind the IP header.
    pub body: Body,
    /// Which bytes of the IP payload to send as one fragment, and the identification.
    pub fragment: Option<(usize, usize, u32)>,
    /// How many bytes of the IP payload there are, if not all.
    pub cut: Option<usize>,
    /// Numbers of the IPv6 extension headers in front of the transport header; each has 8 bytes.
    pub extensions: Vec<u8>,
    /// The rule that applies to it before it is tracked.
    pub rule: Rule,
    /// Whether the IPv4 header checksum is wrong.
    pub wrong_ip_sum: bool,
    /// Congestion notification, two bits.
    pub ecn: u8,
}

impl Craft {
    /// A whole packet.
    pub const fn new(ends: Ends, body: Body) -> Craft {
        Craft {
            ends,
            body,
            fragment: None,
            cut: None,
            extensions: Vec::new(),
            rule: Rule::None,
            wrong_ip_sum: false,
            ecn: 0,
        }
    }
}

/// The transport header and what follows it.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// TCP.
    Tcp(Tcp),
    /// UDP, with so many bytes.
    Udp {
        /// Bytes of payload.
        len: usize,
        /// The length field, if it is not to be the right one.
        length: Option<u16>,
        /// The checksum.
        sum: Sum,
    },
    /// UDP-Lite, with so many bytes.
    UdpLite {
        /// Bytes of payload.
        len: usize,
        /// Checksum coverage.
        coverage: u16,
        /// The checksum.
        sum: Sum,
    },
    /// ICMP or ICMPv6 by the family of the addresses: a query or whatever has no quotation.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Identifier.
        id: u16,
        /// Bytes of payload.
        len: usize,
        /// The checksum.
        sum: Sum,
    },
    /// An ICMP or ICMPv6 error.
    IcmpError {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The packet that it is about.
        about: Box<Craft>,
        /// How many bytes of that it quotes.
        quoted: usize,
        /// The checksum.
        sum: Sum,
    },
    /// SCTP.
    Sctp {
        /// Verification tag.
        tag: u32,
        /// Chunks: type, flags, and the initiate tag of INIT and INIT_ACK.
        chunks: Vec<(u8, u8, Option<u32>)>,
        /// The length field of the last chunk, if it is not to be the right one.
        length: Option<u16>,
        /// The checksum.
        sum: Sum,
    },
    /// GRE.
    Gre {
        /// Version.
        version: u8,
        /// The protocol that it carries.
        protocol: u16,
        /// Call id, for version 1.
        call: u16,
        /// Key, for the other versions.
        key: Option<u32>,
    },
    /// Another protocol.
    Other {
        /// Its number.
        protocol: u8,
        /// What is behind the IP header.
        bytes: Vec<u8>,
    },
}

/// What to write into a checksum field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sum {
    /// The right one.
    #[default]
    Right,
    /// A wrong one.
    Wrong,
    /// 0, for none.
    None,
    /// Of UDP: over as many bytes as the length field says, not over all.
    Stated,
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

impl Craft {
    /// Whether it is, or claims to be, a fragment.
    pub const fn is_fragment(&self) -> bool {
        let claims = matches!(
            self.body,
            Body::Other {
                protocol: FRAGMENT,
                ..
            }
        );
        claims || self.fragment.is_some()
    }

    /// The packet's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let (protocol, mut payload) = self.payload();
        payload.truncate(self.cut.unwrap_or(payload.len()));
        let mut bytes = match self.fragment {
            None => self.ip(protocol, &payload, None),
            Some((from, to, id)) => {
                let to = to.min(payload.len());
                let piece = &payload[from.min(to)..to];
                let more = to < payload.len();
                self.ip(protocol, piece, Some((from, more, id)))
            }
        };
        self.stamp(&mut bytes);
        if self.wrong_ip_sum && self.ends.src.is_ipv4() {
            bytes[10] ^= 0x55;
        }
        bytes
    }

    /// Writes the DSCP that stands for the rule.
    fn stamp(&self, bytes: &mut [u8]) {
        let class = (self.rule as u8) << 2 | self.ecn;
        if self.ends.src.is_ipv6() {
            bytes[0] |= class >> 4;
            bytes[1] |= class << 4;
        } else if class != 0 {
            bytes[1] = class;
            put_sum(&mut bytes[..20], 10, Sum::None, |_| 0);
            put_sum(&mut bytes[..20], 10, Sum::Right, |bytes| {
                ones_complement(&[bytes])
            });
        }
    }

    fn ip(&self, protocol: u8, payload: &[u8], fragment: Option<(usize, bool, u32)>) -> Vec<u8> {
        match (self.ends.src.ip(), self.ends.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4(src, dst, protocol, payload, fragment),
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut next = protocol;
                let mut inside = Vec::new();
                if let Some((from, more, id)) = fragment {
                    inside.extend([next, 0]);
                    inside.extend((from as u16 & !7 | u16::from(more)).to_be_bytes());
                    inside.extend(id.to_be_bytes());
                    next = FRAGMENT;
                }
                inside.extend(payload);
                for extension in self.extensions.iter().rev() {
                    inside.splice(..0, extension_header(*extension, next));
                    next = *extension;
                }
                ipv6(src, dst, next, &inside)
            }
            _ => Vec::new(),
        }
    }

    fn payload(&self) -> (u8, Vec<u8>) {
        let ends = self.ends;
        match &self.body {
            Body::Tcp(tcp) => (TCP, tcp.bytes(ends)),
            Body::Udp { len, length, sum } => {
                let right = u16::try_from(8 + len).unwrap_or(u16::MAX);
                let mut bytes = ports(ends);
                bytes.extend(length.unwrap_or(right).to_be_bytes());
                bytes.extend([0, 0]);
                bytes.resize(8 + len, b'x');
                let summed = match sum {
                    Sum::Stated => bytes.len().min(length.unwrap_or(right).into()),
                    _ => bytes.len(),
                };
                put_sum(&mut bytes, 6, *sum, |bytes| {
                    transport_sum(ends, UDP, &bytes[..summed], summed)
                });
                (UDP, bytes)
            }
            Body::UdpLite { len, coverage, sum } => {
                let mut bytes = ports(ends);
                bytes.extend(coverage.to_be_bytes());
                bytes.extend([0, 0]);
                bytes.resize(8 + len, b'x');
                let covered = match usize::from(*coverage) {
                    0 => bytes.len(),
                    covered => covered.min(bytes.len()),
                };
                put_sum(&mut bytes, 6, *sum, |bytes| {
                    transport_sum(ends, UDPLITE, bytes, covered)
                });
                (UDPLITE, bytes)
            }
            Body::Icmp {
                kind,
                code,
                id,
                len,
                sum,
            } => {
                let mut bytes = vec![*kind, *code, 0, 0];
                bytes.extend(id.to_be_bytes());
                bytes.extend([0, 1]);
                bytes.resize(8 + len, b'x');
                finish_icmp(ends, bytes, *sum)
            }
            Body::IcmpError {
                kind,
                code,
                about,
                quoted,
                sum,
            } => {
                let mut bytes = vec![*kind, *code, 0, 0, 0, 0, 0, 0];
                let inner = about.bytes();
                bytes.extend(&inner[..inner.len().min(*quoted)]);
                finish_icmp(ends, bytes, *sum)
            }
            Body::Sctp {
                tag,
                chunks,
                length,
                sum,
            } => (SCTP, sctp(ends, *tag, chunks, *length, *sum)),
            Body::Gre {
                version,
                protocol,
                call,
                key,
            } => {
                const HAS_KEY: u8 = 0x20;
                let has_key = *version == 1 || key.is_some();
                let mut bytes = vec![if has_key { HAS_KEY } else { 0 }, *version];
                bytes.extend(protocol.to_be_bytes());
                if *version == 1 {
                    bytes.extend([0, 0]);
                    bytes.extend(call.to_be_bytes());
                } else if let Some(key) = key {
                    bytes.extend(key.to_be_bytes());
                }
                bytes.extend(*b"xxxx");
                (GRE, bytes)
            }
            Body::Other { protocol, bytes } => (*protocol, bytes.clone()),
        }
    }
}

fn ports(ends: Ends) -> Vec<u8> {
    let mut bytes = ends.src.port().to_be_bytes().to_vec();
    bytes.extend(ends.dst.port().to_be_bytes());
    bytes
}
