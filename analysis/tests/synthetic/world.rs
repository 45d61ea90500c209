//! Flows of one kind or another, made from a fixed sequence of numbers.

use std::net::{IpAddr, Ipv4Addr};

use ip_conntrack::{Protocol, ProtocolState, TcpState};
use ip_conntrack_analysis::classify::Scene;
use ip_conntrack_analysis::{Census, Class, Finding, Flow, Host, Origin, classify};

/// A table that is being made up.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) table: Census,
    pub(crate) strays: Census,
    state: u64,
    /// Whether listings have counters.
    pub(crate) uncounted: bool,
    pub(crate) seconds: Option<f64>,
    pub(crate) fill: Option<f64>,
}

pub(crate) const SERVER: [u8; 4] = [198, 51, 100, 80];

impl World {
    pub(crate) fn new() -> World {
        World {
            state: 88_172_645_463_325_252,
            ..World::default()
        }
    }

    /// xorshift64.
    pub(crate) fn random(&mut self, below: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((self.state >> 20) % u64::from(below.max(1))) as u32
    }

    pub(crate) fn port(&mut self) -> u16 {
        32_768 + self.random(28_000) as u16
    }

    /// Any address that a host on the Internet may have.
    pub(crate) fn anybody(&mut self) -> [u8; 4] {
        loop {
            let [a, b, c, d] = (self.random(u32::MAX)).to_be_bytes();
            if !matches!(a, 0 | 10 | 100 | 127 | 169 | 172 | 192 | 224..=255) {
                return [a, b, c, d];
            }
        }
    }

    pub(crate) fn flow(
        &mut self,
        src: [u8; 4],
        dst: [u8; 4],
        protocol: Protocol,
        ports: (u16, u16),
    ) -> Flow {
        Flow::new(host(src), host(dst), protocol, ports.0, ports.1)
    }

    /// Puts an entry into the table.
    pub(crate) fn add(&mut self, mut flow: Flow) {
        if self.uncounted {
            flow.packets = None;
            flow.bytes = None;
        }
        self.table.push(&flow);
    }

    /// Packets that were refused.
    pub(crate) fn stray(
        &mut self,
        src: [u8; 4],
        dst: [u8; 4],
        ports: (u16, u16),
        origin: Origin,
        packets: u64,
    ) {
        let flow = Flow {
            origin,
            packets: Some([packets, 0]),
            bytes: Some([packets * 40, 0]),
            ..self.flow(src, dst, Protocol::TCP, ports)
        };
        self.strays.push(&flow);
    }

    pub(crate) fn tcp(&mut self, src: [u8; 4], dst: [u8; 4], dport: u16, state: TcpState) {
        let sport = self.port();
        let flow = self.flow(src, dst, Protocol::TCP, (sport, dport));
        let flow = self.in_state(flow, state);
        self.add(flow);
    }

    /// As such a connection usually is.
    pub(crate) fn in_state(&mut self, flow: Flow, state: TcpState) -> Flow {
        let talked = 5 + u64::from(self.random(60));
        let (replied, packets, timeout) = match state {
            TcpState::SynSent => (false, [1, 0], 60 + self.random(60)),
            TcpState::SynRecv => (true, [1, 1], 30 + self.random(30)),
            TcpState::Established => (true, [talked, talked], 431_000 + self.random(1000)),
            TcpState::TimeWait | TcpState::FinWait => (true, [talked, talked], self.random(120)),
            _ => (true, [talked, talked], self.random(10)),
        };
        Flow {
            state: Some(ProtocolState::Tcp(state)),
            replied,
            assured: replied && state != TcpState::SynRecv,
            timeout: Some(timeout.into()),
            packets: Some(packets),
            bytes: Some([packets[0] * 90, packets[1] * 700]),
            ..flow
        }
    }

    pub(crate) fn udp(
        &mut self,
        src: [u8; 4],
        dst: [u8; 4],
        ports: (u16, u16),
        packets: [u64; 2],
        size: u64,
    ) {
        let timeout = 5 + self.random(25);
        let flow = Flow {
            replied: packets[1] > 0,
            packets: Some(packets),
            bytes: Some([packets[0] * size, packets[1] * size]),
            timeout: Some(timeout.into()),
            ..self.flow(src, dst, Protocol::UDP, ports)
        };
        self.add(flow);
    }

    pub(crate) fn ping(&mut self, src: [u8; 4], dst: [u8; 4], packets: [u64; 2]) {
        let id = self.random(65_536) as u16;
        let flow = Flow {
            replied: packets[1] > 0,
            packets: Some(packets),
            bytes: Some([packets[0] * 84, packets[1] * 84]),
            timeout: Some(25),
            ..self.flow(src, dst, Protocol::ICMP, (id, 8 << 8))
        };
        self.add(flow);
    }

    /// Clients of a web server: some talk, most are done, a few just begin.
    pub(crate) fn web(&mut self, connections: u32) {
        for n in 0..connections {
            let client = self.anybody();
            let state = match n % 50 {
                0 => TcpState::SynRecv,
                1 => TcpState::SynSent,
                2..=5 => TcpState::FinWait,
                6..=30 => TcpState::TimeWait,
                31..=33 => TcpState::Close,
                34 => TcpState::CloseWait,
                _ => TcpState::Established,
            };
            // A browser opens a few.
            for _ in 0..1 + n % 3 {
                self.tcp(client, SERVER, 443, state);
            }
        }
    }

    /// An office: web, names, a little of everything, seen before its address is translated.
    pub(crate) fn office(&mut self, connections: u32) {
        for n in 0..connections {
            let host = [192, 168, 1, 10 + (n % 40) as u8];
            let server = self.anybody();
            let port = self.port();
            match n % 10 {
                0..=3 => self.udp(host, [9, 9, 9, 9], (port, 53), [1, 1], 90),
                4 => self.udp(host, server, (port, 443), [20, 30], 600),
                5 => self.tcp(host, server, 443, TcpState::TimeWait),
                6 => self.udp(host, server, (123, 123), [1, 1], 76),
                _ => self.tcp(host, server, 443, TcpState::Established),
            }
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let packets = self.table.all.packets + self.strays.all.packets;
        classify(&Scene {
            strays: (!self.strays.is_empty()).then_some(&self.strays.rows),
            seconds: self.seconds,
            packets: self.seconds.map(|_| packets),
            fill: self.fill,
            ..Scene::of(&self.table)
        })
    }

    #[track_caller]
    pub(crate) fn is(&self, class: Class) {
        let finding = self.finding();
        assert_eq!(finding.class, class, "{finding:#?}");
    }
}

pub(crate) fn host(ip: [u8; 4]) -> Host {
    IpAddr::V4(Ipv4Addr::from(ip)).into()
}

/// Each table with counters and without, alone and beside ordinary traffic.
#[track_caller]
pub(crate) fn always(class: Class, background: &[u32], make: impl Fn(&mut World)) {
    for uncounted in [false, true] {
        for web in background {
            let mut world = World::new();
            world.uncounted = uncounted;
            make(&mut world);
            world.web(*web);
            world.office(*web / 4);
            let finding = world.finding();
            assert_eq!(
                finding.class, class,
                "counters: {}, beside {web} ordinary: {finding:#?}",
                !uncounted
            );
        }
    }
}
