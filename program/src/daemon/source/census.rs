//! How many entries each source address has, over all workers.
//!
//! Asked and told when connections come and go, so one lock is enough; an address without entries takes no
//! memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ip_conntrack::Census;

/// Entries by source, and the most that one may have.
#[derive(Debug)]
pub(crate) struct Sources {
    entries: Mutex<HashMap<IpAddr, u32>>,
    most: u32,
}

impl Sources {
    pub(crate) fn new(most: u32) -> Sources {
        Sources {
            entries: Mutex::default(),
            most,
        }
    }

    /// A poisoned lock is as good as any: nothing is half done under it.
    fn entries(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Census for Sources {
    fn may_enter(&self, source: IpAddr) -> bool {
        let entries = self.entries();
        entries.get(&source).is_none_or(|count| *count < self.most)
    }

    fn entered(&self, source: IpAddr) {
        *self.entries().entry(source).or_default() += 1;
    }

    fn left(&self, source: IpAddr) {
        let mut entries = self.entries();
        if let Some(count) = entries.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                entries.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use ip_conntrack::Census;

    use super::Sources;

    #[test]
    fn a_source_has_as_many_entries_as_it_may_and_is_forgotten_without_any() {
        let source = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1));
        let sources = Sources::new(2);
        for _ in 0..2 {
            assert!(sources.may_enter(source));
            sources.entered(source);
        }
        assert!(!sources.may_enter(source));
        assert!(sources.may_enter(IpAddr::from(Ipv4Addr::new(10, 0, 0, 2))));
        sources.left(source);
        assert!(sources.may_enter(source));
        sources.left(source);
        assert!(sources.entries().is_empty());
    }
}
