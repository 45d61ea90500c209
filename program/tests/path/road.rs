//! A client, two routers and a server in a row. The daemon runs on the first router, the second one is Linux's.
//!
//! ```text
//! client 10.1.0.2, .3 ─ 10.1.0.1 ours 10.2.0.1 ─ 10.2.0.2 theirs 10.3.0.1 ─ server 10.3.0.2 … .6
//! ```
//!
//! The same with fd01::, fd02:: and fd03::.

use crate::space::Space;

/// The server's first address.
pub(crate) const SERVER: &str = "10.3.0.2";
/// Nobody has it.
pub(crate) const NOBODY: &str = "10.3.0.99";

pub(crate) struct Road {
    pub(crate) client: Space,
    pub(crate) ours: Space,
    pub(crate) theirs: Space,
    pub(crate) server: Space,
}

impl Road {
    /// `None` where the test may be passed over.
    pub(crate) fn new() -> Option<Road> {
        let road = Road {
            client: Space::new()?,
            ours: Space::new()?,
            theirs: Space::new()?,
            server: Space::new()?,
        };
        let Road {
            client,
            ours,
            theirs,
            server,
        } = &road;
        lay(client, "c0", ours, "r0", 1);
        lay(ours, "r1", theirs, "k0", 2);
        lay(server, "s0", theirs, "k1", 3);
        for (space, net, through) in [(client, "default", "1"), (server, "default", "3")] {
            space.ip(&format!("route add {net} via 10.{through}.0.1"));
            space.ip(&format!("-6 route add {net} via fd0{through}::1"));
        }
        ours.ip("route add 10.3.0.0/24 via 10.2.0.2");
        ours.ip("-6 route add fd03::/64 via fd02::2");
        theirs.ip("route add 10.1.0.0/24 via 10.2.0.1");
        theirs.ip("-6 route add fd01::/64 via fd02::1");
        for number in 3..7 {
            server.ip(&format!("addr add 10.3.0.{number}/24 dev s0"));
        }
        client.ip("addr add 10.1.0.3/24 dev c0");
        for router in [ours, theirs] {
            let forward = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
            router.sysctl(&forward);
        }
        // Tracking goes on as long as a rule asks for it.
        let rule = "table inet t { chain f { type filter hook forward priority 0; ct state invalid counter; }; }";
        theirs.must("nft", &[rule]);
        theirs.sysctl(&["net.netfilter.nf_conntrack_acct=1"]);
        Some(road)
    }

    /// The rules of the documentation: nothing is tracked by the kernel, everything goes through the queue, and
    /// what the mark allows is forwarded. Connections are opened from the client's side only.
    pub(crate) fn rules(&self, queue: &str) {
        for iptables in ["iptables", "ip6tables"] {
            for rule in [
                "-t raw -A PREROUTING -j CT --notrack",
                "-t raw -A OUTPUT -j CT --notrack",
                &format!("-t mangle -A PREROUTING ! -i lo -j NFQUEUE {queue}"),
                &format!("-t mangle -A OUTPUT -j NFQUEUE {queue}"),
                "-A FORWARD -m mark --mark 0/0x70000000 -j ACCEPT",
                "-A FORWARD -m mark --mark 0x20000000/0x70000000 -j ACCEPT",
                "-A FORWARD -m mark --mark 0x30000000/0x70000000 -j ACCEPT",
                "-A FORWARD -i r0 -m mark --mark 0x10000000/0x70000000 -j ACCEPT",
                "-P FORWARD DROP",
            ] {
                let words: Vec<_> = ["-w"].into_iter().chain(rule.split(' ')).collect();
                self.ours.must(iptables, &words);
            }
        }
    }

    /// Makes a wire of our router: the client's gateway is the next one, and what comes in at `r0` and `r1` goes nowhere
    /// by itself.
    pub(crate) fn wired(&self) {
        let Road {
            client,
            ours,
            theirs,
            ..
        } = self;
        for (space, device) in [(client, "c0"), (ours, "r0"), (ours, "r1"), (theirs, "k0")] {
            // What is on the wire is what was counted: whole frames, with their checksums.
            let offloads = "tx off gso off tso off gro off rxvlan off txvlan off";
            let words: Vec<_> = ["-K", device]
                .into_iter()
                .chain(offloads.split(' '))
                .collect();
            space.must("ethtool", &words);
        }
        self.packet_by_packet();
        for (space, device) in [(ours, "r0"), (ours, "r1"), (theirs, "k0")] {
            space.ip(&format!("addr flush dev {device}"));
        }
        theirs.ip("addr add 10.1.0.1/24 dev k0");
        theirs.ip("addr add fe80::1/64 dev k0 nodad");
        theirs.ip("-6 addr add fd01::1/64 dev k0 nodad");
    }

    /// Has hosts send packets as they are on a wire: Linux counts what it keeps together as one.
    pub(crate) fn packet_by_packet(&self) {
        self.client.ip("link set c0 gso_max_segs 1");
        self.server.ip("link set s0 gso_max_segs 1");
    }

    /// Routes what is forwarded into a device, and what comes out of that on its way.
    pub(crate) fn through(&self, device: &str) {
        let filter = format!("net.ipv4.conf.{device}.rp_filter=0");
        self.ours
            .sysctl(&["net.ipv4.conf.all.rp_filter=0", &filter]);
        for family in ["-4", "-6"] {
            self.ours.ip(&format!(
                "{family} route add default dev {device} table 100"
            ));
            for from in ["r0", "r1"] {
                self.ours
                    .ip(&format!("{family} rule add iif {from} lookup 100"));
            }
        }
    }

    /// Whether the client reaches the server.
    pub(crate) fn is_open(&self) -> bool {
        self.client.run("ping", &["-c1", "-W1", SERVER]).status == 0
    }
}

/// Lays a cable. Addresses end in 2 and 1; between the routers, in 1 and 2.
fn lay(one: &Space, device: &str, other: &Space, far: &str, net: u8) {
    one.ip(&format!(
        "link add {device} type veth peer name {far} netns {}",
        other.name()
    ));
    let ends = if net == 2 { [1, 2] } else { [2, 1] };
    for ((space, device), end) in [(one, device), (other, far)].into_iter().zip(ends) {
        space.ip(&format!("link set {device} up"));
        space.ip(&format!("addr add 10.{net}.0.{end}/24 dev {device}"));
        space.ip(&format!(
            "-6 addr add fd0{net}::{end}/64 dev {device} nodad"
        ));
    }
}
