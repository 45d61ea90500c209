//! The program that shares packets among taps goes by the rule by which connections are sought.

use ip_conntrack::{Arrival, Dispatch, LinkType, Time};
use ip_conntrack_link::sys::bpf::Program;
use ip_conntrack_link::tap::spread;

use crate::frames::{Random, frame, udp, v4};

/// A packet of any of the kinds that matter.
fn any(random: &mut Random) -> Vec<u8> {
    let mut v4_address = || <[u8; 4]>::try_from(random.bytes(4)).unwrap();
    let (src, dst, router) = (v4_address(), v4_address(), v4_address());
    let datagram = udp(random.next() as u16, 53, b"data");
    match random.below(7) {
        0 => frame(0x0800, &v4(17, src, dst, &datagram)),
        1 => {
            let mut fragment = v4(17, src, dst, &datagram);
            fragment[7] = 9;
            frame(0x0800, &fragment)
        }
        2 => {
            let kinds = [3, 4, 5, 11, 12];
            let mut error = vec![kinds[random.below(5)], 1, 0, 0, 0, 0, 0, 0];
            error.extend(v4(17, src, dst, &datagram));
            frame(0x0800, &v4(1, router, src, &error))
        }
        3 => frame(0x0800, &v4(1, src, dst, &[8, 0, 0, 0, 1, 2, 3, 4])),
        4 => frame(
            0x86dd,
            &v6(17, &random.bytes(16), &random.bytes(16), &datagram),
        ),
        5 => {
            let (src, dst) = (random.bytes(16), random.bytes(16));
            let mut error = vec![1 + random.below(4) as u8, 0, 0, 0, 0, 0, 0, 0];
            error.extend(v6(17, &src, &dst, &datagram));
            frame(0x86dd, &v6(58, &random.bytes(16), &src, &error))
        }
        _ => frame(0x0806, &random.bytes(28)),
    }
}

fn v6(next: u8, src: &[u8], dst: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
    packet.extend(src);
    packet.extend(dst);
    packet.extend(payload);
    // Addresses that anybody may have.
    (packet[8], packet[24]) = (0x20, 0x20);
    packet
}

#[test]
fn the_kernel_gives_a_packet_to_the_tap_that_the_dispatch_names() {
    let mut random = Random(7);
    for taps in [1, 2, 3, 16] {
        let seed = u128::from(random.next()) << 64 | u128::from(random.next());
        let dispatch = Dispatch::new(seed, taps);
        let program = spread([(seed >> 64) as u64, seed as u64], taps as u32);
        let program = match Program::socket_filter(&program) {
            Ok(program) => program,
            Err(why) if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_none() => {
                eprintln!("passed over: {why}");
                return;
            }
            Err(why) => panic!("{why}"),
        };
        let mut seen = vec![0; taps];
        for _ in 0..2000 {
            let bytes = any(&mut random);
            let arrival = Arrival {
                link: LinkType::Ethernet,
                bytes: &bytes,
                wire_len: bytes.len(),
                time: Time::ZERO,
            };
            let (tap, _) = program.run(&bytes).unwrap();
            assert_eq!(
                tap as usize,
                dispatch.shard_of_frame(&arrival),
                "{bytes:02x?}"
            );
            seen[tap as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}
