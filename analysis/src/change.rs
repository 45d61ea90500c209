//! What changed between two looks at a table: which entries are new, which have ended.

use crate::flow::Flow;
use crate::report::Traffic;
use crate::rows::hash;

/// The entries of one look, by number: 8 bytes each.
#[derive(Clone, Debug, Default)]
pub struct Look {
    keys: Vec<u64>,
}

impl Look {
    /// Notes an entry.
    pub fn push(&mut self, flow: &Flow) {
        self.keys.push(hash(&(
            flow.src,
            flow.dst,
            flow.protocol,
            flow.sport,
            flow.dport,
        )));
    }

    /// What changed until a second look, `seconds` later. Connections that began and ended in between are
    /// in neither and do not count.
    pub fn until(mut self, mut later: Look, seconds: f64) -> Traffic {
        self.keys.sort_unstable();
        later.keys.sort_unstable();
        let stayed = common(&self.keys, &later.keys);
        let new = later.keys.len() as u64 - stayed;
        let ended = self.keys.len() as u64 - stayed;
        let rate = |count: u64| count as f64 / seconds.max(1e-3);
        Traffic {
            seconds,
            new,
            ended,
            new_per_second: rate(new),
            ended_per_second: rate(ended),
            ..Traffic::default()
        }
    }
}

/// How many numbers two sorted lists have in common.
fn common(a: &[u64], b: &[u64]) -> u64 {
    let (mut a, mut b, mut count) = (a, b, 0);
    while let ([x, ..], [y, ..]) = (a, b) {
        count += u64::from(x == y);
        // Both go on where they are equal.
        a = &a[usize::from(x <= y)..];
        b = &b[usize::from(y <= x)..];
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use ip_conntrack::Protocol;
    use std::net::IpAddr;

    fn look(ports: std::ops::Range<u16>) -> Look {
        let mut look = Look::default();
        let host = IpAddr::from([10, 0, 0, 1]).into();
        for port in ports {
            look.push(&Flow::new(host, host, Protocol::TCP, port, 80));
        }
        look
    }

    #[test]
    fn what_is_in_one_only_is_new_or_has_ended() {
        let traffic = look(0..100).until(look(30..250), 10.0);
        assert_eq!((traffic.new, traffic.ended), (150, 30));
        assert_eq!(
            (traffic.new_per_second, traffic.ended_per_second),
            (15.0, 3.0)
        );
    }
}
