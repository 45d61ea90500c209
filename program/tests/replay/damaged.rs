//! Files that are not what they should be: what could be read is tracked and shown, stderr names the
//! file, the offset and the defect, and the exit status is 1. Bad packets in a good file are no such
//! defect: they are counted, and the exit status is 0.

use crate::bench::Bench;
use crate::build::{
    CLIENT, ETHERNET, Pcap, RAW, SERVER, block, enhanced, ethernet, gzip, pcapng, udp,
};

/// One packet of a connection of which nothing else is to be seen.
fn question() -> Vec<u8> {
    udp((CLIENT, 4000), (SERVER, 53), 12)
}

const ENTRY: &str = "ipv4     2 udp      17 30 src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=53 \
    packets=1 bytes=40 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=53 dport=4000 packets=0 bytes=0 \
    mark=0 zone=0 use=2\n";

/// A sound file with that packet.
fn sound() -> Pcap {
    Pcap::new(RAW).at(1_000_000, &question())
}

#[test]
fn a_sound_file_shows_its_entry_and_nothing_is_said() {
    let bench = Bench::of("a.pcap", &sound().bytes);
    bench.replay("a.pcap").exits(0).shows(ENTRY).says("");
}

#[test]
fn a_missing_file_is_named() {
    Bench::new()
        .replay("none.pcap")
        .exits(1)
        .shows("")
        .says("ipct: none.pcap: cannot be opened: No such file or directory (os error 2)\n");
}

#[test]
fn a_missing_file_does_not_keep_the_others_from_being_tracked() {
    let bench = Bench::of("a.pcap", &sound().bytes);
    let ran = bench.replay("none.pcap a.pcap").exits(1).shows(ENTRY);
    ran.mentions(&["none.pcap: cannot be opened"]);
}

#[test]
fn a_directory_is_no_capture() {
    let ran = Bench::new().replay(".").exits(1).shows("");
    ran.says("ipct: .: offset 0: cannot be read: Is a directory (os error 21)\n");
}

#[test]
fn an_empty_file_is_called_empty() {
    let bench = Bench::of("empty.pcap", b"");
    let ran = bench.replay("empty.pcap").exits(1).shows("");
    ran.says("ipct: empty.pcap: offset 0: the file is empty, it has not even a header\n");
}

#[test]
fn a_file_that_is_no_capture_is_told_by_its_first_bytes() {
    let bench = Bench::of("notes.txt", b"hello, world\n");
    bench.replay("notes.txt").exits(1).shows("").says(
        "ipct: notes.txt: offset 0: not a capture: it begins with 68 65 6c 6c 6f 2c 20 77 \
         (\"hello, w\"); pcap and pcapng are read, plain or in gzip\n",
    );
}

#[test]
fn a_compressed_file_of_another_kind_gets_advice() {
    let bench = Bench::of("a.pcap.zst", b"\x28\xb5\x2f\xfd rest");
    let ran = bench.replay("a.pcap.zst").exits(1).shows("");
    ran.mentions(&["a.pcap.zst: offset 0: ", "zstd -d"]);
}

#[test]
fn a_file_header_that_is_cut_is_named() {
    let bench = Bench::of("cut.pcap", &sound().bytes[..20]);
    let ran = bench.replay("cut.pcap").exits(1).shows("");
    ran.mentions(&["ipct: cut.pcap: offset 0: cut in the middle of a file header: 20 of 24 bytes"]);
}

#[test]
fn what_is_before_a_cut_packet_is_tracked() {
    let mut file = sound().at(2_000_000, &question()).bytes;
    file.truncate(file.len() - 7);
    let bench = Bench::of("cut.pcap", &file);
    bench.replay("cut.pcap").exits(1).shows(ENTRY).says(
        "ipct: cut.pcap: offset 80: cut in the middle of a packet: 33 of 40 bytes; what is before \
         it was read\n",
    );
}

