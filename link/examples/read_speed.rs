//! Reads captures and does nothing with them but look at each frame: what reading costs.
//!
//!     cargo run --release -p ip_conntrack_link --example read_speed -- CAPTURE…

use std::time::Instant;

use ip_conntrack_link::{Capture, CaptureError};

fn main() -> Result<(), CaptureError> {
    for path in std::env::args().skip(1) {
        let begin = Instant::now();
        let mut capture = Capture::open(path.as_ref())?;
        let (mut packets, mut bytes, mut sum) = (0_u64, 0, 0_u64);
        while let Some(frames) = capture.next_frames()? {
            for frame in frames {
                packets += 1;
                bytes += frame.bytes.len();
                // A byte of each of the lines that a tracker reads first.
                let looked_at = [12, 23, 47].map(|at| frame.bytes.get(at).copied().unwrap_or(0));
                sum += looked_at.map(u64::from).iter().sum::<u64>();
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        let each = seconds * 1e9 / packets as f64;
        println!(
            "{path}: {packets} packets of {bytes} bytes, {seconds:.3} s, {each:.1} ns a packet ({sum:x})"
        );
    }
    Ok(())
}
