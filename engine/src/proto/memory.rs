//! What trackers remember as a list of numbers, so that it can be kept outside and given back.
//!
//! The numbers are this version's own, in a fixed order; whoever keeps them says which version it was. All
//! that is given back is checked: what no tracker can remember is refused.

use super::{Proto, gre, sctp, tcp, udp};
use crate::time::Time;
use crate::tuple::{Direction, Protocol};

/// The most numbers that a tracker needs.
pub(crate) const MOST: usize = 15;

/// Up to [`MOST`] numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    numbers: [u32; MOST],
    len: usize,
}

impl Memory {
    pub(crate) fn of(numbers: &[u32]) -> Option<Memory> {
        let mut memory = Memory::default();
        memory
            .numbers
            .get_mut(..numbers.len())?
            .copy_from_slice(numbers);
        memory.len = numbers.len();
        Some(memory)
    }

    pub(crate) fn numbers(&self) -> &[u32] {
        self.numbers.get(..self.len).unwrap_or_default()
    }

    /// Exactly so many.
    fn exactly<const N: usize>(&self) -> Option<[u32; N]> {
        self.numbers().try_into().ok()
    }
}

impl Proto {
    /// What the tracker remembers at a moment.
    pub(crate) fn memory(&self, now: Time) -> Memory {
        let memory = match self {
            Proto::Stateless => Some(Memory::default()),
            Proto::Tcp(tcp) => Memory::of(&tcp.memory()),
            Proto::Udp(udp) => Memory::of(&udp.memory(now)),
            Proto::Sctp(sctp) => Memory::of(&sctp.memory()),
            Proto::Gre(gre) => Memory::of(&gre.memory()),
        };
        memory.unwrap_or_default()
    }

    /// The tracker of a protocol that remembers that; `None` if it cannot.
    pub(crate) fn remembering(protocol: Protocol, memory: &Memory, now: Time) -> Option<Proto> {
        Some(match protocol {
            Protocol::TCP => Proto::Tcp(tcp::Tcp::remembering(memory.exactly()?)?),
            Protocol::UDP => Proto::Udp(udp::Udp::remembering(memory.exactly()?, now)),
            Protocol::SCTP => Proto::Sctp(sctp::Sctp::remembering(memory.exactly()?)?),
            Protocol::GRE => Proto::Gre(gre::Gre::remembering(memory.exactly()?)?),
            _ => {
                let [] = memory.exactly()?;
                Proto::Stateless
            }
        })
    }
}

pub(super) const fn direction(number: u8) -> Option<Direction> {
    match number {
        0 => Some(Direction::Original),
        1 => Some(Direction::Reply),
        _ => None,
    }
}
