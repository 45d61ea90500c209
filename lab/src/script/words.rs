//! The words of a line: numbers, and `key=value`.

use crate::craft::Sum;

/// A decimal or hexadecimal number that fits.
pub(super) fn parse_number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.map_err(|_| format!("{text}: no number"))?;
    T::try_from(number).map_err(|_| format!("{text}: too large"))
}

/// Two hexadecimal digits a byte.
pub(super) fn parse_bytes(text: &str) -> Result<Vec<u8>, String> {
    let byte = |at| {
        text.get(at..at + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.ok_or(format!("{text}: no hexadecimal bytes"))
}

/// `key=value` words, and words without a value.
pub(super) struct Fields<'a>(pub(super) Vec<&'a str>);

impl<'a> Fields<'a> {
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let mut values = self.0.iter().filter_map(|word| word.split_once('='));
        values
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    pub(super) fn number<T: TryFrom<u64>>(&self, key: &str) -> Result<Option<T>, String> {
        self.text(key).map(parse_number).transpose()
    }

    pub(super) fn or<T: TryFrom<u64>>(&self, key: &str, default: T) -> Result<T, String> {
        Ok(self.number(key)?.unwrap_or(default))
    }

    pub(super) fn sum(&self) -> Result<Sum, String> {
        match self.text("sum") {
            None | Some("right") => Ok(Sum::Right),
            Some("wrong") => Ok(Sum::Wrong),
            Some("none") => Ok(Sum::None),
            Some(other) => Err(format!("sum={other}: right, wrong or none")),
        }
    }

    /// Takes out what any packet may have.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a str> {
        let value = self.text(key)?;
        self.0
            .retain(|word| word.split_once('=').is_none_or(|(name, _)| name != key));
        Some(value)
    }

    pub(super) fn check(&self, known: &[&str]) -> Result<(), String> {
        let name = |word: &&&str| word.split('=').next().unwrap_or_default().to_owned();
        let unknown = |word: &&&str| !known.contains(&name(word).as_str());
        match self.0.iter().find(unknown) {
            Some(word) => Err(format!("{word}: not understood here")),
            None => Ok(()),
        }
    }
}
