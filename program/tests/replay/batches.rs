//! Packets go to the tracker several at a time, and nobody can see how many.

use crate::bench::{Bench, Ran};
use crate::build::{CLIENT, ETHERNET, Pcap, SERVER, ethernet, tcp, udp};

/// 2²⁴ ns, the tick in which the tracker counts time, in microseconds and rounded up.
const TICK: u64 = 16_778;

/// Packets of a few hundred connections that end within a second, now and then something that is not
/// IP; microseconds to some ticks apart, in the order of time.
fn traffic() -> Vec<(u64, Vec<u8>)> {
    let mut random: u32 = 1;
    let mut below = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % limit
    };
    let mut micros = 1_700_000_000_000_000;
    let mut packets = Vec::new();
    for _ in 0..4000 {
        micros += 1 + u64::from([below(30), below(2000), below(20_000)][below(3) as usize]);
        let port = 1000 + below(300) as u16;
        let packet = match below(8) {
            0 => tcp((CLIENT, port), (SERVER, 80), 2, 1, 0),
            1..4 => udp((SERVER, 53), (CLIENT, port), 1),
            _ => udp((CLIENT, port), (SERVER, 53), 1),
        };
        let mut frame = ethernet(&packet);
        if below(50) == 0 {
            frame[12..14].copy_from_slice(&[8, 6]);
        }
        packets.push((micros, frame));
    }
    packets
}

/// Every packet in one file; every other one in each of two.
fn together_and_apart(packets: &[(u64, Vec<u8>)], arguments: &str) -> [Ran; 2] {
    let capture = |part: &mut dyn Iterator<Item = &(u64, Vec<u8>)>| {
        part.fold(Pcap::new(ETHERNET), |file, (micros, frame)| {
            file.at(*micros, frame)
        })
    };
    let bench = Bench::of("all.pcap", &capture(&mut packets.iter()).bytes)
        .with("even.pcap", &capture(&mut packets.iter().step_by(2)).bytes)
        .with(
            "odd.pcap",
            &capture(&mut packets.iter().skip(1).step_by(2)).bytes,
        );
    ["all.pcap", "even.pcap odd.pcap"].map(|files| bench.replay(&format!("{arguments} {files}")))
}

#[test]
fn batches_of_any_length_give_the_same_lines_in_the_same_order() {
    const SHORT: &str = "--seed 1 --sysctl nf_conntrack_udp_timeout=1 \
        --sysctl nf_conntrack_udp_timeout_stream=2 --sysctl nf_conntrack_tcp_timeout_syn_sent=1";
    let packets = traffic();
    for arguments in [
        "--events -o timestamp,id",
        "--events --sysctl nf_conntrack_udp_timeout=0",
        "--events --sysctl nf_conntrack_max=40",
        "--verdicts",
        "--verdicts --sysctl nf_conntrack_max=40",
        "--stats",
        "--at 7.7777 --stats",
        "",
    ] {
        let [together, apart] = together_and_apart(&packets, &format!("{SHORT} {arguments}"));
        assert!(together.stdout == apart.stdout, "{arguments}");
        together.exits(0).says(&apart.stderr);
    }
}

/// A frame that carries no IP.
fn arp() -> Vec<u8> {
    let mut frame = ethernet(&[0; 28]);
    frame[12..14].copy_from_slice(&[8, 6]);
    frame
}

#[test]
fn time_goes_on_with_frames_in_which_nothing_is_tracked() {
    let udp = ethernet(&udp((CLIENT, 4000), (SERVER, 53), 1));
    let begin = 1000 * TICK;
    let file = Pcap::new(ETHERNET).at(begin, &udp).at(begin + 1000, &arp());
    let bench = Bench::of("arp.pcap", &file.bytes);
    let ran = bench.replay("arp.pcap").exits(0);
    assert!(
        ran.stdout.starts_with("ipv4     2 udp      17 29 "),
        "{ran:?}"
    );
}

#[test]
fn a_clock_that_runs_backwards_from_such_a_frame_is_counted() {
    let udp = ethernet(&udp((CLIENT, 4000), (SERVER, 53), 1));
    let begin = 1000 * TICK;
    let file = Pcap::new(ETHERNET)
        .at(begin, &udp)
        .at(begin + 2000, &arp())
        .at(begin + 1000, &udp);
    let bench = Bench::of("arp.pcap", &file.bytes);
    assert_eq!(
        bench
            .replay("--stats arp.pcap")
            .exits(0)
            .count("clock_backwards"),
        1
    );
}

#[test]
fn the_table_of_a_moment_between_packets_that_came_together_has_those_before_it() {
    let udp = ethernet(&udp((CLIENT, 4000), (SERVER, 53), 1));
    let begin = 1000 * TICK;
    let file = (0..5).fold(Pcap::new(ETHERNET), |file, n| file.at(begin + n, &udp));
    let bench = Bench::of("quick.pcap", &file.bytes);
    let ran = bench.replay("--at 0.000002 quick.pcap").exits(0);
    assert!(ran.stdout.contains(" packets=3 "), "{ran:?}");
}

/// The first fragment of a datagram whose others never come, and a whole one.
fn fragment_and_whole() -> [Vec<u8>; 2] {
    let whole = ethernet(&udp((CLIENT, 4000), (SERVER, 53), 8));
    let mut fragment = whole.clone();
    fragment[14 + 6] = 0x20;
    [fragment, whole]
}

/// How many fragments ran out; the header checksum of fragments is not right.
fn fragments_expired(file: &Pcap, seconds: u32) -> u64 {
    let bench = Bench::of("fragments.pcap", &file.bytes);
    let arguments = format!(
        "--sysctl nf_conntrack_checksum=0 --sysctl ipfrag_time={seconds} --stats fragments.pcap"
    );
    bench.replay(&arguments).exits(0).count("fragments_expired")
}

#[test]
fn a_fragment_runs_out_between_packets_that_came_together() {
    let [fragment, whole] = fragment_and_whole();
    let begin = 1000 * TICK;
    for (later, expired) in [(999_999, 0), (1_000_000, 1)] {
        let file = Pcap::new(ETHERNET)
            .at(begin, &fragment)
            .at(begin + 999_990, &whole)
            .at(begin + later, &whole);
        assert_eq!(fragments_expired(&file, 1), expired);
    }
}

#[test]
fn a_fragment_that_may_not_wait_is_gone_when_the_next_packet_comes() {
    let [fragment, whole] = fragment_and_whole();
    let begin = 1000 * TICK;
    let file = Pcap::new(ETHERNET).at(begin, &fragment).at(begin, &whole);
    assert_eq!(fragments_expired(&file, 0), 1);
    let backwards = Pcap::new(ETHERNET)
        .at(begin + 2, &whole)
        .at(begin, &fragment)
        .at(begin + 1, &whole);
    assert_eq!(fragments_expired(&backwards, 0), 1);
    let last = Pcap::new(ETHERNET).at(begin, &whole).at(begin, &fragment);
    assert_eq!(fragments_expired(&last, 0), 0);
}
