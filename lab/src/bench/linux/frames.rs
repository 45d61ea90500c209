//! The frames of the workloads: the same bytes for the kernel and for the engine.
//!
//! A frame is a complete Ethernet frame without padding and with right checksums: 54 bytes of IPv4, 74 of
//! IPv6, whatever it carries, so that one buffer can hold any of them. A flow is a number; all flows
//! go from a client of their own to one server, and differ in the client's address (24 bits) and port
//! (8 bits).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::craft::{Body, Craft, Ends, Sum, Tcp};

/// The version of IP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What a packet is for its connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// TCP, client to server: the first packet.
    Syn,
    /// TCP, server to client: the answer to that.
    SynAck,
    /// TCP, client to server: the last of the handshake, and any later acknowledgement.
    Ack,
    /// TCP, server to client: an acknowledgement.
    AckBack,
    /// UDP, client to server.
    Udp,
    /// UDP, server to client.
    UdpBack,
}

/// The MAC addresses of the router's interface and of whom it hears from.
pub(super) const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const NEIGHBOUR: [u8; 6] = [2, 0, 0, 0, 0, 2];

const ETHERNET: usize = 14;

impl Kind {
    /// Whether the server sends it.
    pub const fn is_back(self) -> bool {
        matches!(self, Kind::SynAck | Kind::AckBack | Kind::UdpBack)
    }

    /// Whether it is UDP; otherwise TCP.
    pub const fn is_udp(self) -> bool {
        matches!(self, Kind::Udp | Kind::UdpBack)
    }

    fn body(self) -> Body {
        const SYN: u8 = 0x02;
        const ACK: u8 = 0x10;
        const CLIENT: u32 = 1000;
        const SERVER: u32 = 5000;
        let (flags, seq, ack) = match self {
            Kind::Udp | Kind::UdpBack => {
                return Body::Udp {
                    len: 12,
                    length: None,
                    sum: Sum::Right,
                };
            }
            Kind::Syn => (SYN, CLIENT, 0),
            Kind::SynAck => (SYN | ACK, SERVER, CLIENT + 1),
            Kind::Ack => (ACK, CLIENT + 1, SERVER + 1),
            Kind::AckBack => (ACK, SERVER + 1, CLIENT + 1),
        };
        Body::Tcp(Tcp {
            flags,
            seq,
            ack,
            window: 65_535,
            ..Tcp::default()
        })
    }
}

impl Family {
    /// The client of a flow.
    fn client(self, flow: u32) -> SocketAddr {
        let port = 0x8000 | (flow >> 24) as u16;
        let low = flow & 0xff_ffff;
        let address = match self {
            Family::V4 => IpAddr::from((Ipv4Addr::new(10, 0, 0, 0).to_bits() | low).to_be_bytes()),
            Family::V6 => {
                let base = Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0x0a00, 0);
                Ipv6Addr::from_bits(base.to_bits() | u128::from(low)).into()
            }
        };
        SocketAddr::new(address, port)
    }

    fn server(self, udp: bool) -> SocketAddr {
        let port = if udp { 53 } else { 443 };
        match self {
            Family::V4 => SocketAddr::from(([198, 18, 0, 1], port)),
            Family::V6 => SocketAddr::from(([0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 1], port)),
        }
    }

    const fn ether_type(self) -> [u8; 2] {
        match self {
            Family::V4 => [0x08, 0x00],
            Family::V6 => [0x86, 0xdd],
        }
    }
}

/// One frame.
pub fn frame(family: Family, kind: Kind, flow: u32) -> Vec<u8> {
    let (client, server) = (family.client(flow), family.server(kind.is_udp()));
    let ends = if kind.is_back() {
        Ends {
            src: server,
            dst: client,
        }
    } else {
        Ends {
            src: client,
            dst: server,
        }
    };
    let packet = Craft::new(ends, kind.body()).bytes();
    [&ROUTER[..], &NEIGHBOUR, &family.ether_type(), &packet].concat()
}

/// Where in a frame there is what depends on the flow.
pub(super) struct Places {
    /// The last four bytes of the client's address.
    pub(super) address: usize,
    /// The client's port.
    pub(super) port: usize,
    /// The IP header's checksum, if it has one.
    pub(super) ip_sum: Option<usize>,
    /// The transport header's checksum.
    pub(super) sum: usize,
}

impl Places {
    pub(super) const fn of(family: Family, kind: Kind) -> Places {
        // Where the first address begins, how long an address is, and the header with both.
        let (first, address, header) = match family {
            Family::V4 => (12, 4, 20),
            Family::V6 => (8, 16, 40),
        };
        let back = kind.is_back() as usize;
        let transport = ETHERNET + header;
        Places {
            address: ETHERNET + first + address * (1 + back) - 4,
            port: transport + 2 * back,
            ip_sum: match family {
                Family::V4 => Some(ETHERNET + 10),
                Family::V6 => None,
            },
            sum: transport + if kind.is_udp() { 6 } else { 16 },
        }
    }
}
