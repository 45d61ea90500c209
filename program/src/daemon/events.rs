//! Events on their way from the workers to those who listen.
//!
//! Each listener has a [`Mailbox`], which takes a bounded number of bytes: messages as they will be sent.
//! A worker puts events in and never waits. What does not fit is lost; the listener hears of that
//! once, in the place where the lost messages were, and from then on takes part again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ip_conntrack::format::netlink::{Origin, put_overrun};

use super::worker::Bell;

/// Events that wait for one listener.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    bell: Bell,
    /// Bytes.
    capacity: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Messages were lost behind those that wait.
    overrun: bool,
}

impl Mailbox {
    /// A mailbox for `capacity` bytes.
    ///
    /// # Errors
    ///
    /// The system has no file descriptor left.
    pub(crate) fn new(capacity: usize) -> io::Result<Mailbox> {
        Ok(Mailbox {
            waiting: Mutex::default(),
            bell: Bell::new()?,
            capacity,
        })
    }

    /// A poisoned lock is as good as any: nothing is half done under it.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in, or loses it.
    pub(crate) fn put(&self, message: &[u8]) {
        let mut waiting = self.waiting();
        let was_empty = waiting.bytes.is_empty() && !waiting.overrun;
        if waiting.overrun || waiting.bytes.len() + message.len() > self.capacity {
            waiting.overrun = true;
        } else {
            waiting.bytes.extend_from_slice(message);
        }
        drop(waiting);
        if was_empty {
            self.bell.ring();
        }
    }

    /// Takes out all that is there. `into` is emptied first.
    pub(crate) fn take(&self, into: &mut Vec<u8>) {
        into.clear();
        self.bell.hear();
        let mut waiting = self.waiting();
        std::mem::swap(into, &mut waiting.bytes);
        if std::mem::take(&mut waiting.overrun) {
            put_overrun(into, Origin::default());
        }
    }
}

impl AsFd for Mailbox {
    /// Readable when there is something to take.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use ip_conntrack::format::netlink::{Answer, Messages, Origin, put_done};

    use super::Mailbox;

    #[test]
    fn what_does_not_fit_is_lost_and_told_in_its_place() {
        let mailbox = Mailbox::new(50).expect("a mailbox");
        let mut message = Vec::new();
        put_done(&mut message, Origin::default());
        (0..5).for_each(|_| mailbox.put(&message));
        let mut taken = Vec::new();
        mailbox.take(&mut taken);
        let told: Vec<_> = Messages::new(&taken)
            .map(|message| Answer::read(&message.expect("a message")))
            .collect();
        assert_eq!(
            told,
            [
                Some(Answer::Done(0)),
                Some(Answer::Done(0)),
                Some(Answer::Overrun)
            ]
        );
        mailbox.put(&message);
        mailbox.take(&mut taken);
        assert_eq!(taken, message);
    }
}