#[test]
fn what_is_before_a_cut_packet_header_is_tracked() {
    let mut file = sound().bytes;
    file.extend([0; 5]);
    let bench = Bench::of("cut.pcap", &file);
    let ran = bench.replay("cut.pcap").exits(1).shows(ENTRY);
    ran.mentions(&["cut.pcap: offset 80: cut in the middle of a packet header: 5 of 16 bytes"]);
}

#[test]
fn a_packet_length_that_lies_is_not_believed() {
    let mut file = sound().bytes;
    for word in [2_u32, 0, 0xffff_fff0, 60] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 60]);
    let bench = Bench::of("lies.pcap", &file);
    let ran = bench.replay("lies.pcap").exits(1).shows(ENTRY);
    ran.mentions(&["lies.pcap: offset 80: ", "4294967280 bytes is not believed"]);
}

#[test]
fn a_pcapng_block_whose_two_lengths_differ_ends_the_file() {
    let mut file = pcapng(&[RAW as u16]);
    file.extend(enhanced(0, 1_000_000, &question()));
    let offset = file.len();
    let mut lying = block(5, &[0; 8]);
    let end = lying.len() - 4;
    lying[end] ^= 0x40;
    file.extend(lying);
    let bench = Bench::of("lies.pcapng", &file);
    let ran = bench.replay("lies.pcapng").exits(1).shows(ENTRY);
    ran.mentions(&[&format!(
        "lies.pcapng: offset {offset}: a block of 20 bytes says at its end that it has 84"
    )]);
}

#[test]
fn a_gzip_stream_that_is_cut_is_told_from_a_capture_that_is_cut() {
    let zipped = gzip(&sound().at(2_000_000, &question()).bytes);
    let bench = Bench::of("a.pcap.gz", &zipped[..zipped.len() - 9]);
    let ran = bench.replay("a.pcap.gz").exits(1);
    ran.mentions(&["a.pcap.gz: offset ", "the gzip stream is damaged or cut"]);
}

#[test]
fn one_damaged_file_of_two_does_not_end_the_other() {
    let mut cut = Pcap::new(RAW).at(1_000_000, &[0x45]).bytes;
    cut.pop();
    let bench = Bench::of("cut.pcap", &cut).with("a.pcap", &sound().bytes);
    let ran = bench.replay("cut.pcap a.pcap").exits(1).shows(ENTRY);
    ran.mentions(&["cut.pcap: offset 24: cut in the middle of a packet: 0 of 1 bytes"]);
}

#[test]
fn an_unknown_link_type_is_named_once_and_its_packets_are_counted() {
    let frame = [0; 60];
    let file = Pcap::new(147).at(1_000_000, &frame).at(2_000_000, &frame);
    let bench = Bench::of("odd.pcap", &file.bytes);
    bench.replay("odd.pcap").exits(1).shows("").says(
        "ipct: odd.pcap: offset 24: link type 147 is not known; its packets are passed over \
         (tcpdump or editcap can convert the capture to Ethernet or raw IP)\n\
         ipct: 2 packets; not tracked: 2 link_type\n",
    );
}

#[test]
fn bad_packets_in_a_good_file_are_counted_by_reason() {
    let cut_header = ethernet(&[0x45, 0, 0]);
    let mut arp = ethernet(&[0; 28]);
    arp[12..14].copy_from_slice(&[8, 6]);
    let file = Pcap::new(ETHERNET)
        .at(1_000_000, &ethernet(&question()))
        .at(1_000_000, &[1, 2, 3])
        .at(1_000_000, &arp)
        .at(1_000_000, &arp)
        .at(1_000_000, &cut_header);
    let bench = Bench::of("mixed.pcap", &file.bytes);
    let ran = bench.replay("mixed.pcap").exits(0).shows(ENTRY);
    ran.says("ipct: 5 packets; not tracked: 1 link_short, 2 not_ip, 1 ip_header\n");
}
