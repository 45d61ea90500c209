//! Names of labels: `connlabel.conf`, a number and a name a line.
//!
//! An entry has 128 bits, and the file says what they are called. Lines are `NUMBER NAME`; what follows `#`
//! is a remark. A number beyond 127, a name that was given before, and a line that is neither are passed
//! over, as the library of the tool does it. Source: the file that iptables' connlabel match reads.

use std::fs;
use std::io;
use std::path::Path;

use super::asked::LabelBits;
use super::options::{Opt, Order};
use super::say::{Failure, note, usage};

/// Where the file is if nothing else is said.
const USUAL: &str = "/etc/xtables/connlabel.conf";

/// The names, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelNames(Vec<(u8, String)>);

impl LabelNames {
    /// The names that an order needs. A file that cannot be read is said, and has no names.
    pub(super) fn of(order: &Order) -> LabelNames {
        let needs = order.given.any(&[Opt::Label, Opt::LabelAdd]) || !order.label_del.is_empty();
        let needs = needs || order.output.labels || order.given.has(Opt::LabelMap);
        if !needs {
            return LabelNames::default();
        }
        let path = order.label_map.as_deref().unwrap_or(Path::new(USUAL));
        LabelNames::read(path).unwrap_or_else(|error| {
            note(&format!(
                "{}: {error}: labels have no names",
                path.display()
            ));
            LabelNames::default()
        })
    }

    /// The bits of the labels that an order names.
    pub(super) fn bits(&self, order: &Order) -> Result<LabelBits, Failure> {
        let all = order.given.has(Opt::LabelDel) && order.label_del.is_empty();
        Ok(LabelBits {
            wanted: self.set(&order.labels)?,
            add: self.set(&order.label_add)?,
            del: if all {
                u128::MAX
            } else {
                self.set(&order.label_del)?
            },
        })
    }

    fn set(&self, names: &[String]) -> Result<u128, Failure> {
        names.iter().try_fold(0, |set, name| match self.bit(name) {
            Some(bit) => Ok(set | 1 << bit),
            None => usage(format!("unknown label '{name}'")),
        })
    }

    fn read(path: &Path) -> io::Result<LabelNames> {
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
    fn bit(&self, name: &str) -> Option<u8> {
        let mut named = self.0.iter().filter(|(_, n)| n == name);
        named.next().map(|(bit, _)| *bit)
    }

    /// Number and name of each.
    pub(super) fn pairs(&self) -> Vec<(u8, &str)> {
        self.0.iter().map(|(n, name)| (*n, name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::LabelNames;

    #[test]
    fn remarks_blank_lines_and_nonsense_are_passed_over() {
        let names = LabelNames::from_text(
            "# all\n\n0 first\n 7\tvoip # phones\n128 far\nx y\n9\n7 again\n",
        );
        assert_eq!(names.pairs(), [(0, "first"), (7, "voip")]);
        assert_eq!(names.bit("voip"), Some(7));
        assert_eq!(names.bit("far"), None);
    }
}
