//! Which knob was probably meant by a name that is none.

use alloc::vec::Vec;

use super::Knob;

/// The longest name that is worth a guess, in bytes.
const LONGEST: usize = 80;

/// The knob whose name is fewest edits from `name`, if a third of its letters or fewer differ, or one.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let (_, leaf) = name.rsplit_once(['/', '.']).unwrap_or(("", name));
    let wanted = stem(leaf);
    if wanted.is_empty() || wanted.len() > LONGEST {
        return None;
    }
    let names = Knob::ALL.iter().map(|knob| knob.info().name);
    names
        .map(|name| (edits(wanted, stem(name)), name))
        .filter(|(edits, _)| *edits <= (wanted.len() / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// The part of a name that tells it from the others.
fn stem(name: &str) -> &str {
    let prefixes = ["nf_conntrack_", "ip_conntrack_"];
    let mut stems = prefixes
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix));
    stems.next().unwrap_or(name)
}

/// How many bytes have to be inserted, removed or replaced to make `b` of `a` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }

    #[test]
    fn a_name_like_no_other_gets_no_guess() {
        assert_eq!(nearest("nf_conntrack_mx"), Some("nf_conntrack_max"));
        assert_eq!(nearest("x"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest("kernel.hostname"), None);
        assert_eq!(nearest(&"x".repeat(1 << 20)), None);
    }
}
