//! Numbers and addresses as text, made by hand: they are most of every line, and `core::fmt` takes
//! several times as long for them.

use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `00` to `99`, so that a division yields two digits.
const PAIRS: [[u8; 2]; 100] = pairs();

const HEX: &[u8; 16] = b"0123456789abcdef";

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + n as u8 / 10, b'0' + n as u8 % 10];
        n += 1;
    }
    pairs
}

/// Pieces of text that a buffer can be given.
pub(super) trait Put {
    /// `text` as it is.
    fn text(&mut self, text: &str);

    /// `text` on the left of `width` columns.
    fn padded(&mut self, text: &str, width: usize);

    /// `text` as one word: blanks and control characters become `_`.
    fn word(&mut self, text: &str);

    /// A decimal number.
    fn decimal(&mut self, n: u64);

    /// The last `width` digits of a decimal number, with leading zeros; at most 20.
    fn digits(&mut self, n: u64, width: usize);

    /// A hexadecimal number in lower case, `0` for 0.
    fn hex(&mut self, n: u16);

    /// Eight hexadecimal digits.
    fn hex8(&mut self, n: u32);

    /// An address; IPv6 in eight groups of four digits.
    fn address(&mut self, address: IpAddr);

    /// An address; IPv6 in the short form of RFC 5952.
    fn short_address(&mut self, address: IpAddr);

    /// `name`, a decimal number and a blank: one field of a line.
    fn field(&mut self, name: &str, n: u64) {
        self.text(name);
        self.decimal(n);
        self.text(" ");
    }
}

impl Put for Vec<u8> {
    fn text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    fn padded(&mut self, text: &str, width: usize) {
        self.text(text);
        self.resize(self.len() + width.saturating_sub(text.len()), b' ');
    }

    fn word(&mut self, text: &str) {
        let mut utf8 = [0; 4];
        for c in text.chars() {
            let breaks = c.is_whitespace() || c.is_control();
            self.text(if breaks {
                "_"
            } else {
                c.encode_utf8(&mut utf8)
            });
        }
    }

    fn decimal(&mut self, mut n: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        while n >= 100 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
            n /= 100;
        }
        if n >= 10 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[n as usize]);
        } else {
            at -= 1;
            digits[at] = b'0' + n as u8;
        }
        self.extend_from_slice(&digits[at..]);
    }

    fn digits(&mut self, mut n: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let from = digits.len().saturating_sub(width);
        for digit in digits[from..].iter_mut().rev() {
            *digit = b'0' + (n % 10) as u8;
            n /= 10;
        }
        self.extend_from_slice(&digits[from..]);
    }

    fn hex(&mut self, n: u16) {
        let leading_zeros = (n | 1).leading_zeros() as usize / 4;
        self.extend_from_slice(&nibbles(n)[leading_zeros..]);
    }

    fn hex8(&mut self, n: u32) {
        self.extend_from_slice(&nibbles((n >> 16) as u16));
        self.extend_from_slice(&nibbles(n as u16));
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => dotted(self, address),
            IpAddr::V6(address) => grouped(self, address),
        }
    }

    fn short_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => dotted(self, address),
            IpAddr::V6(address) => drop(write!(Formatted(self), "{address}")),
        }
    }
}

/// The four hexadecimal digits of `n`.
const fn nibbles(n: u16) -> [u8; 4] {
    [
        HEX[(n >> 12) as usize],
        HEX[(n >> 8 & 15) as usize],
        HEX[(n >> 4 & 15) as usize],
        HEX[(n & 15) as usize],
    ]
}

fn dotted(out: &mut Vec<u8>, address: Ipv4Addr) {
    let mut text = [b'.'; 16];
    let mut len = 0;
    for octet in address.octets() {
        if octet >= 100 {
            text[len] = b'0' + octet / 100;
            len += 1;
        }
        if octet >= 10 {
            text[len] = b'0' + octet / 10 % 10;
            len += 1;
        }
        text[len] = b'0' + octet % 10;
        len += 2;
    }
    out.extend_from_slice(&text[..len - 1]);
}

fn grouped(out: &mut Vec<u8>, address: Ipv6Addr) {
    let mut text = [b':'; 40];
    for (group, segment) in text.chunks_exact_mut(5).zip(address.segments()) {
        group[..4].copy_from_slice(&nibbles(segment));
    }
    out.extend_from_slice(&text[..39]);
}

/// The way into the buffer for `core::fmt`, which cannot fail.
struct Formatted<'a>(&'a mut Vec<u8>);

impl Write for Formatted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.text(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn written(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimal_numbers_of_every_length_match_core_fmt() {
        let mut n: u64 = 1;
        for power in 0..20 {
            for n in [n - 1, n, n + 1, n.saturating_mul(9)] {
                assert_eq!(written(|out| out.decimal(n)), n.to_string(), "10^{power}");
            }
            n = n.saturating_mul(10);
        }
        assert_eq!(written(|out| out.decimal(u64::MAX)), u64::MAX.to_string());
    }

    #[test]
    fn every_octet_matches_core_fmt() {
        for octet in 0..=255 {
            let address = Ipv4Addr::new(octet, 0, 255 - octet, octet);
            assert_eq!(written(|out| dotted(out, address)), address.to_string());
        }
    }

    #[test]
    fn hexadecimal_keys_have_no_leading_zeros() {
        for n in [0, 1, 0xf, 0x10, 0x123, 0x1234, 0xffff] {
            assert_eq!(written(|out| out.hex(n)), alloc::format!("{n:x}"));
        }
        assert_eq!(written(|out| out.hex8(0x1f)), "0000001f");
    }

    #[test]
    fn a_number_in_fixed_width_keeps_its_last_digits() {
        assert_eq!(written(|out| out.digits(40_871, 6)), "040871");
        assert_eq!(written(|out| out.digits(1_234_567, 6)), "234567");
    }

    #[test]
    fn a_word_has_no_blanks() {
        assert_eq!(written(|out| out.word("a b\n\u{e9}")), "a_b_\u{e9}");
    }
}
