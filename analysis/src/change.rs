//! What changed between two looks at a table: which entries are new, which have ended, and in which state.

use std::collections::BTreeMap;

use ip_conntrack::{Protocol, ProtocolState};
use serde::Serialize;

use crate::flow::Flow;
use crate::report::Traffic;
use crate::rows::hash;

/// A protocol and a state of it, if it has any.
type Kind = (Protocol, Option<ProtocolState>);

/// The entries of one look, by number: 8 bytes each.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// A hash of 56 bits, and below it the kind's place.
    keys: Vec<u64>,
    /// At most [`OTHERS`].
    kinds: Vec<Kind>,
}

/// The place of kinds for which there is none.
const OTHERS: usize = 255;

/// What came and went in a state. Protocols without a name are one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct StateTraffic {
    /// The protocol's name.
    pub protocol: &'static str,
    /// The state, if the protocol has any.
    pub state: Option<&'static str>,
    /// Entries that began since the first look, and were in that state at the second.
    pub new: u64,
    /// Entries that were in that state at the first look, and ended until the second.
    pub ended: u64,
}

impl Look {
    /// Notes an entry.
    pub fn push(&mut self, flow: &Flow) {
        let tuple = (flow.src, flow.dst, flow.protocol, flow.sport, flow.dport);
        let kind = self.place((flow.protocol, flow.state)) as u64;
        self.keys.push(hash(&tuple) << 8 | kind);
    }

    fn place(&mut self, kind: Kind) -> usize {
        let known = self.kinds.iter().position(|known| *known == kind);
        known.unwrap_or_else(|| match self.kinds.len() {
            OTHERS => OTHERS,
            free => {
                self.kinds.push(kind);
                free
            }
        })
    }

    fn kind(&self, key: u64) -> Option<Kind> {
        self.kinds.get((key & 0xff) as usize).copied()
    }

    /// What changed until a second look, `seconds` later. Connections that began and ended in between are
    /// in neither and do not count.
    pub fn until(mut self, mut later: Look, seconds: f64) -> Traffic {
        self.keys.sort_unstable();
        later.keys.sort_unstable();
        let (mut new, mut ended) = (0, 0);
        let mut by_kind: BTreeMap<_, [u64; 2]> = BTreeMap::new();
        let mut count = |kind: Option<Kind>, n: usize| {
            if let Some((protocol, state)) = kind {
                let name = state.map(ProtocolState::name);
                by_kind.entry((protocol.name(), name)).or_default()[n] += 1;
            }
        };
        differences(&self.keys, &later.keys, |difference| match difference {
            Only::First(key) => {
                ended += 1;
                count(self.kind(key), 1);
            }
            Only::Second(key) => {
                new += 1;
                count(later.kind(key), 0);
            }
        });
        let by_state = by_kind.into_iter();
        let rate = |count: u64| count as f64 / seconds.max(1e-3);
        Traffic {
            seconds,
            new,
            ended,
            new_per_second: rate(new),
            ended_per_second: rate(ended),
            by_state: by_state
                .map(|((protocol, state), [new, ended])| StateTraffic {
                    protocol,
                    state,
                    new,
                    ended,
                })
                .collect(),
            ..Traffic::default()
        }
    }
}

/// A key that only one of two lists has.
enum Only {
    First(u64),
    Second(u64),
}

/// Tells which keys of two sorted lists are in one only. Their lowest byte does not count.
fn differences(first: &[u64], second: &[u64], mut tell: impl FnMut(Only)) {
    let (mut first, mut second) = (first, second);
    loop {
        match (first, second) {
            ([x, rest @ ..], [y, others @ ..]) if x >> 8 == y >> 8 => {
                (first, second) = (rest, others);
            }
            ([x, rest @ ..], [y, ..]) if x < y => {
                tell(Only::First(*x));
                first = rest;
            }
            ([x, rest @ ..], []) => {
                tell(Only::First(*x));
                first = rest;
            }
            (_, [y, others @ ..]) => {
                tell(Only::Second(*y));
                second = others;
            }
            ([], []) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ip_conntrack::TcpState;
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
        let by_state: Vec<_> = traffic
            .by_state
            .iter()
            .map(|line| (line.protocol, line.new, line.ended))
            .collect();
        assert_eq!(by_state, [("tcp", 150, 30)]);
        assert_eq!(
            (traffic.new_per_second, traffic.ended_per_second),
            (15.0, 3.0)
        );
    }

    #[test]
    fn protocols_without_a_name_are_told_in_one_line() {
        let host = IpAddr::from([10, 0, 0, 1]).into();
        let mut look = Look::default();
        for protocol in [50, 89, 103] {
            look.push(&Flow::new(host, host, Protocol(protocol), 0, 0));
        }
        let [begun] = Look::default().until(look.clone(), 1.0).by_state[..] else {
            panic!("not one line");
        };
        assert_eq!((begun.protocol, begun.new, begun.ended), ("unknown", 3, 0));
        let ended = look.until(Look::default(), 1.0).by_state;
        assert_eq!((ended.len(), ended[0].new, ended[0].ended), (1, 0, 3));
    }

    #[test]
    fn an_entry_that_changed_its_state_is_the_same_one() {
        let host = IpAddr::from([10, 0, 0, 1]).into();
        let in_state = |state| {
            let mut look = Look::default();
            look.push(&Flow {
                state: Some(ProtocolState::Tcp(state)),
                ..Flow::new(host, host, Protocol::TCP, 1, 80)
            });
            look
        };
        let (first, second) = (in_state(TcpState::SynSent), in_state(TcpState::Established));
        let traffic = first.clone().until(second, 1.0);
        assert_eq!((traffic.new, traffic.ended), (0, 0));
        let ended = first.until(Look::default(), 1.0).by_state;
        assert_eq!((ended[0].state, ended[0].ended), (Some("SYN_SENT"), 1));
    }
}
