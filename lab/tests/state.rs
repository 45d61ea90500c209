//! State saved in the middle of a capture: given back to another tracker, that goes on as the first one does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use ip_conntrack::format::netlink::Messages;
use ip_conntrack::{Config, Connection, Conntrack, Knob, LinkType, Packet, Time, Verdict};
use ip_conntrack_link::Capture;

struct Frame {
    link: LinkType,
    bytes: Vec<u8>,
    wire_len: usize,
    time: Time,
}

fn frames() -> Vec<Frame> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures/web.pcap");
    let mut capture = Capture::open(&file).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame().unwrap() {
        frames.push(Frame {
            link: LinkType::from_number(frame.link_type).unwrap(),
            bytes: frame.bytes.to_vec(),
            wire_len: frame.wire_len as usize,
            time: Time::from_nanos(frame.time_ns),
        });
    }
    frames
}

fn track(conntrack: &mut Conntrack, frame: &Frame) -> Verdict {
    conntrack.advance(frame.time);
    let verdict = match Packet::parse_cut(frame.link, &frame.bytes, frame.wire_len) {
        Ok(packet) => conntrack.track(&packet, frame.time),
        Err(reason) => conntrack.skip(reason),
    };
    Verdict {
        connection: None,
        ..verdict
    }
}

fn shown(conntrack: &Conntrack) -> Vec<Connection> {
    let mut shown: Vec<_> = conntrack
        .connections()
        .map(|connection| Connection {
            id: 0,
            ..connection
        })
        .collect();
    shown.sort_by_key(|connection| connection.original);
    shown
}

#[test]
fn a_tracker_that_was_given_back_its_state_goes_on_as_before() {
    let frames = frames();
    let mut config = Config::default();
    for knob in [Knob::Acct, Knob::Timestamp] {
        config.set(knob, 1).unwrap();
    }
    for part in 1..8 {
        let (before, after) = frames.split_at(frames.len() * part / 8);
        let mut one = Conntrack::new(config.clone(), 1);
        for frame in before {
            track(&mut one, frame);
        }
        let mut saved = Vec::new();
        assert_eq!(one.save_from(0, u32::MAX, &mut saved), None);
        let mut other = Conntrack::new(config.clone(), 2);
        for message in Messages::new(&saved) {
            other.restore(&message.unwrap(), one.now()).unwrap();
        }
        assert!(!other.is_empty());
        assert_eq!(shown(&other), shown(&one));
        for frame in after {
            assert_eq!(track(&mut other, frame), track(&mut one, frame));
        }
        assert_eq!(shown(&other), shown(&one));
    }
}
