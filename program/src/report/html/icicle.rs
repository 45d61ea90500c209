//! An icicle of prefixes: each is a box as wide as its entries, longer ones hang below those that hold them.

use std::net::IpAddr;

use ip_conntrack_analysis::report::PrefixLine;
use ip_conntrack_analysis::summary::grouped;

use super::{escaped, put};

const WIDTH: f64 = 900.0;
const ROW: f64 = 34.0;

/// A prefix with those within it.
struct Node<'a> {
    line: &'a PrefixLine,
    range: Range,
    children: Vec<Node<'a>>,
}

#[derive(Clone, Copy)]
struct Range {
    is_v6: bool,
    first: u128,
    length: u32,
}

impl Range {
    /// Reads `203.0.113.0/24`.
    fn of(prefix: &str) -> Option<Range> {
        let (ip, length) = prefix.split_once('/')?;
        let length: u32 = length.parse().ok()?;
        let (is_v6, first) = match ip.parse().ok()? {
            IpAddr::V4(ip) => (false, u128::from(ip.to_bits()) << 96),
            IpAddr::V6(ip) => (true, ip.to_bits()),
        };
        Some(Range {
            is_v6,
            first,
            length,
        })
    }

    fn holds(self, other: Range) -> bool {
        let shift = 128 - self.length.min(128);
        let same = (self.first ^ other.first).checked_shr(shift).unwrap_or(0) == 0;
        self.is_v6 == other.is_v6 && self.length <= other.length && same
    }
}

/// Draws it; `total` entries are the whole width.
pub(super) fn draw(out: &mut String, lines: &[PrefixLine], total: u64) {
    let mut known: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((Range::of(&line.prefix)?, line)))
        .collect();
    known.sort_by_key(|(range, line)| (range.length, std::cmp::Reverse(line.entries)));
    let mut roots: Vec<Node<'_>> = Vec::new();
    for (range, line) in known {
        insert(
            &mut roots,
            Node {
                line,
                range,
                children: Vec::new(),
            },
        );
    }
    if roots.is_empty() || total == 0 {
        put(out, format_args!("<p>No prefix explains much of it.</p>\n"));
        return;
    }
    let height = depth(&roots) as f64 * ROW;
    put(
        out,
        format_args!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"prefixes of sources\">\n"
        ),
    );
    boxes(out, &roots, 0.0, 0, WIDTH / total as f64);
    put(out, format_args!("</svg>\n"));
}

fn insert<'a>(nodes: &mut Vec<Node<'a>>, node: Node<'a>) {
    match nodes
        .iter_mut()
        .find(|holder| holder.range.holds(node.range))
    {
        Some(holder) => insert(&mut holder.children, node),
        None => nodes.push(node),
    }
}

fn depth(nodes: &[Node<'_>]) -> usize {
    nodes
        .iter()
        .map(|node| 1 + depth(&node.children))
        .max()
        .unwrap_or(0)
}

fn boxes(out: &mut String, nodes: &[Node<'_>], mut x: f64, level: usize, scale: f64) {
    const COLOURS: [&str; 5] = ["a", "c", "d", "e", "b"];
    for node in nodes {
        let width = node.line.entries as f64 * scale;
        let (y, name) = (level as f64 * ROW, escaped(&node.line.prefix));
        let count = grouped(node.line.entries);
        // A picture within the picture, so that a name that is too long is cut off.
        put(
            out,
            format_args!(
                "<svg class=\"box\" x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"><title>{name}: {count} entries</title>\n\
                 <rect width=\"100%\" height=\"100%\" rx=\"2\" fill=\"var(--{})\" fill-opacity=\".45\"/>\n",
                (width - 1.0).max(0.5),
                ROW - 2.0,
                COLOURS[level % COLOURS.len()]
            ),
        );
        put(
            out,
            format_args!("<text x=\"5\" y=\"21\">{name} {count}</text>\n</svg>\n"),
        );
        boxes(out, &node.children, x, level + 1, scale);
        x += width;
    }
}
