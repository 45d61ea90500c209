//! Traffic that is nobody's attack, though some of it looks odd.

use ip_conntrack::{Protocol, TcpState};
use ip_conntrack_analysis::{Class, Flow, Origin};

use super::world::{SERVER, World, always};

#[test]
fn an_empty_table() {
    World::new().is(Class::Normal);
}

#[test]
fn a_web_server() {
    for clients in [5, 300, 30_000] {
        always(Class::Normal, &[clients], |_| {});
    }
}

#[test]
fn an_office() {
    for size in [20, 2_000] {
        let mut world = World::new();
        world.office(size);
        world.is(Class::Normal);
    }
}

#[test]
fn a_web_server_that_is_too_popular() {
    let mut world = World::new();
    world.web(20_000);
    world.fill = Some(0.93);
    world.is(Class::Growth);
}

#[test]
fn many_clients_behind_one_address() {
    always(Class::Normal, &[50], |world| {
        for n in 0..600 {
            let state = if n % 3 == 0 {
                TcpState::Established
            } else {
                TcpState::TimeWait
            };
            world.tcp([203, 0, 113, 1], SERVER, 443, state);
        }
    });
}

#[test]
fn a_proxy_and_its_backend() {
    always(Class::Normal, &[0, 50], |world| {
        for _ in 0..500 {
            world.tcp([10, 0, 0, 5], [10, 0, 1, 9], 8_080, TcpState::Established);
        }
    });
}

#[test]
fn a_resolver_and_its_clients() {
    for (clients, size) in [(1, 300), (200, 5_000)] {
        always(Class::Normal, &[0], |world| {
            for n in 0..size {
                let port = world.port();
                world.udp(
                    [10, 3, 0, (n % clients) as u8],
                    [10, 0, 0, 53],
                    (port, 53),
                    [1, 1],
                    110,
                );
                let server = world.anybody();
                let answered = u64::from(n % 8 != 0);
                world.udp([10, 0, 0, 53], server, (port, 53), [1, answered], 150);
            }
        });
    }
}

#[test]
fn a_client_whose_resolver_is_dead() {
    always(Class::Normal, &[0], |world| {
        for _ in 0..120 {
            let port = world.port();
            world.udp([192, 168, 1, 20], [192, 168, 1, 1], (port, 53), [1, 0], 70);
        }
    });
}

#[test]
fn an_open_time_server() {
    let mut world = World::new();
    for _ in 0..6_000 {
        let (client, port) = (world.anybody(), world.port());
        world.udp(client, [198, 51, 100, 123], (port, 123), [1, 1], 76);
    }
    world.is(Class::Normal);
}

#[test]
fn a_public_name_server() {
    let mut world = World::new();
    for _ in 0..6_000 {
        let (client, port) = (world.anybody(), world.port());
        world.udp(client, [198, 51, 100, 53], (port, 53), [1, 1], 120);
    }
    world.is(Class::Normal);
}

#[test]
fn a_crawler() {
    always(Class::Normal, &[0], |world| {
        for n in 0..2_000 {
            let site = world.anybody();
            let state = match n % 20 {
                0 | 1 => TcpState::SynSent,
                2..=12 => TcpState::TimeWait,
                _ => TcpState::Established,
            };
            world.tcp([10, 0, 0, 8], site, 443, state);
        }
    });
}

#[test]
fn a_peer_of_many_peers() {
    always(Class::Normal, &[0, 20], |world| {
        for n in 0..800_u32 {
            let (peer, port) = (world.anybody(), world.port());
            match n % 4 {
                0 => world.tcp([192, 168, 1, 30], peer, port, TcpState::SynSent),
                1 => world.tcp([192, 168, 1, 30], peer, port, TcpState::Established),
                2 => world.udp([192, 168, 1, 30], peer, (51_413, port), [2, 2], 200),
                _ => world.udp([192, 168, 1, 30], peer, (51_413, port), [1, 0], 130),
            }
        }
    });
}

