//! Serial lines: HDLC framing around PPP, Cisco's own HDLC, and Frame Relay.
//!
//! Captures of PPP have HDLC address and control bytes (RFC 1662) or not, and where the line turns
//! out to run Cisco HDLC, its header in their place. No protocol number of IP begins like either.

use super::{Segment, be16, ether, ppp};
use crate::verdict::Reason;

/// All stations, unnumbered information.
const HDLC_PPP: u16 = 0xff03;
const CISCO_UNICAST: u16 = 0x0f00;
const CISCO_MULTICAST: u16 = 0x8f00;

/// Unnumbered information, then the network layer protocol of IPv4 or IPv6 (RFC 2427).
const RELAY_IPV4: u16 = 0x03cc;
const RELAY_IPV6: u16 = 0x038e;
/// Cisco's encapsulation has an ethertype there.
const RELAY_CISCO_IPV4: u16 = 0x0800;
const RELAY_CISCO_IPV6: u16 = 0x86dd;

/// The IP packet in a frame of a line that runs PPP or Cisco HDLC.
pub(super) fn ppp_or_cisco(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match be16(frame, 0)? {
        HDLC_PPP => ppp::payload(frame.skip(2)),
        CISCO_UNICAST | CISCO_MULTICAST => cisco_hdlc(frame),
        _ => ppp::payload(frame),
    }
}

/// The IP packet behind an address, a zero and an ethertype.
pub(super) fn cisco_hdlc(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    ether::at(frame, 2)
}

/// The IP packet behind a Frame Relay address of two bytes.
pub(super) fn frame_relay(frame: Segment<'_>) -> Result<Segment<'_>, Reason> {
    match be16(frame, 2)? {
        RELAY_IPV4 | RELAY_IPV6 | RELAY_CISCO_IPV4 | RELAY_CISCO_IPV6 => Ok(frame.skip(4)),
        _ => Err(Reason::NotIp),
    }
}
