//! The program among pipes: readers that close early, progress that nobody can see, and memory that
//! does not grow with what flows through.

use std::io::{BufRead, BufReader, Write};
use std::process::Child;

use crate::bench::{Bench, Ran, start};
use crate::build::{CLIENT, Pcap, RAW, SERVER, udp};

/// A capture of so many connections.
fn crowd(connections: u32) -> Vec<u8> {
    let mut file = Pcap::new(RAW);
    for number in 0..connections {
        let [_, high, middle, low] = number.to_be_bytes();
        let source = ([10, high, middle, low], 1000);
        let packet = udp(source, (SERVER, 53), 1);
        file.push(u64::from(number), &packet, packet.len() as u32);
    }
    file.bytes
}

/// Reads one line of what the program prints, closes the pipe, and waits.
fn read_one_line(bench: &Bench, arguments: &str) -> (String, Ran) {
    let mut child = start(bench, arguments);
    drop(child.stdin.take());
    let mut line = String::new();
    let mut stdout = BufReader::with_capacity(64, child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    (line, Ran::new(child.wait_with_output().unwrap()))
}

#[test]
fn a_reader_that_closes_early_is_no_error_and_makes_no_noise() {
    let bench = Bench::of("crowd.pcap", &crowd(20_000));
    for (arguments, first) in [
        ("crowd.pcap", "ipv4     2 udp "),
        ("--events crowd.pcap", "    [NEW] udp "),
        ("--verdicts crowd.pcap", "0 NEW -\n"),
        ("--format xml crowd.pcap", "<?xml "),
    ] {
        let (line, ran) = read_one_line(&bench, arguments);
        assert!(line.starts_with(first), "{arguments}: {line}");
        ran.exits(0).says("");
    }
}

#[test]
fn no_progress_is_drawn_where_stderr_is_a_pipe() {
    let bench = Bench::of("crowd.pcap", &crowd(20_000));
    let ran = bench.replay("crowd.pcap").exits(0).says("");
    assert_eq!(ran.stdout.lines().count(), 20_000);
}

/// Packets of the long connection, and of each write.
const PACKETS: u64 = 1_000_000;
const AT_ONCE: u64 = 10_000;
/// 20 bytes of IP, 8 of UDP.
const PAYLOAD: usize = 56;

/// The most memory that a process ever had, in kilobytes.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let size = line.unwrap().trim().strip_suffix(" kB").unwrap();
    size.parse().unwrap()
}

#[test]
fn a_long_capture_through_a_pipe_takes_less_than_100_mb_of_memory() {
    let bench = Bench::new();
    let mut child = start(&bench, "-");
    let mut stdin = child.stdin.take().unwrap();
    let packet = udp((CLIENT, 4000), (SERVER, 53), PAYLOAD);
    stdin.write_all(&Pcap::new(RAW).bytes).unwrap();
    for first in (0..PACKETS).step_by(AT_ONCE as usize) {
        let mut records = Pcap { bytes: Vec::new() };
        for number in first..first + AT_ONCE {
            records.push(number, &packet, packet.len() as u32);
        }
        stdin.write_all(&records.bytes).unwrap();
    }
    // It has read all but what fits in a pipe, and it waits for the end, so it is still there.
    let peak = peak(&child);
    drop(stdin);
    let ran = Ran::new(child.wait_with_output().unwrap())
        .exits(0)
        .says("");
    let counters = format!(
        "packets={PACKETS} bytes={}",
        PACKETS * (28 + PAYLOAD as u64)
    );
    assert!(ran.stdout.contains(&counters), "{ran:?}");
    assert!(peak < 100_000, "{peak} kB");
}
