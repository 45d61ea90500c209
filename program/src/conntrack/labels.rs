//! Names of labels: `connlabel.conf`, a number and a name a line.
//!
//! An entry has 128 bits, and the file says what they are called. Lines are `NUMBER NAME`; what follows `#`
//! is a remark. A number beyond 127, a name that was given before, and a line that is neither are passed
//! over, as the library of the tool does it. Source: the file that iptables' connlabel match reads.

use std::fs;
use std::io;
use std::path::Path;

/// Where the file is if nothing else is said.
pub(crate) const USUAL: &str = "/etc/xtables/connlabel.conf";

/// The names, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelNames(Vec<(u8, String)>);

impl LabelNames {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn read(path: &Path) -> io::Result<LabelNames> {
        let bytes = fs::read(path)?;
        Ok(LabelNames::from_text(&String::from_utf8_lossy(&bytes)))
    }

    fn from_text(text: &str) -> LabelNames {
        let mut names = LabelNames::default();
        for line in text.lines() {
            let plain = line.split('#').next().unwrap_or_default();
            let mut words = plain.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u8>().ok());
            if let (Some(number @ 0..128), Some(name)) = (number, words.next())
                && names.bit(name).is_none()
                && !names.0.iter().any(|(n, _)| *n == number)
            {
                names.0.push((number, name.to_owned()));
            }
        }
        names
    }

    /// The number that has this name.
    pub(crate) fn bit(&self, name: &str) -> Option<u8> {
        let mut named = self.0.iter().filter(|(_, n)| n == name);
        named.next().map(|(bit, _)| *bit)
    }

    /// Number and name of each.
    pub(crate) fn pairs(&self) -> Vec<(u8, &str)> {
        self.0.iter().map(|(n, name)| (*n, name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::LabelNames;

    #[test]
    fn remarks_blank_lines_and_nonsense_are_passed_over() {
        let names =
            LabelNames::from_text("# all\n\n0 first\n 7\tvoip # phones\n128 far\nx y\n9\n7 again\n");
        assert_eq!(names.pairs(), [(0, "first"), (7, "voip")]);
        assert_eq!(names.bit("voip"), Some(7));
        assert_eq!(names.bit("far"), None);
    }
}
