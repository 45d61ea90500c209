//! What is written into a packet's mark, for the rules behind the queue.
//!
//! Some bits of the mark are ours: a mask says which. In them stands the number of the packet's state,
//! and, above it, a bit that is set in packets of the reply's direction:
//!
//! | number | state |
//! | --- | --- |
//! | 0 | the packet was not tracked: it passed because the queue was full |
//! | 1 | NEW |
//! | 2 | ESTABLISHED |
//! | 3 | RELATED |
//! | 4 | INVALID |
//! | 5 | UNTRACKED |
//! | + 8 | in the direction of the reply |
//!
//! Other bits may take over those of the connection's mark, as `CONNMARK --restore-mark` does.

use ip_conntrack::{Class, Direction, Handle, Kind, Reason, Verdict};

/// Which bits of a mark mean what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marking {
    state: u32,
    connection: u32,
}

/// Bits that the numbers take.
pub(crate) const BITS: u32 = 4;

impl Marking {
    /// The mask of the state, whose bits are [`BITS`] neighbours or more, and that of the connection's mark.
    ///
    /// # Errors
    ///
    /// Which mask will not do, and why.
    pub(crate) fn new(state: u32, connection: u32) -> Result<Marking, String> {
        let shifted = state.checked_shr(state.trailing_zeros()).unwrap_or(0);
        let are_neighbours = shifted & shifted.wrapping_add(1) == 0;
        if state != 0 && (!are_neighbours || state.count_ones() < BITS) {
            return Err(format!(
                "the mark's mask {state:#x}: {BITS} bits or more are needed, next to each other"
            ));
        }
        if state & connection != 0 {
            return Err(format!(
                "the mark's mask {state:#x} and that of the connection's mark {connection:#x} have bits in common"
            ));
        }
        Ok(Marking { state, connection })
    }

    /// A packet's mark after tracking. `mark_of` tells a connection's.
    pub(crate) fn mark(
        &self,
        before: u32,
        verdict: &Verdict,
        mark_of: impl Fn(Handle) -> Option<u32>,
    ) -> u32 {
        let mut mark = before;
        if self.state != 0 {
            let number = number_of(verdict) << self.state.trailing_zeros();
            mark = mark & !self.state | number & self.state;
        }
        if self.connection != 0 {
            let of_connection = verdict.connection.and_then(mark_of).unwrap_or(0);
            mark = mark & !self.connection | of_connection & self.connection;
        }
        mark
    }
}

fn number_of(verdict: &Verdict) -> u32 {
    let is_passed_over = verdict.reason.map(Reason::kind) == Some(Kind::Skipped);
    let state = match verdict.class {
        _ if is_passed_over => 5,
        Class::New => 1,
        Class::Established => 2,
        Class::Related => 3,
        Class::Invalid => 4,
        Class::Untracked => 5,
    };
    match verdict.direction {
        Direction::Original => state,
        Direction::Reply => state + 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bits_of_the_masks_change() {
        let marking = Marking::new(0xf0, 0xff00).expect("good masks");
        let verdict = Verdict {
            class: Class::Established,
            direction: Direction::Reply,
            ..Verdict::default()
        };
        assert_eq!(marking.mark(0xffff_ffff, &verdict, |_| None), 0xffff_00af);
        assert_eq!(marking.mark(0, &Verdict::default(), |_| None), 0x40);
        let none = Marking::new(0, 0).expect("good masks");
        assert_eq!(none.mark(77, &verdict, |_| None), 77);
    }

    #[test]
    fn masks_that_cannot_work_are_refused() {
        assert!(Marking::new(0x7, 0).is_err(), "three bits");
        assert!(Marking::new(0xf1, 0).is_err(), "not neighbours");
        assert!(Marking::new(0xf0, 0x10).is_err(), "in common");
        assert!(Marking::new(0xf000_0000, 0xfff).is_ok() && Marking::new(0xffff_ffff, 0).is_ok());
    }
}
