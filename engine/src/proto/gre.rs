//! GRE. The two timeouts are those of the moment at which the entry was made; the first packet after
//! a reply makes it ASSURED.

use super::Step;
use crate::config::{Config, Knob};
use crate::connection::{State, Status};
use crate::event::Changes;

/// Both timeouts, in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Gre {
    timeout: i32,
    stream_timeout: i32,
}

impl Gre {
    pub(super) fn new(config: &Config) -> Gre {
        Gre {
            timeout: config.get(Knob::GreTimeout) as i32,
            stream_timeout: config.get(Knob::GreTimeoutStream) as i32,
        }
    }

    /// As numbers that can be kept.
    pub(super) const fn memory(&self) -> [u32; 2] {
        [
            self.timeout.cast_unsigned(),
            self.stream_timeout.cast_unsigned(),
        ]
    }

    pub(super) fn remembering(memory: [u32; 2]) -> Option<Gre> {
        let [timeout, stream_timeout] = memory.map(u32::cast_signed);
        (timeout.min(stream_timeout) >= -1).then_some(Gre {
            timeout,
            stream_timeout,
        })
    }

    pub(super) fn state(&self) -> State {
        State::Gre {
            timeout: self.timeout as u32,
            stream_timeout: self.stream_timeout as u32,
        }
    }

    pub(super) fn track(&self, status: &mut Status, changes: &mut Changes) -> Step {
        if !status.has(Status::SEEN_REPLY) {
            return Step::Refresh(self.timeout);
        }
        if !status.has(Status::ASSURED) {
            *status = status.with(Status::ASSURED);
            changes.add(Changes::ASSURED);
        }
        Step::Refresh(self.stream_timeout)
    }
}
