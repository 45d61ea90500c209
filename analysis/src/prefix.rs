//! The few prefixes that explain most of the table.
//!
//! Hierarchical heavy hitters (Cormode, Korn, Muthukrishnan and Srivastava, 2003) name every prefix above
//! a share that is not explained by longer ones. With every bit a level, that names eight /27 where one
//! /24 is meant, or a /24 where one host is meant, depending on the share. Here the description is
//! the shortest one instead (Rissanen's principle): a flow costs as many bits as its address has behind
//! the prefix that it is put down to, a line costs `LINE_COSTS` bits for each flow of the table. A line
//! is worth being written if it saves more than it costs. So a host is named if it has some 3 % of the
//! flows, a /24 evenly filled is one line, and addresses from everywhere are none.
//!
//! What no line explains is put down to one for all addresses, if it is more than nothing much.
//!
//! The shortest description is found exactly, by dynamic programming over the tree of prefixes. Nodes
//! with too few flows to pay for a line are not entered, so there are at most some thousands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::picked::Picked;
use crate::rows::Side;

/// Bits that a line costs, for each flow and each 32 bits of address length.
const LINE_COSTS: f64 = 1.0;

/// The share of all flows from which the rest that no line explains is a line itself.
const REST: f64 = 0.01;

/// No prefix shorter than this is a line (IPv4, IPv6).
const SHORTEST: [u8; 2] = [8, 32];

/// A prefix and the flows within it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PrefixCount {
    /// The first address.
    pub ip: IpAddr,
    /// Its length in bits.
    pub length: u8,
    /// Flows within it.
    pub flows: u64,
    /// Flows within it that no longer prefix of the list explains.
    pub own: u64,
}

/// The prefixes of one side that explain most, most flows first. Addresses of which the first part is
/// hidden are left out, and where a later part is hidden, no prefix reaches it.
pub(crate) fn explain(rows: &Picked<'_>, side: Side, most: usize) -> Vec<PrefixCount> {
    let (mut v4, mut v6): (Vec<u32>, Vec<u128>) = (Vec::new(), Vec::new());
    let mut deepest = [u32::WIDTH, u128::WIDTH];
    for row in rows.iter() {
        let host = row.host(side);
        let family = usize::from(host.ip.is_ipv6());
        if host.hidden != 0 {
            if host.visible_bits() < SHORTEST[family] {
                continue;
            }
            deepest[family] = deepest[family].min(host.visible_bits());
        }
        match host.ip {
            IpAddr::V4(ip) => v4.push(ip.to_bits()),
            IpAddr::V6(ip) => v6.push(ip.to_bits()),
        }
    }
    v4.sort_unstable();
    v6.sort_unstable();
    let total = v4.len() + v6.len();
    let mut lines = Vec::new();
    Tree::draw(&v4, deepest[0], total, &mut lines);
    Tree::draw(&v6, deepest[1], total, &mut lines);
    first(lines, most)
}

/// As [`explain`], of IPv4 addresses that are in order.
pub(crate) fn explain_v4(sorted: &[u32], most: usize) -> Vec<PrefixCount> {
    let mut lines = Vec::new();
    Tree::draw(sorted, u32::WIDTH, sorted.len(), &mut lines);
    first(lines, most)
}

fn first(mut lines: Vec<PrefixCount>, most: usize) -> Vec<PrefixCount> {
    lines.sort_by_key(|line| (std::cmp::Reverse(line.own), line.ip, line.length));
    lines.truncate(most);
    lines
}

/// An address as a number.
trait Bits: Copy + Ord {
    const WIDTH: u8;
    const SHORTEST: u8;

    /// The n-th bit from the left.
    fn bit(self, n: u8) -> bool;

    /// The address of which only the first bits are kept.
    fn prefix(self, length: u8) -> IpAddr;
}

impl Bits for u32 {
    const WIDTH: u8 = 32;
    const SHORTEST: u8 = SHORTEST[0];

    fn bit(self, n: u8) -> bool {
        self >> (31 - n) & 1 != 0
    }

    fn prefix(self, length: u8) -> IpAddr {
        let mask = u32::MAX.checked_shl(u32::from(32 - length)).unwrap_or(0);
        IpAddr::V4(Ipv4Addr::from_bits(self & mask))
    }
}

impl Bits for u128 {
    const WIDTH: u8 = 128;
    const SHORTEST: u8 = SHORTEST[1];

    fn bit(self, n: u8) -> bool {
        self >> (127 - n) & 1 != 0
    }

    fn prefix(self, length: u8) -> IpAddr {
        let mask = u128::MAX.checked_shl(u32::from(128 - length)).unwrap_or(0);
        IpAddr::V6(Ipv6Addr::from_bits(self & mask))
    }
}

/// Sorted addresses. A node is a range of them and a length.
struct Tree<'a, A> {
    sorted: &'a [A],
    deepest: u8,
    line_costs: f64,
}

/// The shortest description of a node, for each length of the line that is above it.
struct Best {
    /// Cost in bits, by the length of the line above.
    costs: Vec<f64>,
    /// Whether a line for the node itself is worth it, by the length of the line above.
    own_line: Vec<bool>,
    children: Option<Box<[Best; 2]>>,
    range: (usize, usize),
    length: u8,
}

