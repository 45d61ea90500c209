//! Workers of a bridge give each other the frames that came to the wrong one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use ip_conntrack::Dispatch;
use ip_conntrack_link::wire::Side;

use crate::daemon::worker::Bell;

/// Frames that wait for a worker from each of the others.
const HANDED_OVER: usize = 1024;

/// The other workers, and what goes to and fro.
pub(super) struct Mates {
    pub(super) dispatch: Dispatch,
    pub(super) number: usize,
    /// To each of them, itself included.
    pub(super) others: Vec<(SyncSender<Strayed>, Arc<Bell>)>,
    pub(super) strayed: Receiver<Strayed>,
    pub(super) bell: Arc<Bell>,
}

/// A frame that came to another worker than its own, or waits.
pub(super) struct Strayed {
    pub(super) side: Side,
    pub(super) bytes: Box<[u8]>,
}

impl Mates {
    /// Those of as many workers as the dispatch has.
    ///
    /// # Errors
    ///
    /// The system has no more file descriptors.
    pub(super) fn several(dispatch: &Dispatch) -> io::Result<Vec<Mates>> {
        let mut senders = Vec::new();
        let mut receivers = Vec::new();
        for _ in 0..dispatch.shards() {
            let (sender, receiver) = sync_channel(HANDED_OVER);
            let bell = Arc::new(Bell::new()?);
            senders.push((sender, Arc::clone(&bell)));
            receivers.push((receiver, bell));
        }
        let mates = receivers
            .into_iter()
            .enumerate()
            .map(|(number, (strayed, bell))| Mates {
                dispatch: dispatch.clone(),
                number,
                others: senders.clone(),
                strayed,
                bell,
            });
        Ok(mates.collect())
    }

    /// Hands a frame over. => whether it was taken.
    pub(super) fn send(&self, home: usize, side: Side, bytes: &[u8]) -> bool {
        let Some((sender, bell)) = self.others.get(home) else {
            return false;
        };
        match sender.try_send(Strayed::of(side, bytes)) {
            Ok(()) => {
                bell.ring();
                true
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Strayed {
    pub(super) fn of(side: Side, bytes: &[u8]) -> Strayed {
        Strayed {
            side,
            bytes: bytes.into(),
        }
    }
}
