//! Which attributes a message has.

/// A set of attribute numbers below 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Present(pub u32);

impl Present {
    /// Whether the attribute is there.
    pub const fn has(self, number: u16) -> bool {
        number < 32 && self.0 >> number & 1 == 1
    }

    pub(super) const fn add(&mut self, number: u16) {
        if number < 32 {
            self.0 |= 1 << number;
        }
    }
}
