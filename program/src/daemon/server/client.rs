//! One connection: requests in, answers and events out.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ip_conntrack::format::netlink::own::Groups;
use ip_conntrack::format::netlink::{LONGEST, Message, Origin, put_error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Limits, Peer, Shared};
use crate::daemon::events::Mailbox;
use crate::daemon::worker::Gone;

/// A request that has begun must be complete after that long.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// A connection.
pub(super) struct Client<'a> {
    pub(super) shared: &'a Shared,
    stream: UnixStream,
    pub(super) peer: Peer,
    limits: Limits,
    /// What was received and is not answered yet: less than a message.
    received: Vec<u8>,
    /// What is to be sent.
    pub(super) out: Vec<u8>,
    /// Where this client's events wait.
    mailbox: Option<Arc<Mailbox>>,
    /// When it did something last.
    active: Instant,
    /// It takes over from this daemon.
    pub(super) is_heir: bool,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        stream: UnixStream,
        peer: Peer,
        limits: Limits,
    ) -> Client<'a> {
        Client {
            shared,
            stream,
            peer,
            limits,
            received: Vec::new(),
            out: Vec::new(),
            mailbox: None,
            active: Instant::now(),
            is_heir: false,
        }
    }

    /// Serves it to its end, or until it asks for the table to be handed over. => its stream in that case.
    ///
    /// # Errors
    ///
    /// It sent what is no message, was too slow, or closed the connection in the middle of something.
    pub(super) fn serve(mut self) -> io::Result<Option<UnixStream>> {
        while !self.is_heir {
            self.wait()?;
            if let Some(mailbox) = &self.mailbox {
                mailbox.take(&mut self.out);
                self.send()?;
            }
            if self.is_readable()? && !self.receive()? {
                return Ok(None);
            }
        }
        Ok(Some(self.stream))
    }

    /// Waits for a request or for events.
    fn wait(&mut self) -> io::Result<()> {
        let longest = match (self.received.is_empty(), &self.mailbox) {
            (false, _) => Some(REQUEST_TIME),
            (true, None) => Some(self.limits.timeout),
            (true, Some(_)) => None,
        };
        let left = longest.map(|longest| longest.saturating_sub(self.active.elapsed()));
        if left == Some(Duration::ZERO) {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it is silent for too long",
            ));
        }
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let stream = PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN);
        let _ = match &self.mailbox {
            Some(mailbox) => {
                let mailbox = PollFd::from_borrowed_fd(mailbox.as_fd(), PollFlags::IN);
                poll(&mut [stream, mailbox], timeout.as_ref())
            }
            None => poll(&mut [stream], timeout.as_ref()),
        };
        Ok(())
    }

    fn is_readable(&self) -> io::Result<bool> {
        let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
        let now = Timespec::default();
        Ok(poll(&mut fds, Some(&now))? > 0)
    }

    /// Takes what is there and answers what is complete. => `false` at the end.
    fn receive(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let count = self.stream.read(&mut bytes)?;
        if self.received.is_empty() {
            self.active = Instant::now();
        }
        self.received
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        let mut received = std::mem::take(&mut self.received);
        let mut used = 0;
        loop {
            let rest = received.get(used..).unwrap_or_default();
            let first = Message::first(rest).map_err(|malformed| self.broken(&malformed))?;
            let Some((message, len)) = first else {
                break;
            };
            // The padding of the last message may come later.
            if rest.len() < len {
                break;
            }
            used += len;
            self.answer(&message)?;
            self.active = Instant::now();
        }
        received.drain(..used.min(received.len()));
        debug_assert!(received.len() <= LONGEST);
        self.received = received;
        Ok(count > 0)
    }

    /// A stream that cannot be read any further. The client is told, if it listens at all.
    fn broken(&mut self, malformed: &dyn std::error::Error) -> io::Error {
        let nothing = Message {
            kind: 0,
            flags: 0,
            sequence: 0,
            port: 0,
            body: &[],
        };
        let einval = ip_conntrack::format::netlink::number::EINVAL;
        put_error(
            &mut self.out,
            &nothing,
            einval,
            Some(&malformed.to_string()),
        );
        let _ = self.send();
        io::Error::new(io::ErrorKind::InvalidData, malformed.to_string())
    }

    /// Sends what is to be sent.
    ///
    /// # Errors
    ///
    /// The client is gone, or takes nothing for too long.
    pub(super) fn send(&mut self) -> io::Result<()> {
        let sent = self.stream.write_all(&self.out);
        self.out.clear();
        self.active = Instant::now();
        sent
    }

    /// Has events of these groups sent from now on, and of no others.
    pub(super) fn listen(&mut self, groups: Groups) -> io::Result<Result<(), Gone>> {
        let mailbox = match self.mailbox.take() {
            Some(mailbox) => mailbox,
            None => Arc::new(Mailbox::new(self.limits.event_buffer)?),
        };
        if groups != Groups::default() {
            self.mailbox = Some(Arc::clone(&mailbox));
        }
        let workers = &self.shared.tracker.workers;
        let told = workers.ask_all(move |shard| shard.listen(&mailbox, groups));
        Ok(told.map(drop))
    }

    /// By whom changes are made that this client asks for.
    pub(super) fn origin(&self, message: &Message<'_>) -> Origin {
        Origin {
            sequence: message.sequence,
            port: self.peer.process,
        }
    }
}
