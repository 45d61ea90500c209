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
