//! Real captures, many times over: each time their IPv4 addresses are moved elsewhere, so that a few
//! connections of a capture become many.

use ip_conntrack_link::Capture;

use super::clock::{cpu_ns, median};
use super::engine::Engine;
use super::frames::Ring;
use super::{Options, Report, Workload};

/// Frames that are measured at a time.
const STRETCH: usize = 1 << 13;

/// A frame is cut to that length: headers.
const CUT: usize = 128;

const ETHERNET: u32 = 1;

/// Tracks the captures over and over, until there are as many entries as asked for, or no more come.
///
/// # Errors
///
/// A capture cannot be read, or none has Ethernet frames.
pub fn run(options: &Options) -> Result<Report, String> {
    let frames = read(options)?;
    let engine = Engine::new(options.connections, false);
    let mut engine = engine.map_err(|error| error.to_string())?;
    let copies = (options.frame_bytes / CUT / frames.len()).max(1);
    let mut ours = Vec::new();
    let mut packets = 0u64;
    let mut ring = Ring::new(super::Family::V6, STRETCH + frames.len());
    for copy in 0..copies as u32 {
        for frame in &frames {
            ring.push_bytes(&moved(frame, copy));
        }
        if ring.len() < STRETCH && copy + 1 < copies as u32 {
            continue;
        }
        let begun = cpu_ns();
        engine.feed(&ring, 0..ring.len());
        ours.push((cpu_ns() - begun) as f64 / ring.len() as f64);
        packets += ring.len() as u64;
        ring.clear();
    }
    let mut report = Report::new(Workload::Mixed, options, median(&mut ours));
    report.more.push(("packets", packets as f64));
    report.more.push(("entries", engine.conntrack.len() as f64));
    Ok(report)
}

fn read(options: &Options) -> Result<Vec<Vec<u8>>, String> {
    let mut frames = Vec::new();
    for path in &options.captures {
        let mut capture = Capture::open(path).map_err(|error| error.to_string())?;
        // What is damaged in a capture is not what is measured.
        while let Ok(Some(frame)) = capture.next_frame() {
            if frame.link_type == ETHERNET && !frame.bytes.is_empty() {
                frames.push(frame.bytes[..frame.bytes.len().min(CUT)].to_vec());
            }
        }
    }
    if frames.is_empty() {
        return Err("no Ethernet frames; name captures with --capture FILE".to_owned());
    }
    Ok(frames)
}

/// The frame with the second byte of both IPv4 addresses changed, by one number for each copy, which
/// keeps the two directions of a connection together.
fn moved(frame: &[u8], copy: u32) -> Vec<u8> {
    const ADDRESSES: usize = 26;
    let mut frame = frame.to_vec();
    let is_v4 = frame.get(12..14) == Some(&[0x08, 0x00]);
    let [_, a, b, c] = copy.to_be_bytes();
    for address in [ADDRESSES, ADDRESSES + 4] {
        if let Some(bytes) = frame.get_mut(address..address + 3)
            && is_v4
        {
            for (byte, change) in bytes.iter_mut().zip([a, b, c]) {
                *byte ^= change;
            }
        }
    }
    frame
}
