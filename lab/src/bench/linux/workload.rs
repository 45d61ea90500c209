//! The workloads: which packets there are, before the measurement and in it.
//!
//! They are the same for the kernel, which is fed by a program inside it, and for the engine, which is
//! fed by [`frame`](super::frame) and [`Workload::stream`].

use super::frames::Kind;
use crate::rng::Rng;

/// The traffic that is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Acknowledgements both ways, of any connection, all of which are ESTABLISHED and ASSURED.
    Established,
    /// UDP both ways, of any connection, all of which have seen both.
    Udp,
    /// Every packet is the SYN of a new connection, beginning with an empty table.
    New,
    /// The same with UDP.
    NewUdp,
    /// SYNs of new connections on a full table, nine of ten entries of which are ASSURED.
    Flood,
}

impl Workload {
    /// The kinds of packets of the traffic: each as often as the others, of any flow, or, if every packet
    /// opens a connection, the one kind.
    pub const fn traffic(self) -> &'static [Kind] {
        match self {
            Workload::Established => &[Kind::Ack, Kind::AckBack],
            Workload::Udp => &[Kind::Udp, Kind::UdpBack],
            Workload::New | Workload::Flood => &[Kind::Syn],
            Workload::NewUdp => &[Kind::Udp],
        }
    }

    /// Which packets come before the traffic: a kind, and of how many flows from the first.
    pub fn opening(self, connections: u32) -> Vec<(Kind, u32)> {
        let handshake = [Kind::Syn, Kind::SynAck, Kind::Ack];
        match self {
            Workload::Established => handshake.map(|kind| (kind, connections)).into(),
            Workload::Udp => [Kind::Udp, Kind::UdpBack]
                .map(|kind| (kind, connections))
                .into(),
            Workload::New | Workload::NewUdp => Vec::new(),
            Workload::Flood => {
                let assured = self.assured(connections);
                let [syn, syn_ack, ack] = handshake;
                vec![(syn, connections), (syn_ack, assured), (ack, assured)]
            }
        }
    }

    /// How many connections are ASSURED when the traffic begins.
    pub fn assured(self, connections: u32) -> u32 {
        match self {
            Workload::Established => connections,
            Workload::Flood => (u64::from(connections) * 9 / 10) as u32,
            Workload::Udp | Workload::New | Workload::NewUdp => 0,
        }
    }

    /// Whether every packet opens a connection.
    pub const fn opens(self) -> bool {
        matches!(self, Workload::New | Workload::NewUdp | Workload::Flood)
    }

    /// The traffic, without end: what a packet is, and of which flow. What the kernel is fed is random, too,
    /// but not the same.
    pub fn stream(self, connections: u32, seed: u64) -> impl Iterator<Item = (Kind, u32)> {
        let mut rng = Rng::new(seed);
        let mut next = connections;
        std::iter::repeat_with(move || {
            if self.opens() {
                next = next.wrapping_add(1);
                return (self.traffic()[0], next.wrapping_sub(1));
            }
            let flow = rng.below(connections.max(1).into()) as u32;
            (rng.pick(self.traffic()), flow)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_known_connections_has_all_of_them_both_ways() {
        let mut seen = std::collections::HashSet::new();
        seen.extend(Workload::Established.stream(10, 1).take(1000));
        assert_eq!(seen.len(), 20);
        assert!(seen.iter().all(|(_, flow)| *flow < 10));
    }

    #[test]
    fn a_stream_of_new_connections_has_none_twice_and_none_that_was_opened() {
        let flows: Vec<_> = Workload::Flood.stream(10, 1).take(3).collect();
        assert_eq!(flows, [(Kind::Syn, 10), (Kind::Syn, 11), (Kind::Syn, 12)]);
    }

    #[test]
    fn nine_of_ten_connections_of_a_flooded_table_are_assured() {
        let opening = Workload::Flood.opening(1_000_000);
        let expected = [
            (Kind::Syn, 1_000_000),
            (Kind::SynAck, 900_000),
            (Kind::Ack, 900_000),
        ];
        assert_eq!(opening, expected);
    }
}
