//! A second instance takes over from the first (`ipct run --replace`).
//!
//! *In this order.* The new daemon checks its configuration, and asks the old one over the control socket
//! (`own::HAND_OVER`). The old one saves its table while packets still go on: if that fails, it says so and stays.
//! Then it takes away its files and its socket, sees packets to their end, closes their source, and sends
//! the entries, as they stand in a state file. When all are there, the new one opens the source, and starts. Last of
//! all it says that it is there, and the old one ends with status 0. Packets find nobody between the closing of
//! the one source and the opening of the other.
//!
//! *Nobody loses the table.* Until the new daemon has said that it is there, the old one has it, and saves it if that
//! word does not come; and if both are killed, there is the file from before. Without a state file the table is lost
//! only if the new daemon cannot start.
//!
//! *What goes over* is the table. Knobs are those of the new daemon's configuration, as at any start.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ip_conntrack::format::netlink::{
    Answer, Ask, Message, Messages, Origin, Request, own, put_done, put_error,
};
use rustix::net::{RecvFlags, recv};
use tracing::info;

use super::state::VERSION;
use super::tracker::{Tracker, Walk};
use super::worker::SLOTS_AT_ONCE;

/// So long at most does one wait for the other's next word: a table is saved meanwhile, or read.
const PATIENCE: Duration = Duration::from_secs(60);

/// `EIO`.
const EIO: i32 = 5;

/// The daemon before, as the new one sees it.
pub(super) struct Predecessor {
    stream: UnixStream,
}

impl Predecessor {
    /// Asks the daemon that serves a control socket to hand over. => `None` if there is none.
    ///
    /// # Errors
    ///
    /// In words: it cannot be asked.
    pub(super) fn ask(control: &Path) -> Result<Option<Predecessor>, String> {
        let said = |error: io::Error| {
            let name = control.display();
            format!("{name}: the daemon there cannot be asked to hand over: {error}")
        };
        let mut stream = match UnixStream::connect(control) {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => {
                info!("{}: no daemon there to take over from", control.display());
                return Ok(None);
            }
            Err(error) => return Err(said(error)),
        };
        stream.set_read_timeout(Some(PATIENCE)).map_err(said)?;
        let mut request = Vec::new();
        Request {
            origin: Origin::default(),
            ack: false,
            ask: Ask::Own(own::Ask::HandOver(VERSION.into())),
        }
        .write(&mut request);
        stream.write_all(&request).map_err(said)?;
        Ok(Some(Predecessor { stream }))
    }

    /// Hands over its entries, as messages. => how many there were.
    ///
    /// # Errors
    ///
    /// In words: it does not hand over, or not all.
    pub(super) fn entries(&mut self, mut each: impl FnMut(&Message<'_>)) -> Result<u64, String> {
        let said = |why: &dyn std::fmt::Display| {
            format!("the daemon before does not hand its table over: {why}")
        };
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
        let mut count = 0;
        loop {
            let read = self.stream.read(&mut chunk).map_err(|error| said(&error))?;
            if read == 0 {
                return Err(said(&"it has ended; its table is in its state file"));
            }
            bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
            let mut used = 0;
            loop {
                let rest = bytes.get(used..).unwrap_or_default();
                let first = Message::first(rest).map_err(|malformed| said(&malformed))?;
                let Some((message, len)) = first.filter(|(_, len)| *len <= rest.len()) else {
                    break;
                };
                used += len;
                match Answer::read(&message) {
                    Some(Answer::Done(_)) => return Ok(count),
                    Some(Answer::Error(errno, words)) => {
                        let error = io::Error::from_raw_os_error(errno);
                        let words = words.map_or_else(|| error.to_string(), str::to_owned);
                        return Err(said(&words));
                    }
                    _ if message.kind == own::STATE => {
                        each(&message);
                        count += 1;
                    }
                    _ => {}
                }
            }
            bytes.drain(..used.min(bytes.len()));
        }
    }

    /// Says that the new daemon is there, and the old one may end.
    pub(super) fn let_go(mut self) {
        let mut word = Vec::new();
        put_done(&mut word, Origin::default());
        // If nobody hears it, the old one has the table, too, and saves it.
        let _ = self.stream.write_all(&word);
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Whether who asked for the table still waits for it.
pub(super) fn is_there(heir: &UnixStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    !matches!(recv(heir, &mut [0; 1][..], flags), Ok((_, 0)))
}

/// Says that the table is not handed over.
pub(super) fn refuse(heir: &mut UnixStream, why: &str) {
    let asked = Message {
        kind: own::HAND_OVER,
        flags: 0,
        sequence: 0,
        port: 0,
        body: &[],
    };
    let mut out = Vec::new();
    put_error(&mut out, &asked, EIO, Some(why));
    let _ = heir.write_all(&out);
}

/// Hands the table over, and waits for the new daemon to be there. => how many entries went.
///
/// # Errors
///
/// It did not take them, or did not say that it is there.
pub(super) fn give(heir: &mut UnixStream, tracker: &Tracker) -> io::Result<usize> {
    heir.set_write_timeout(Some(PATIENCE))?;
    heir.set_read_timeout(Some(PATIENCE))?;
    let (mut walk, mut out, mut count) = (Walk::default(), Vec::new(), 0);
    loop {
        out.clear();
        let step = walk.step(tracker, move |shard, cursor| {
            let next = shard.conntrack.save_from(cursor, SLOTS_AT_ONCE, &mut out);
            (out, next)
        });
        match step {
            Ok(Some(filled)) => out = filled,
            Ok(None) => break,
            Err(_) => return Err(io::Error::other("a worker has ended")),
        }
        count += Messages::new(&out).count();
        heir.write_all(&out)?;
    }
    let mut end = Vec::new();
    put_done(&mut end, Origin::default());
    heir.write_all(&end)?;
    match heir.read(&mut [0; 64])? {
        0 => Err(io::Error::other("the new daemon has ended")),
        _ => Ok(count),
    }
}
