//! A TCP connection's memory as numbers.

use super::table::Class;
use super::{Numbers, Tcp};
use crate::connection::TcpState;
use crate::proto::memory::direction;
use crate::tuple::Direction;

/// RFC 7323; a greater one could not be shifted by.
const GREATEST_SCALE: u8 = 14;

const CLASSES: [Class; 6] = [
    Class::Syn,
    Class::SynAck,
    Class::Fin,
    Class::Ack,
    Class::Rst,
    Class::None,
];

impl Tcp {
    pub(in crate::proto) fn memory(&self) -> [u32; 15] {
        let [original, reply] = self.numbers;
        let four = u32::from_be_bytes;
        [
            original.end,
            original.max_end,
            original.max_win,
            original.max_ack,
            reply.end,
            reply.max_end,
            reply.max_win,
            reply.max_ack,
            self.last_seq,
            self.last_ack,
            self.last_end,
            self.last_window.into(),
            four([self.scales[0], self.scales[1], self.last_scale, 0]),
            four([self.flags[0], self.flags[1], self.last_flags, self.repeats]),
            four([
                self.state as u8,
                self.last_class as u8,
                self.last_direction as u8,
                0,
            ]),
        ]
    }

    pub(in crate::proto) fn remembering(memory: [u32; 15]) -> Option<Tcp> {
        let [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            last_seq,
            last_ack,
            last_end,
            window,
            scales,
            flags,
            states,
        ] = memory;
        let numbers = |end, max_end, max_win, max_ack| Numbers {
            end,
            max_end,
            max_win,
            max_ack,
        };
        let [original, reply, last_scale, _] = scales.to_be_bytes();
        if original.max(reply).max(last_scale) > GREATEST_SCALE {
            return None;
        }
        let [flags_original, flags_reply, last_flags, repeats] = flags.to_be_bytes();
        let [state, class, last_direction, _] = states.to_be_bytes();
        let last_direction: Direction = direction(last_direction)?;
        Some(Tcp {
            numbers: [numbers(a, b, c, d), numbers(e, f, g, h)],
            last_seq,
            last_ack,
            last_end,
            last_window: u16::try_from(window).ok()?,
            scales: [original, reply],
            flags: [flags_original, flags_reply],
            repeats,
            last_flags,
            last_scale,
            last_class: *CLASSES.get(usize::from(class))?,
            last_direction,
            state: *TcpState::ALL.get(usize::from(state))?,
        })
    }
}
