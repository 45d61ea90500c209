//! Attacks, small and large, alone and in the midst of ordinary traffic.

use ip_conntrack::{Protocol, TcpState};
use ip_conntrack_analysis::{Class, Flow, Origin};

use super::ordinary::KINDS;
use super::world::{SERVER, World, always};

#[test]
fn syns_from_made_up_addresses() {
    for size in [150, 3_000, 40_000] {
        always(Class::SpoofedSynFlood, &[0, size / 10, size / 3], |world| {
            for _ in 0..size {
                let source = world.anybody();
                world.tcp(source, SERVER, 443, TcpState::SynRecv);
            }
        });
    }
}

#[test]
fn syns_from_made_up_addresses_to_a_host_that_is_down() {
    always(Class::SpoofedSynFlood, &[0, 400], |world| {
        for _ in 0..2_000 {
            let source = world.anybody();
            let port = 1 + world.random(65_535) as u16;
            world.tcp(source, SERVER, port, TcpState::SynSent);
        }
    });
}

#[test]
fn syns_from_all_of_one_network() {
    always(Class::SpoofedSynFlood, &[0, 500], |world| {
        for n in 0..5_000_u32 {
            world.tcp(
                [203, 0, 113, (n % 254) as u8 + 1],
                SERVER,
                80,
                TcpState::SynRecv,
            );
        }
    });
}

#[test]
fn syns_from_a_few_hosts() {
    for sources in [1, 3, 20] {
        always(Class::SynFlood, &[0, 300], |world| {
            for n in 0..2_000_u32 {
                world.tcp(
                    [203, 0, (n % sources) as u8, 9],
                    SERVER,
                    80,
                    TcpState::SynRecv,
                );
            }
        });
    }
}

#[test]
fn connections_that_say_nothing_from_few_hosts() {
    for (sources, size) in [(1_u32, 400_u32), (5, 3_000), (40, 12_000)] {
        always(Class::ConnectionFlood, &[0, size / 20], |world| {
            for n in 0..size {
                silent(world, [203, 0, (n % sources) as u8, 7]);
            }
        });
    }
}

fn silent(world: &mut World, source: [u8; 4]) {
    let port = world.port();
    let flow = world.flow(source, SERVER, Protocol::TCP, (port, 80));
    let flow = world.in_state(flow, TcpState::Established);
    world.add(Flow {
        packets: Some([2, 1]),
        bytes: Some([112, 60]),
        ..flow
    });
}

#[test]
fn connections_that_say_nothing_from_very_many_hosts() {
    let mut world = World::new();
    for _ in 0..8_000 {
        let source = world.anybody();
        silent(&mut world, source);
    }
    world.web(500);
    world.is(Class::ConnectionFlood);
}

#[test]
fn datagrams_from_made_up_addresses() {
    for (size, one_port) in [(200, true), (5_000, true), (5_000, false)] {
        always(Class::UdpFlood, &[0, size / 5], |world| {
            for _ in 0..size {
                let (source, sport) = (world.anybody(), world.port());
                let port = if one_port {
                    27_100
                } else {
                    1_024 + world.random(60_000) as u16
                };
                world.udp(source, SERVER, (sport, port), [1, 0], 512);
            }
        });
    }
}

#[test]
fn packets_of_protocols_without_connections() {
    for number in [47, 50, 255] {
        always(Class::UdpFlood, &[0, 200], |world| {
            for _ in 0..1_500 {
                let source = world.anybody();
                let flow = world.flow(source, SERVER, Protocol(number), (0, 0));
                world.add(Flow {
                    packets: Some([1, 0]),
                    bytes: Some([400, 0]),
                    ..flow
                });
            }
        });
    }
}

#[test]
fn datagrams_from_one_host_to_one_port() {
    always(Class::UdpFlood, &[0, 300], |world| {
        for n in 0..4_000 {
            world.udp([203, 0, 113, 5], SERVER, (1_024 + n, 80), [1, 0], 900);
        }
    });
}

