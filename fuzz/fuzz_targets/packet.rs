//! One frame; its first byte is the link type.

#![no_main]

#[path = "../../engine/tests/hostile/drive.rs"]
#[allow(dead_code)]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::packet(input));
