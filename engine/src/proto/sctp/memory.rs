//! An SCTP association's memory as numbers.

use super::Sctp;
use crate::connection::SctpState;
use crate::proto::memory::direction;

/// In the place of a direction: none.
const NONE: u8 = 2;

impl Sctp {
    pub(in crate::proto) fn memory(&self) -> [u32; 3] {
        let [original, reply] = self.tags;
        let odd = self.odd_heartbeat.map_or(NONE, |from| from as u8);
        let inits = u8::from(self.inits[0]) | u8::from(self.inits[1]) << 1;
        let rest = [self.state as u8, inits, odd, 0];
        [original, reply, u32::from_be_bytes(rest)]
    }

    pub(in crate::proto) fn remembering([original, reply, rest]: [u32; 3]) -> Option<Sctp> {
        let [state, inits, odd, _] = rest.to_be_bytes();
        Some(Sctp {
            tags: [original, reply],
            inits: [inits & 1 != 0, inits & 2 != 0],
            state: *SctpState::ALL.get(usize::from(state))?,
            odd_heartbeat: match odd {
                NONE => None,
                from => Some(direction(from)?),
            },
        })
    }
}
