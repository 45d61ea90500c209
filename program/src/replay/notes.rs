//! What is to be said about a capture, on stderr and not too often.

use std::fmt::Write;

use ip_conntrack::{Conntrack, Kind, Reason, Time};
use ip_conntrack_link::Frame;

use crate::often::Often;
use crate::say;

/// A step back of the clock that is worth a line; smaller ones come from reordering while capturing.
const STEP_BACK_NS: u64 = 1_000_000_000;
/// A leap forward that is worth a line.
const LEAP_NS: u64 = 365 * 86_400 * 1_000_000_000;

/// One packet in so many with a wrong checksum is no accident.
const WRONG_CHECKSUMS_ONE_IN: u64 = 20;

/// What was noticed on the way.
#[derive(Debug, Default)]
pub(super) struct Notes {
    last_ns: Option<u64>,
    told_step_back: bool,
    told_leap: bool,
    full: Often,
}

/// A link type that cannot be read: said once for each file.
pub(super) fn unknown_link(file: &str, frame: &Frame<'_>) {
    let Frame {
        offset, link_type, ..
    } = frame;
    say(format_args!(
        "{file}: offset {offset}: link type {link_type} is not known; its packets are passed over \
         (tcpdump or editcap can convert the capture to Ethernet or raw IP)"
    ));
}

impl Notes {
    /// Looks at the clock of a frame.
    pub(super) fn clock(&mut self, file: &str, frame: &Frame<'_>) {
        let Some(last) = self.last_ns.replace(frame.time_ns) else {
            return;
        };
        let (offset, now) = (frame.offset, frame.time_ns);
        if last > now && last - now >= STEP_BACK_NS && !self.told_step_back {
            self.told_step_back = true;
            let secs = (last - now) as f64 / 1e9;
            say(format_args!(
                "{file}: offset {offset}: the clock runs backwards by {secs:.3} s; time stands still \
                 until it has caught up"
            ));
        }
        if now > last && now - last >= LEAP_NS && !self.told_leap {
            self.told_leap = true;
            let days = (now - last) / 86_400_000_000_000;
            say(format_args!(
                "{file}: offset {offset}: the clock leaps {days} days ahead; connections before that \
                 have run out"
            ));
        }
    }

    /// The log line of a packet that a full table refused.
    pub(super) fn table_full(&mut self, now: Time) {
        if self.full.may_say(now) {
            say(format_args!("ip_conntrack: table full, dropping packet."));
        }
    }

    /// What is worth knowing at the end.
    pub(super) fn summary(&self, conntrack: &Conntrack) {
        if self.full.suppressed > 0 {
            say(format_args!(
                "{} more messages of this kind were not written",
                self.full.suppressed
            ));
        }
        let stats = conntrack.stats();
        let wrong_ip = stats.reason(Reason::IpChecksum);
        let wrong: u64 = CHECKSUMS.iter().map(|reason| stats.reason(*reason)).sum();
        if wrong > 0 && wrong * WRONG_CHECKSUMS_ONE_IN >= stats.packets {
            say(format_args!(
                "{wrong} of {} packets have a wrong checksum{}, as when the capturing host leaves \
                 checksums to its network card; --sysctl nf_conntrack_checksum=0 ignores them",
                stats.packets,
                if wrong == wrong_ip {
                    " in the IP header"
                } else {
                    ""
                },
            ));
        }
        let mut passed_over = String::new();
        for reason in Reason::ALL {
            let count = stats.reason(*reason);
            if count > 0
                && matches!(
                    reason.kind(),
                    Kind::Skipped | Kind::IpLayer | Kind::Fragment
                )
            {
                let separator = if passed_over.is_empty() { "" } else { ", " };
                let _ = write!(passed_over, "{separator}{count} {}", reason.name());
            }
        }
        if !passed_over.is_empty() {
            say(format_args!(
                "{} packets; not tracked: {passed_over}",
                stats.packets
            ));
        }
    }
}

const CHECKSUMS: [Reason; 6] = [
    Reason::IpChecksum,
    Reason::TcpChecksum,
    Reason::UdpChecksum,
    Reason::UdpliteChecksum,
    Reason::IcmpChecksum,
    Reason::SctpChecksum,
];
