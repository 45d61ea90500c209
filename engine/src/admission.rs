//! Who may open connections: what a tracker in the path of packets is told of its owner's policy.
//!
//! Two questions are asked of a packet that would open a connection, and only of those: whether
//! connections may be opened now at all, which the owner sets before packets of another side of the
//! network come, and whether the packet's source has as many entries as one source may have. A packet
//! that may not is refused before anything is evicted for it, and leaves no trace.
//!
//! Sources are counted outside ([`Census`]), since several trackers may have entries of one source. A tracker
//! tells of every entry that comes and goes, however it does; so the count is exact.

use alloc::sync::Arc;
use core::fmt::Debug;
use core::net::IpAddr;

use crate::conntrack::Conntrack;
use crate::packet::Packet;
use crate::tuple::Direction;
use crate::verdict::Reason;

/// Counts entries by the source of their original direction, for one tracker or for several.
pub trait Census: Debug + Send + Sync {
    /// Whether a source may have one more entry.
    fn may_enter(&self, source: IpAddr) -> bool;

    /// It has one more.
    fn entered(&self, source: IpAddr);

    /// It has one less.
    fn left(&self, source: IpAddr);
}

/// What a tracker knows of the policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    is_closed: bool,
    census: Option<Arc<dyn Census>>,
}

impl Admission {
    /// Why nobody may open a connection now.
    #[inline]
    pub(crate) fn shut(&self) -> Option<Reason> {
        self.is_closed.then_some(Reason::SideClosed)
    }

    /// Why a packet may not open a connection.
    #[inline]
    pub(crate) fn refuses(&self, packet: &Packet<'_>) -> Option<Reason> {
        if let Some(reason) = self.shut() {
            return Some(reason);
        }
        let census = self.census.as_ref()?;
        let may_enter = census.may_enter(packet.addresses().source());
        (!may_enter).then_some(Reason::SourceLimit)
    }
}

impl Conntrack {
    /// Whether packets that come from now on may open connections, as they may at first. One that would and
    /// may not is dropped ([`Reason::SideClosed`]); those of known connections pass as ever.
    pub fn set_open(&mut self, is_open: bool) {
        self.admission.is_closed = !is_open;
    }

    /// Asks this census before a packet opens a connection, and tells it of every entry, beginning with those
    /// that are there. Entries that are made by hand are counted and never refused.
    pub fn set_census(&mut self, census: Arc<dyn Census>) {
        let sources = self.connections().map(|connection| connection.original.src);
        sources.for_each(|source| census.entered(source));
        self.admission.census = Some(census);
    }

    #[inline(always)]
    pub(crate) fn note_entered(&self, slot: u32) {
        if let Some(census) = &self.admission.census {
            census.entered(self.source_of(slot));
        }
    }

    #[inline(always)]
    pub(crate) fn note_left(&self, slot: u32) {
        if let Some(census) = &self.admission.census {
            census.left(self.source_of(slot));
        }
    }

    fn source_of(&self, slot: u32) -> IpAddr {
        self.table.tuple(slot, Direction::Original).src
    }
}
