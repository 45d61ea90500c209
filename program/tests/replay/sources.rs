//! Where captures come from: gzip, standard input, several files, several link types.

use std::io::Write;

use crate::bench::{Bench, Ran, replay_web, start};
use crate::build::{ETHERNET, Pcap, RAW, enhanced, ethernet, gzip, handshake, pcapng, web_with};

/// The whole of `captures/web.pcap`.
fn web() -> Vec<u8> {
    web_with(|_| ())
}

/// Runs the program with these bytes as its standard input.
fn pipe(bytes: &[u8]) -> Ran {
    let bench = Bench::new();
    let mut child = start(&bench, "-");
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    Ran::new(child.wait_with_output().unwrap())
}

/// Asserts that the opened connection of `handshake(1001)` is all there is, and established.
#[track_caller]
fn is_established(ran: &Ran) {
    let line = "ipv4     2 tcp      6 432000 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1001 \
        dport=80 packets=2 bytes=80 src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1001 packets=1 \
        bytes=40 [ASSURED] mark=0 zone=0 use=2\n";
    assert_eq!(ran.stdout, line, "{ran:?}");
}

#[test]
fn a_gzipped_capture_gives_the_same_table() {
    let plain = replay_web("").exits(0);
    let bench = Bench::of("web.pcap.gz", &gzip(&web()));
    let ran = bench.replay("web.pcap.gz").exits(0);
    ran.shows(&plain.stdout).says(&plain.stderr);
}

#[test]
fn standard_input_gives_the_same_table_plain_or_gzipped() {
    let plain = replay_web("").exits(0);
    pipe(&web())
        .exits(0)
        .shows(&plain.stdout)
        .says(&plain.stderr);
    pipe(&gzip(&web()))
        .exits(0)
        .shows(&plain.stdout)
        .says(&plain.stderr);
}

#[test]
fn a_defect_in_standard_input_is_said_to_be_there() {
    let ran = pipe(b"").exits(1).shows("");
    ran.says("ipct: standard input: offset 0: the file is empty, it has not even a header\n");
}

#[test]
fn two_files_are_merged_in_the_order_of_time_however_they_are_given() {
    let [syn, syn_ack, ack] = handshake(1001);
    let client = Pcap::new(RAW).at(1_000_000, &syn).at(1_000_200, &ack);
    let server = Pcap::new(RAW).at(1_000_100, &syn_ack);
    let bench = Bench::of("client.pcap", &client.bytes).with("server.pcap", &server.bytes);
    is_established(&bench.replay("client.pcap server.pcap").exits(0).says(""));
    is_established(&bench.replay("server.pcap client.pcap").exits(0).says(""));
}

#[test]
fn files_of_different_kinds_are_merged() {
    let [syn, syn_ack, ack] = handshake(1001);
    let client = Pcap::new(ETHERNET)
        .at(1_000_000, &ethernet(&syn))
        .at(1_000_200, &ethernet(&ack));
    let mut server = pcapng(&[RAW as u16]);
    server.extend(enhanced(0, 1_000_100, &syn_ack));
    let bench = Bench::of("client.pcap.gz", &gzip(&client.bytes)).with("server.pcapng", &server);
    is_established(
        &bench
            .replay("client.pcap.gz server.pcapng")
            .exits(0)
            .says(""),
    );
}

#[test]
fn one_pcapng_file_may_have_several_link_types() {
    let [syn, syn_ack, ack] = handshake(1001);
    let loopback = [&[2, 0, 0, 0], &*ack].concat();
    let mut file = pcapng(&[ETHERNET as u16, RAW as u16, 0]);
    file.extend(enhanced(0, 1_000_000, &ethernet(&syn)));
    file.extend(enhanced(1, 1_000_100, &syn_ack));
    file.extend(enhanced(2, 1_000_200, &loopback));
    let bench = Bench::of("any.pcapng", &file);
    is_established(&bench.replay("any.pcapng").exits(0).says(""));
}

#[test]
fn an_unknown_link_type_beside_known_ones_is_passed_over() {
    let [syn, syn_ack, ack] = handshake(1001);
    let mut file = pcapng(&[RAW as u16, 147]);
    file.extend(enhanced(0, 1_000_000, &syn));
    let offset = file.len();
    file.extend(enhanced(1, 1_000_050, &[1; 40]));
    file.extend(enhanced(0, 1_000_100, &syn_ack));
    file.extend(enhanced(0, 1_000_200, &ack));
    let ran = Bench::of("any.pcapng", &file).replay("any.pcapng").exits(1);
    is_established(&ran);
    ran.mentions(&[
        &format!("any.pcapng: offset {offset}: link type 147 is not known"),
        "4 packets; not tracked: 1 link_type",
    ]);
}