#[test]
fn answers_of_one_amplifying_service() {
    for (port, size) in [
        (53, 900),
        (123, 468),
        (161, 1_400),
        (389, 1_300),
        (1900, 350),
        (11211, 1_400),
        (37810, 300),
        (500, 500),
        (19, 1_000),
    ] {
        always(Class::Reflection, &[0, 200], |world| {
            for _ in 0..1_500 {
                let (source, target) = (world.anybody(), world.port());
                world.udp(source, SERVER, (port, target), [3, 0], size);
            }
        });
    }
}

#[test]
fn answers_of_several_services_to_one_port() {
    always(Class::Reflection, &[0, 200], |world| {
        for n in 0..900_usize {
            let source = world.anybody();
            world.udp(
                source,
                SERVER,
                ([123, 389, 11_211][n % 3], 80),
                [2, 0],
                1_200,
            );
        }
    });
}

#[test]
fn answers_of_a_few_servers_in_very_many_packets() {
    let mut world = World::new();
    world.seconds = Some(4.0);
    for _ in 0..12 {
        let source = world.anybody();
        world.udp(source, SERVER, (11_211, 4_444), [900, 0], 1_428);
    }
    world.is(Class::Reflection);
}

#[test]
fn answers_in_fragments_whose_first_ones_were_lost() {
    let mut world = World::new();
    world.seconds = Some(2.0);
    for _ in 0..300 {
        let source = world.anybody();
        let flow = Flow {
            origin: Origin::Fragments,
            packets: Some([2, 0]),
            bytes: Some([3_000, 0]),
            ..world.flow(source, SERVER, Protocol::UDP, (0, 0))
        };
        world.strays.push(&flow);
    }
    world.is(Class::Reflection);
}

#[test]
fn a_name_server_of_ours_that_answers_a_victim() {
    let mut world = World::new();
    for _ in 0..2_000 {
        let port = world.port();
        let flow = Flow {
            replied: true,
            packets: Some([1, 1]),
            bytes: Some([64, 3_100]),
            ..world.flow(
                [203, 0, 113, 99],
                [198, 51, 100, 53],
                Protocol::UDP,
                (port, 53),
            )
        };
        world.add(flow);
    }
    world.office(300);
    world.is(Class::Reflection);
}

#[test]
fn syn_acks_of_servers_that_were_asked_in_the_victims_name() {
    let mut world = World::new();
    world.seconds = Some(30.0);
    for n in 0..600_u16 {
        let source = world.anybody();
        world.stray(
            source,
            SERVER,
            ([80, 443, 22][usize::from(n) % 3], 1_024 + n),
            Origin::StraySynAck,
            3,
        );
    }
    world.web(100);
    world.is(Class::Reflection);
}

#[test]
fn acks_that_are_refused() {
    for (origin, packets) in [
        (Origin::StrayAck, 1),
        (Origin::StrayReset, 1),
        (Origin::StrayFlags, 2),
    ] {
        let mut world = World::new();
        world.seconds = Some(10.0);
        for _ in 0..3_000 {
            let (source, port) = (world.anybody(), world.port());
            world.stray(source, SERVER, (port, 443), origin, packets);
        }
        world.web(300);
        world.is(Class::AckFlood);
    }
}

#[test]
fn acks_that_are_picked_up_in_the_middle() {
    always(Class::AckFlood, &[0, 200], |world| {
        for _ in 0..2_000 {
            let (source, port) = (world.anybody(), world.port());
            let flow = world.flow(source, SERVER, Protocol::TCP, (port, 80));
            let flow = world.in_state(flow, TcpState::Established);
            world.add(Flow {
                replied: false,
                assured: false,
                packets: Some([1, 0]),
                bytes: Some([40, 0]),
                timeout: Some(290),
                ..flow
            });
        }
    });
}

#[test]
fn pings_from_everywhere() {
    for answered in [0, 1] {
        let mut world = World::new();
        for _ in 0..3_000 {
            let source = world.anybody();
            world.ping(source, SERVER, [1, answered]);
        }
        world.web(200);
        world.is(Class::IcmpFlood);
    }
}

#[test]
fn one_ping_that_does_not_wait() {
    let mut world = World::new();
    world.seconds = Some(3.0);
    world.ping([203, 0, 113, 4], SERVER, [60_000, 60_000]);
    world.office(50);
    world.is(Class::IcmpFlood);
}

