//! A capture file, read to its end: it ends, an error comes once and is last, and frames lie in the file.

#![no_main]

use std::io::Cursor;

use ip_conntrack_link::Capture;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let reader = Box::new(Cursor::new(input.to_vec()));
    let name = String::from("fuzz");
    let mut capture = match Capture::from_reader(name, reader, Some(input.len() as u64)) {
        Ok(capture) => capture,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let (mut frames, mut last) = (0, None);
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                assert_eq!(frame.index, frames);
                assert!(frame.wire_len as usize >= frame.bytes.len());
                assert!(last.is_none_or(|last| last < frame.offset));
                last = Some(frame.offset);
                frames += 1;
            }
            Ok(None) => return,
            Err(error) => {
                assert!(last.is_none_or(|last| last < error.offset));
                assert!(!error.to_string().is_empty());
                assert!(matches!(capture.next_frame(), Ok(None)));
                return;
            }
        }
    }
});
