//! Netlink messages, as far as the lab needs them: nested attributes out, attributes in.
//!
//! Facts: the kernel's netlink header is length, type, flags, sequence, port (native byte order); an
//! attribute is length, type, payload, padded to four bytes; netfilter's own header is family,
//! version, resource id (big-endian).

use std::io::{self, ErrorKind};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;

pub(super) const REQUEST: u16 = 0x1;
pub(super) const ACK: u16 = 0x4;
pub(super) const DUMP: u16 = 0x300;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 16;

/// A message under construction.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// `kind` is subsystem × 256 + message.
    pub(super) fn new(kind: u16, flags: u16, family: u8, resource: u16) -> Message {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | REQUEST).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, 0]);
        bytes.extend(resource.to_be_bytes());
        Message(bytes)
    }

    pub(super) fn attribute(&mut self, kind: u16, payload: &[u8]) -> &mut Message {
        let len = 4 + payload.len() as u16;
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) -> &mut Message {
        let at = self.0.len();
        self.attribute(kind | NESTED, &[]);
        fill(self);
        let len = (self.0.len() - at) as u16;
        self.0[at..at + 2].copy_from_slice(&len.to_ne_bytes());
        self
    }

    fn finish(&mut self) -> &[u8] {
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        &self.0
    }
}

/// The attributes of a message or of another attribute: type and payload.
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let [a, b, c, d] = *self.0.first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let payload = self.0.get(4..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & TYPE_MASK, payload))
    }
}

/// A received message: type, flags, and the bytes behind netfilter's own header.
pub(super) struct Received<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    /// The resource id: for log messages, the group.
    pub(super) group: u16,
    pub(super) attributes: &'a [u8],
}

/// A netfilter socket.
pub(super) struct Netlink {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Netlink {
    /// A socket that listens to multicast groups; reading it never blocks.
    pub(super) fn listener(groups: &[u32]) -> io::Result<Netlink> {
        let netlink = Netlink::requester()?;
        for group in groups {
            netlink.socket.add_membership(*group)?;
        }
        netlink.listen()?;
        Ok(netlink)
    }

    /// Leaves multicast groups at once, whoever else may hold the socket.
    pub(super) fn leave(self, groups: &[u32]) -> io::Result<()> {
        let mut groups = groups.iter();
        groups.try_for_each(|group| self.socket.drop_membership(*group))
    }

    /// From now on, reading never blocks, and a burst is not lost.
    pub(super) fn listen(&self) -> io::Result<()> {
        self.socket.set_rx_buf_sz(8i32 << 20)?;
        self.socket.set_non_blocking(true)
    }

    /// A socket for requests and their answers.
    pub(super) fn requester() -> io::Result<Netlink> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        Ok(Netlink {
            socket,
            buffer: Vec::with_capacity(1 << 17),
        })
    }

    fn receive(&mut self) -> io::Result<usize> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer, 0)
    }

    /// Sends a request and hands each answer to `each`.
    ///
    /// # Errors
    ///
    /// The kernel's error number, as [`io::Error::raw_os_error`].
    pub(super) fn request(
        &mut self,
        message: &mut Message,
        each: impl FnMut(&Received<'_>),
    ) -> io::Result<()> {
        self.socket.send(message.finish(), 0)?;
        self.answer(each)
    }

    /// Sends messages in one piece.
    pub(super) fn send(&mut self, messages: &mut [Message]) -> io::Result<()> {
        let bytes: Vec<u8> = messages
            .iter_mut()
            .flat_map(|m| m.finish().to_vec())
            .collect();
        self.socket.send(&bytes, 0).map(|_| ())
    }

    /// Hands each answer to `each`, up to the one that says that it was the last.
    pub(super) fn answer(&mut self, mut each: impl FnMut(&Received<'_>)) -> io::Result<()> {
        let mut outcome = None;
        while outcome.is_none() {
            self.receive()?;
            split(&self.buffer, |received, body| match received.kind {
                NLMSG_DONE => outcome = Some(Ok(())),
                NLMSG_ERROR => outcome = Some(error(body)),
                _ => each(received),
            });
        }
        outcome.unwrap_or(Ok(()))
    }

    /// Hands over what has arrived. Returns whether all of it did: messages that found no room in the
    /// socket are lost.
    pub(super) fn drain(&mut self, mut each: impl FnMut(&Received<'_>)) -> io::Result<bool> {
        const ENOBUFS: i32 = 105;
        let mut whole = true;
        loop {
            match self.receive() {
                Ok(_) => split(&self.buffer, |received, _| each(received)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(whole),
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => whole = false,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Error number 0 is an acknowledgement.
fn error(body: &[u8]) -> io::Result<()> {
    let number = body
        .first_chunk::<4>()
        .map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    match number {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(-number)),
    }
}

fn split(mut bytes: &[u8], mut each: impl FnMut(&Received<'_>, &[u8])) {
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(message) = bytes.get(..len).filter(|_| len >= HEADER) else {
            return;
        };
        let received = Received {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            group: message
                .get(HEADER + 2..HEADER + 4)
                .map_or(0, |id| u16::from_be_bytes([id[0], id[1]])),
            attributes: message.get(HEADER + 4..).unwrap_or_default(),
        };
        each(&received, &message[HEADER..]);
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
}