#[test]
fn a_flood_over_a_whole_network() {
    for kind in 0..4 {
        let mut world = World::new();
        world.seconds = Some(20.0);
        for _ in 0..4_000 {
            let (source, sport) = (world.anybody(), world.port());
            let target = [198, 51, 100, world.random(254) as u8 + 1];
            match kind {
                0 => world.udp(source, target, (sport, 9_987), [1, 0], 1_200),
                1 => world.tcp(source, target, 443, TcpState::SynSent),
                2 => world.udp(source, target, (389, sport), [2, 0], 1_400),
                _ => world.ping(source, target, [1, 0]),
            }
        }
        world.web(300);
        world.is(Class::CarpetBombing);
    }
}

#[test]
fn a_port_scan_of_one_host() {
    for (ports, web) in [(60, 0), (1_000, 100), (1_000, 300)] {
        always(Class::Scan, &[web], |world| {
            for n in 0..ports {
                world.tcp([203, 0, 113, 77], SERVER, 1 + n * 7, TcpState::SynSent);
            }
        });
    }
}

#[test]
fn a_port_scan_whose_syns_are_answered_with_rst() {
    let mut world = World::new();
    for n in 0..800 {
        let flow = world.flow([203, 0, 113, 77], SERVER, Protocol::TCP, (40_000, 1 + n));
        let flow = world.in_state(flow, TcpState::SynSent);
        world.add(Flow {
            origin: Origin::ResetAtOnce,
            ..flow
        });
    }
    world.web(100);
    world.is(Class::Scan);
}

#[test]
fn a_udp_scan() {
    always(Class::Scan, &[0, 100], |world| {
        for n in 0..600 {
            world.udp([203, 0, 113, 77], SERVER, (50_123, 1 + n * 11), [2, 0], 40);
        }
    });
}

#[test]
fn a_scan_of_a_network_on_one_port() {
    always(Class::Scan, &[0, 100], |world| {
        for n in 0..250 {
            world.tcp([203, 0, 113, 77], [198, 51, 100, n], 22, TcpState::SynSent);
        }
    });
}

#[test]
fn a_ping_sweep() {
    let mut world = World::new();
    for n in 0..250 {
        world.ping(
            [203, 0, 113, 77],
            [198, 51, 100, n],
            [1, u64::from(n % 20 == 0)],
        );
    }
    world.is(Class::Scan);
}

#[test]
fn an_inside_host_that_scans_the_world() {
    always(Class::OutboundAbuse, &[0, 200], |world| {
        for _ in 0..1_500 {
            let target = world.anybody();
            world.tcp([192, 168, 1, 66], target, 23, TcpState::SynSent);
        }
    });
}

#[test]
fn an_inside_host_behind_translation_that_scans_the_world() {
    let mut world = World::new();
    for _ in 0..1_500 {
        let target = world.anybody();
        let flow = world.flow([10, 0, 0, 66], target, Protocol::TCP, (40_000, 445));
        let flow = world.in_state(flow, TcpState::SynSent);
        world.add(Flow {
            source_translated: true,
            ..flow
        });
    }
    world.office(300);
    world.is(Class::OutboundAbuse);
}

#[test]
fn an_inside_host_that_takes_part_in_a_flood() {
    always(Class::OutboundAbuse, &[0, 150], |world| {
        for n in 0..3_000 {
            world.udp(
                [192, 168, 1, 66],
                [203, 0, 113, 80],
                (2_000 + n, 80),
                [1, 0],
                1_000,
            );
        }
    });
}

#[test]
fn an_inside_host_that_sends_unwanted_mail() {
    let mut world = World::new();
    for _ in 0..400 {
        let target = world.anybody();
        let state = [TcpState::Established, TcpState::SynSent, TcpState::TimeWait]
            [world.random(3) as usize];
        world.tcp([192, 168, 1, 66], target, 25, state);
    }
    world.office(300);
    world.is(Class::OutboundAbuse);
}