#[test]
fn video_calls() {
    let mut world = World::new();
    world.seconds = Some(60.0);
    for n in 0..12 {
        let (server, port) = (world.anybody(), world.port());
        world.udp(
            [192, 168, 1, 40 + n],
            server,
            (port, 3_478),
            [9_000, 8_000],
            900,
        );
        world.udp([192, 168, 1, 40 + n], server, (port, 3_479), [3, 0], 120);
    }
    world.office(40);
    world.is(Class::Normal);
}

#[test]
fn a_stream_that_goes_one_way() {
    let mut world = World::new();
    world.seconds = Some(30.0);
    world.udp(
        [10, 0, 0, 5],
        [10, 0, 0, 9],
        (5_004, 5_004),
        [20_000, 0],
        1_316,
    );
    world.is(Class::Normal);
}

#[test]
fn half_of_the_conversations_was_not_captured() {
    let mut world = World::new();
    world.seconds = Some(60.0);
    for _ in 0..120 {
        let (client, port) = (world.anybody(), world.port());
        world.stray(SERVER, client, (443, port), Origin::StrayAck, 14);
    }
    world.is(Class::Normal);
}

#[test]
fn a_backup() {
    always(Class::Normal, &[0], |world| {
        for n in 0..60 {
            world.tcp([10, 0, 0, n], [10, 0, 9, 9], 873, TcpState::Established);
        }
    });
}

#[test]
fn monitoring() {
    let mut world = World::new();
    for n in 0..200_u8 {
        world.ping([10, 0, 0, 2], [10, 0, 1, n], [1, u64::from(n % 25 != 0)]);
        world.udp(
            [10, 0, 0, 2],
            [10, 0, 1, n],
            (40_000 + u16::from(n), 161),
            [2, 2],
            120,
        );
        world.tcp([10, 0, 0, 2], [10, 0, 1, n], 22, TcpState::TimeWait);
    }
    world.is(Class::Normal);
}

#[test]
fn logs_of_many_hosts() {
    always(Class::Normal, &[0], |world| {
        for n in 0..400_u32 {
            let source = [10, 4, (n / 200) as u8, (n % 200) as u8];
            world.udp(source, [10, 0, 0, 14], (514, 514), [300, 0], 220);
        }
    });
}

#[test]
fn a_client_that_tries_again_and_again() {
    always(Class::Normal, &[0, 30], |world| {
        for _ in 0..60 {
            world.tcp(
                [192, 168, 1, 22],
                [203, 0, 113, 9],
                8_883,
                TcpState::SynSent,
            );
        }
    });
}

#[test]
fn announcements_to_everybody() {
    let mut world = World::new();
    for n in 0..150 {
        world.udp(
            [192, 168, 1, n],
            [224, 0, 0, 251],
            (5_353, 5_353),
            [4, 0],
            120,
        );
        world.udp(
            [192, 168, 1, n],
            [239, 255, 255, 250],
            (50_000, 1_900),
            [4, 0],
            180,
        );
    }
    world.is(Class::Normal);
}

#[test]
fn a_mail_server() {
    let mut world = World::new();
    for n in 0..300 {
        let peer = world.anybody();
        match n % 2 {
            0 => world.tcp(peer, [10, 0, 0, 25], 25, TcpState::TimeWait),
            _ => world.tcp([10, 0, 0, 25], peer, 25, TcpState::TimeWait),
        }
    }
    world.is(Class::Normal);
}

#[test]
fn devices_that_keep_a_connection_open() {
    let mut world = World::new();
    for _ in 0..3_000 {
        let (device, port) = (world.anybody(), world.port());
        let flow = world.flow(device, SERVER, Protocol::TCP, (port, 8_883));
        let flow = world.in_state(flow, TcpState::Established);
        world.add(Flow {
            packets: Some([40, 38]),
            bytes: Some([2_400, 2_100]),
            ..flow
        });
    }
    world.is(Class::Normal);
}

