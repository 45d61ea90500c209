//! How a number is written to a file of `/proc/sys`, found out by writing to those of Linux 6.18.
//!
//! Blanks, tabs and newlines may stand before it; `0x` makes it hexadecimal and a leading `0` octal. It ends
//! with the text or with a blank; what comes behind that does not matter. A sign, where there may be one, is
//! `-`, without a blank behind it.

use ip_conntrack::Knob;
use ip_conntrack::config::Unit;

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// The number that is written to a knob; `None` is EINVAL.
pub(super) fn written(knob: Knob, bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let word = text.trim_start_matches(BLANKS).split(BLANKS).next()?;
    let is_signed = knob.info().unit == Unit::Seconds;
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) if is_signed => (-1, digits),
        _ => (1, word),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..)?, 16),
        [b'0', _, ..] => (digits.get(1..)?, 8),
        _ => (digits, 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(digits, radix)
        .ok()
        .map(|number| sign * number)
}

#[cfg(test)]
mod tests {
    use ip_conntrack::Knob;

    use super::written;

    #[test]
    fn numbers_are_read_as_linux_reads_them() {
        let udp = |text: &[u8]| written(Knob::UdpTimeout, text);
        for text in [
            "1\n", "1", "  1\n", "\t1", "\n1\n", "0x1\n", "1 0\n", "1 x\n", "1\n\n", "1\t0", "01",
        ] {
            assert_eq!(udp(text.as_bytes()), Some(1), "{text:?}");
        }
        assert_eq!(udp(b"010\n"), Some(8));
        assert_eq!(udp(b"-1\n"), Some(-1));
        assert_eq!(udp(b"00\n"), Some(0));
        for text in [
            "\n",
            " ",
            "1x\n",
            "+1\n",
            "1\0",
            "1\0x",
            "- 1",
            "0.5",
            "x",
            "99999999999999999999999\n",
            "--1",
            "0x",
            "0x-1",
        ] {
            assert_eq!(udp(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(written(Knob::Acct, b"-0\n"), None);
        assert_eq!(udp(&[0xff, 0xfe]), None);
    }
}