#[test]
fn connections_that_a_service_does_not_close() {
    always(Class::ConnectionLeak, &[0, 200], |world| {
        for n in 0..900_u32 {
            world.tcp(
                [10, 1, (n % 30) as u8, 4],
                [10, 2, 0, 1],
                8_080,
                TcpState::CloseWait,
            );
        }
    });
}

#[test]
fn connections_in_which_nothing_happens_any_more() {
    always(Class::ConnectionLeak, &[0, 100], |world| {
        for n in 0..3_000_u64 {
            let port = world.port();
            let flow = world.flow(
                [10, 1, (n % 50) as u8, 4],
                [10, 2, 0, 1],
                Protocol::TCP,
                (port, 5_672),
            );
            let flow = world.in_state(flow, TcpState::Established);
            world.add(Flow {
                timeout: Some(50_000 + n * 100),
                ..flow
            });
        }
        world.tcp([10, 1, 1, 1], [10, 2, 0, 1], 5_672, TcpState::Established);
    });
}

/// One flow of an attack.
type Shot = fn(&mut World, u32);

const SHOTS: &[(Class, Shot)] = &[
    (Class::SpoofedSynFlood, |world, _| {
        let source = world.anybody();
        world.tcp(source, SERVER, 8_443, TcpState::SynRecv);
    }),
    (Class::SynFlood, |world, n| {
        world.tcp([203, 0, 113, (n % 5) as u8], SERVER, 80, TcpState::SynSent);
    }),
    (Class::UdpFlood, |world, _| {
        let (source, sport, port) = (world.anybody(), world.port(), world.random(60_000) as u16);
        world.udp(source, SERVER, (sport, port), [1, 0], 700);
    }),
    (Class::Reflection, |world, n| {
        let (source, port) = (world.anybody(), world.port());
        world.udp(
            source,
            SERVER,
            ([53, 123, 389, 1900][n as usize % 4], port),
            [2, 0],
            1_100,
        );
    }),
    (Class::IcmpFlood, |world, _| {
        let source = world.anybody();
        world.ping(source, SERVER, [1, 0]);
    }),
    (Class::AckFlood, |world, _| {
        let (source, port) = (world.anybody(), world.port());
        let flow = world.flow(source, SERVER, Protocol::TCP, (port, 80));
        let flow = world.in_state(flow, TcpState::Established);
        world.add(Flow {
            replied: false,
            assured: false,
            packets: Some([1, 0]),
            bytes: Some([40, 0]),
            ..flow
        });
    }),
    (Class::CarpetBombing, |world, _| {
        let (source, port) = (world.anybody(), world.port());
        let target = [198, 51, 100, world.random(254) as u8 + 1];
        world.udp(source, target, (port, 80), [1, 0], 900);
    }),
    (Class::Scan, |world, n| {
        world.tcp(
            [203, 0, 113, 200],
            SERVER,
            1 + (n % 60_000) as u16,
            TcpState::SynSent,
        );
    }),
    (Class::OutboundAbuse, |world, _| {
        let target = world.anybody();
        world.tcp([192, 168, 1, 99], target, 445, TcpState::SynSent);
    }),
    (Class::ConnectionLeak, |world, n| {
        world.tcp(
            [10, 1, 0, (n % 30) as u8],
            [10, 2, 0, 1],
            8_080,
            TcpState::CloseWait,
        );
    }),
];

/// Of all flows, the attack's are between half and all.
#[test]
fn attacks_in_any_mixture_of_ordinary_traffic() {
    let mut wrong = Vec::new();
    for round in 0..300_u32 {
        let mut world = World::new();
        for _ in 0..round {
            world.random(2);
        }
        world.uncounted = round % 2 == 0;
        let (class, shot) = SHOTS[round as usize % SHOTS.len()];
        let size = 150 << world.random(6);
        for n in 0..size {
            shot(&mut world, n);
        }
        let kind = world.random(KINDS.len() as u32) as usize;
        // Some kinds make up to three flows each.
        let beside = world.random(size / 4);
        KINDS[kind](&mut world, beside);
        let finding = world.finding();
        if finding.class != class {
            wrong.push((round, class, size, kind, beside, finding));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of 300: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(8)]
    );
}
