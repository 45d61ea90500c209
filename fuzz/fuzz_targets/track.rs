//! Frames at any time through a small tracker, laid out as a pcap file, so that captures are seeds.

#![no_main]

#[path = "../../engine/tests/hostile/drive.rs"]
#[allow(dead_code)]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::track(input));