#[test]
fn a_traceroute() {
    let mut world = World::new();
    for n in 0..90 {
        world.udp(
            [192, 168, 1, 5],
            [203, 0, 113, 5],
            (40_000, 33_434 + n),
            [1, 0],
            60,
        );
    }
    world.is(Class::Normal);
}

#[test]
fn what_everybody_on_the_internet_sees() {
    let mut world = World::new();
    world.web(2_000);
    for _ in 0..120 {
        let source = world.anybody();
        let port = [22, 23, 445, 3389, 8080][world.random(5) as usize];
        world.tcp(source, SERVER, port, TcpState::SynSent);
    }
    world.is(Class::Normal);
}

/// Some of one kind of ordinary traffic.
pub(crate) type Kind = fn(&mut World, u32);

pub(crate) const KINDS: &[Kind] = &[
    |world, n| world.web(n),
    |world, n| world.office(n),
    |world, n| {
        // A game server: each player talks both ways.
        for _ in 0..n {
            let (player, port) = (world.anybody(), world.port());
            world.udp(player, SERVER, (port, 27_015), [400, 380], 90);
        }
    },
    |world, n| {
        // A name server with some clients that do not wait.
        for k in 0..n {
            let (client, port) = (world.anybody(), world.port());
            world.udp(client, SERVER, (port, 53), [1, u64::from(k % 20 != 0)], 100);
        }
    },
    |world, n| {
        // A relay: few peers, many connections with each, both ways.
        for k in 0..n {
            let peer = [60, 1, (k % 40) as u8, 7];
            world.tcp(peer, SERVER, 9_001, TcpState::Established);
            world.tcp(SERVER, peer, 9_001, TcpState::TimeWait);
        }
    },
    |world, n| {
        // A peer among peers.
        for k in 0..n {
            let (peer, port) = (world.anybody(), world.port());
            match k % 3 {
                0 => world.tcp([192, 168, 1, 30], peer, port, TcpState::SynSent),
                1 => world.tcp([192, 168, 1, 30], peer, port, TcpState::Established),
                _ => world.udp(
                    [192, 168, 1, 30],
                    peer,
                    (51_413, port),
                    [1, u64::from(k % 2)],
                    130,
                ),
            }
        }
    },
    |world, n| {
        // Pings of a monitor, most of them answered.
        for k in 0..n {
            let host = [10, 0, (k / 250 % 250) as u8, (k % 250) as u8];
            world.ping([10, 9, 9, 9], host, [3, if k % 15 == 0 { 0 } else { 3 }]);
        }
    },
    |world, n| {
        // Phones: registration, and calls to many servers.
        for k in 0..n {
            let phone = [10, 20, (k / 250 % 250) as u8, (k % 250) as u8];
            world.udp(phone, [198, 51, 100, 60], (5_060, 5_060), [8, 8], 450);
            let port = world.port();
            world.udp(phone, [198, 51, 100, 61], (port, port), [900, 880], 200);
        }
    },
    |world, n| {
        // Mail, in and out.
        for k in 0..n {
            let peer = world.anybody();
            match k % 2 {
                0 => world.tcp(peer, [10, 0, 0, 25], 25, TcpState::TimeWait),
                _ => world.tcp([10, 0, 0, 25], peer, 25, TcpState::Established),
            }
        }
    },
];

#[test]
fn any_mixture_of_ordinary_traffic_is_ordinary() {
    let mut wrong = Vec::new();
    for round in 0..400_u32 {
        let mut world = World::new();
        for _ in 0..round {
            world.random(2);
        }
        world.uncounted = round % 2 == 0;
        let mut mixture = Vec::new();
        for (number, kind) in KINDS.iter().enumerate() {
            if world.random(3) == 0 {
                let size = 1 << world.random(11);
                mixture.push((number, size));
                kind(&mut world, size);
            }
        }
        let finding = world.finding();
        if finding.class != Class::Normal {
            wrong.push((
                round,
                mixture,
                finding.class,
                finding.confidence,
                finding.evidence,
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of 400: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(6)]
    );
}
