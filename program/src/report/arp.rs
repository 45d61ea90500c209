//! ARP requests and replies in Ethernet frames: connection tracking does not see them, and a scan of a
//! network shows in hardly anything else.

/// Who asks, or answers, for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arp {
    pub(super) is_request: bool,
    pub(super) sender: [u8; 4],
    pub(super) target: [u8; 4],
}

const ETHERTYPE_AT: usize = 12;
const VLAN: [u8; 2] = [0x81, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];

/// Reads RFC 826 for IPv4 over Ethernet, behind at most one VLAN tag.
pub(super) fn read(frame: &[u8]) -> Option<Arp> {
    let mut at = ETHERTYPE_AT;
    if field::<2>(frame, at)? == VLAN {
        at += 4;
    }
    if field::<2>(frame, at)? != ARP {
        return None;
    }
    let body = frame.get(at + 2..)?;
    // Hardware Ethernet, protocol IPv4, address lengths 6 and 4.
    if field::<6>(body, 0)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    Some(Arp {
        is_request: field::<2>(body, 6)? == [0, 1],
        sender: field(body, 14)?,
        target: field(body, 24)?,
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