impl<'a, A: Bits> Tree<'a, A> {
    /// Writes down the lines of some addresses, of `total` in all.
    fn draw(sorted: &'a [A], deepest: u8, total: usize, lines: &mut Vec<PrefixCount>) {
        let line_costs = LINE_COSTS * total as f64 * f64::from(A::WIDTH / u32::WIDTH);
        let tree = Tree {
            sorted,
            deepest,
            line_costs,
        };
        let all = tree.sorted.len();
        if all == 0 {
            return;
        }
        let best = tree.best((0, all), 0);
        let own = all as u64 - tree.collect(&best, 0, lines);
        if own as f64 > REST * all as f64 {
            let ip = tree.address(&best);
            lines.push(PrefixCount {
                ip,
                length: 0,
                flows: all as u64,
                own,
            });
        }
    }

    fn best(&self, range: (usize, usize), length: u8) -> Best {
        let flows = (range.1 - range.0) as f64;
        let bits_below = |above: u8| flows * f64::from(self.deepest - above);
        let mut best = Best {
            costs: (0..=length).map(bits_below).collect(),
            own_line: vec![false; usize::from(length) + 1],
            children: None,
            range,
            length,
        };
        // Even a line for a single address would save no more than this.
        if bits_below(0) <= self.line_costs {
            return best;
        }
        let mut within = bits_below(length);
        if length < self.deepest {
            let children = self
                .split(range, length)
                .map(|half| self.best(half, length + 1));
            for (above, cost) in best.costs.iter_mut().enumerate() {
                *cost = children.iter().map(|child| child.costs[above]).sum();
            }
            within = best.costs[usize::from(length)];
            best.children = Some(Box::new(children));
        }
        if length >= A::SHORTEST {
            for (above, cost) in best.costs.iter_mut().enumerate().take(usize::from(length)) {
                let with_line = self.line_costs + within;
                best.own_line[above] = with_line <= *cost;
                *cost = cost.min(with_line);
            }
        }
        best
    }

    /// The two halves of a node: bit 0 and bit 1 behind its prefix.
    fn split(&self, (start, end): (usize, usize), length: u8) -> [(usize, usize); 2] {
        let column = &self.sorted[start..end];
        let middle = start + column.partition_point(|address| !address.bit(length));
        [(start, middle), (middle, end)]
    }

    /// Writes down the lines of the best description. => the flows that they explain.
    fn collect(&self, best: &Best, above: u8, lines: &mut Vec<PrefixCount>) -> u64 {
        let flows = (best.range.1 - best.range.0) as u64;
        let is_line = best.own_line[usize::from(above)];
        let above = if is_line { best.length } else { above };
        let mut explained = 0;
        for child in best.children.iter().flat_map(|children| children.iter()) {
            explained += self.collect(child, above, lines);
        }
        if !is_line {
            return explained;
        }
        lines.push(PrefixCount {
            ip: self.address(best),
            length: best.length,
            flows,
            own: flows - explained,
        });
        flows
    }

    fn address(&self, best: &Best) -> IpAddr {
        self.sorted[best.range.0].prefix(best.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Flow;
    use crate::rows::Rows;
    use ip_conntrack::Protocol;

    fn rows(sources: impl Iterator<Item = u32>) -> Rows {
        let mut rows = Rows::default();
        for source in sources {
            let src = IpAddr::V4(Ipv4Addr::from_bits(source)).into();
            let dst = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
            rows.push(&Flow::new(src, dst, Protocol::UDP, 1, 2));
        }
        rows
    }

    fn explained(sources: impl Iterator<Item = u32>) -> Vec<(String, u64)> {
        let lines = explain(&Picked::all(&rows(sources)), Side::Source, 10);
        let name = |line: &PrefixCount| format!("{}/{}", line.ip, line.length);
        lines.iter().map(|line| (name(line), line.flows)).collect()
    }

    #[test]
    fn a_network_evenly_filled_is_one_line() {
        let net = 0xcb00_7100;
        let lines = explained((0..2560).map(|n| net + n % 256));
        assert_eq!(lines, [("203.0.113.0/24".to_owned(), 2560)]);
    }

    #[test]
    fn a_busy_host_is_a_line_among_addresses_from_everywhere() {
        let anywhere = (0..9000_u32).map(|n| n.wrapping_mul(2_654_435_761));
        let host = std::iter::repeat_n(0x0a00_0001, 1000);
        let lines = explained(anywhere.chain(host));
        assert_eq!(lines[1], ("10.0.0.1/32".to_owned(), 1000));
        assert_eq!(lines[0], ("0.0.0.0/0".to_owned(), 10_000));
    }

    #[test]
    fn a_host_within_a_filled_network_is_a_line_of_its_own() {
        let net = (0..2000).map(|n| 0xc633_6400 + n % 256);
        let lines = explained(net.chain(std::iter::repeat_n(0xc633_6407, 2000)));
        let host = ("198.51.100.7/32".to_owned(), 2008);
        assert!(lines.contains(&host), "{lines:?}");
        assert!(
            lines.contains(&("198.51.100.0/24".to_owned(), 4000)),
            "{lines:?}"
        );
    }

    #[test]
    fn addresses_from_everywhere_are_one_line() {
        let anywhere = (0..10_000_u32).map(|n| n.wrapping_mul(2_654_435_761));
        assert_eq!(explained(anywhere), [("0.0.0.0/0".to_owned(), 10_000)]);
    }

    #[test]
    fn hidden_first_bytes_have_no_prefix() {
        let mut rows = Rows::default();
        let dst = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
        let src = crate::flow::Host {
            ip: IpAddr::V4(Ipv4Addr::new(0, 0, 1, 2)),
            hidden: 3,
        };
        rows.push(&Flow::new(src, dst, Protocol::UDP, 1, 2));
        assert_eq!(explain(&Picked::all(&rows), Side::Source, 10), []);
        assert_eq!(src.to_string(), "xxx.xxx.1.2");
    }
}
