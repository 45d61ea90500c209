//! What a packet asks for, found out without the table: the first step of tracking, which changes
//! nothing and so can be taken for many packets at once (`batch.rs`).

use crate::config::{Config, Knob};
use crate::hash::{Hasher, Probe};
use crate::packet::{Fragment, Packet, checksum};
use crate::proto::icmp::{self, Message, Quote};
use crate::tuple::{Direction, Zone};
use crate::verdict::Reason;

/// What a packet asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// The connection of its own tuple.
    Own(Probe),
    /// The connection of the packet that it quotes.
    About(Quote),
    /// To wait for the rest of its datagram.
    Piece(Fragment),
    /// To be left alone.
    Untracked,
    /// Nothing that there is.
    Refused(Reason),
}

impl Look {
    /// Whether a packet may ask for something else than the connection of its own tuple.
    #[inline(always)]
    pub(crate) fn is_odd(packet: &Packet<'_>, config: &Config) -> bool {
        packet.is_fragment()
            || packet.unusable.is_some()
            || packet.protocol.is_icmp()
            || Look::has_wrong_checksum(packet, config)
    }

    /// Of the IP header; only that of IPv4 has one.
    #[inline(always)]
    pub(crate) fn has_wrong_checksum(packet: &Packet<'_>, config: &Config) -> bool {
        packet.is_v4() && config.flag(Knob::Checksum) && !checksum::is_right(packet.ip_header())
    }

    /// Looks at a packet as it arrived.
    #[inline(always)]
    pub(crate) fn at(packet: &Packet<'_>, zone: Zone, config: &Config, hasher: &Hasher) -> Look {
        if Look::has_wrong_checksum(packet, config) {
            return Look::Refused(Reason::IpChecksum);
        }
        match packet.fragment() {
            Some(fragment) => Look::Piece(fragment),
            None => Look::at_whole(packet, zone, config, hasher),
        }
    }

    /// Looks at a packet in which a fragment header means nothing, or not any more.
    #[inline(always)]
    pub(crate) fn at_whole(
        packet: &Packet<'_>,
        zone: Zone,
        config: &Config,
        hasher: &Hasher,
    ) -> Look {
        if let Some(reason) = packet.unusable {
            return Look::Refused(reason);
        }
        if packet.protocol.is_icmp() {
            match icmp::examine(packet, config) {
                Ok(Message::Query) => {}
                Ok(Message::Untracked) => return Look::Untracked,
                Ok(Message::Error(quote)) => return Look::About(quote),
                Err(reason) => return Look::Refused(reason),
            }
        }
        match packet.parts() {
            Ok(parts) => Look::Own(hasher.probe(
                packet.addresses(),
                packet.protocol,
                parts,
                zone.id_of(Direction::Original),
            )),
            Err(reason) => Look::Refused(reason),
        }
    }
}
