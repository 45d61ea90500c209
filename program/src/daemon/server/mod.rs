//! The control socket: whoever may connect to it may read the table.
//!
//! *Language.* ctnetlink's messages on a Unix stream, one after the other, as `format::netlink` describes
//! them. A client asks and is answered in order; if it subscribes to events, they come in between.
//!
//! *Rights.* The file's owner, group and mode say who may connect, and so read. Changing anything takes root
//! or the daemon's own user, as the system names the peer ([`Peer`]); others get EPERM.
//!
//! *Life.* [`Place::take`] takes the place of a socket that nobody serves any more, and refuses one that is
//! served; [`Server::open`] serves it. Each connection has a thread of its own, so a client that is slow keeps nobody else waiting; and a
//! number of bytes that it can keep busy: its requests, one step of a listing, its mailbox. Who
//! asks nothing, does not finish a request or does not take its answer is sent away after the configured time.
//! [`Server::close`] ends all connections and takes the file away.

mod answer;
mod client;
mod expectations;
mod place;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ip_conntrack::Time;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::socket_peercred;
use tracing::{debug, warn};

use super::Word;
use super::settings::Control;
use super::state::Saver;
use super::tracker::Tracker;
use super::worker::Bell;
use crate::often::Often;
use client::Client;
pub(crate) use place::Place;

/// Connections for root beyond the configured number.
const FOR_ROOT: usize = 8;

/// A client needs little.
const STACK: usize = 512 << 10;

/// Who is connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) process: u32,
    /// Root or the daemon's own user.
    pub(crate) may_change: bool,
    is_root: bool,
}

impl Peer {
    fn of(stream: &UnixStream) -> io::Result<Peer> {
        let peer = socket_peercred(stream)?;
        let own = rustix::process::geteuid();
        Ok(Peer {
            process: peer.pid.as_raw_nonzero().get().unsigned_abs(),
            may_change: peer.uid.is_root() || peer.uid == own,
            is_root: peer.uid.is_root(),
        })
    }
}

/// What all connections use.
pub(crate) struct Shared {
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) saver: Arc<Saver>,
    limits: Mutex<Limits>,
    clients: Mutex<HashMap<u64, UnixStream>>,
    closes: AtomicBool,
    bell: Bell,
    heirs: Mutex<Sender<Word>>,
}

/// What a connection may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    connections: usize,
    pub(crate) timeout: Duration,
    pub(crate) event_buffer: usize,
}

impl Limits {
    pub(crate) fn of(control: &Control) -> Limits {
        Limits {
            connections: control.connections.get(),
            timeout: Duration::from_secs(control.timeout.secs()),
            event_buffer: control.event_buffer.get(),
        }
    }
}

impl Shared {
    fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<u64, UnixStream>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn inherits(&self, heir: UnixStream) {
        let heirs = self.heirs.lock().unwrap_or_else(PoisonError::into_inner);
        // It may be about to end anyway.
        let _ = heirs.send(Word::HandOver(heir));
    }
}

/// The socket, and the thread that waits for connections.
pub(crate) struct Server {
    shared: Arc<Shared>,
    place: Place,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve a socket. Who wants to take over from this daemon is told to `heirs`.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn open(
        (place, listener): (Place, UnixListener),
        control: &Control,
        (tracker, saver): (Arc<Tracker>, Arc<Saver>),
        heirs: Sender<Word>,
    ) -> io::Result<Server> {
        let shared = Arc::new(Shared {
            tracker,
            saver,
            limits: Mutex::new(Limits::of(control)),
            clients: Mutex::default(),
            closes: AtomicBool::new(false),
            bell: Bell::new()?,
            heirs: Mutex::new(heirs),
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::Builder::new().name("control".to_owned());
        let thread = thread.spawn(move || accept(&accepting, &listener))?;
        Ok(Server {
            shared,
            place,
            thread: Some(thread),
        })
    }

    /// Takes over what a new configuration changes.
    ///
    /// # Errors
    ///
    /// The socket cannot be given to its new owner.
    pub(crate) fn reload(&self, control: &Control) -> io::Result<()> {
        let mut limits = self
            .shared
            .limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *limits = Limits::of(control);
        drop(limits);
        self.place.give(control)
    }

    /// Ends all connections. The socket's file goes with the last of the server.
    pub(crate) fn close(mut self) {
        self.shared.closes.store(true, SeqCst);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for client in self.shared.clients().values() {
            let _ = client.shutdown(Shutdown::Both);
        }
        // They hold the tracker, whose workers end with it.
        for _ in 0..200 {
            if self.shared.clients().is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What is said of connections that are not served. Whoever may connect can cause it as often as he likes, so it is
/// not said each time.
struct Complaints {
    begun: Instant,
    often: Often,
}

impl Complaints {
    fn new() -> Complaints {
        Complaints {
            begun: Instant::now(),
            often: Often::default(),
        }
    }

    fn say(&mut self, text: fmt::Arguments<'_>) {
        if !self.often.may_say(Time::ZERO.plus(self.begun.elapsed())) {
            return;
        }
        match self.often.take_suppressed() {
            0 => warn!("{text}"),
            unsaid => warn!("{text}; and {unsaid} times before"),
        }
    }
}

/// Waits for connections, until the server closes.
fn accept(shared: &Arc<Shared>, listener: &UnixListener) {
    let mut number = 0;
    let mut complaints = Complaints::new();
    while !shared.closes.load(SeqCst) {
        let mut fds = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(shared.bell.as_fd(), PollFlags::IN),
        ];
        let _ = poll(&mut fds, None);
        if fds[0].revents().is_empty() {
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                number += 1;
                if let Err(error) = admit(shared, stream, number) {
                    complaints.say(format_args!(
                        "a connection to the control socket is turned away: {error}"
                    ));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                complaints.say(format_args!(
                    "connections to the control socket cannot be taken: {error}"
                ));
                // Most likely file descriptors are short; they will not come back at once.
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Starts a thread for a connection, if there may be one more.
fn admit(shared: &Arc<Shared>, stream: UnixStream, number: u64) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    let limits = shared.limits();
    let places = limits.connections + if peer.is_root { FOR_ROOT } else { 0 };
    if shared.clients().len() >= places {
        let text = format!("all {places} connections are in use (control.connections)");
        return Err(io::Error::other(text));
    }
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(limits.timeout))?;
    shared.clients().insert(number, stream.try_clone()?);
    let serving = Arc::clone(shared);
    let serve = move || {
        debug!("process {} connects", peer.process);
        let served = Client::new(&serving, stream, peer, limits).serve();
        serving.clients().remove(&number);
        match served {
            Ok(None) => {}
            // It is the main thread's from now on.
            Ok(Some(heir)) => serving.inherits(heir),
            Err(error) => debug!("process {}: {error}", peer.process),
        }
    };
    let thread = thread::Builder::new()
        .name("client".to_owned())
        .stack_size(STACK);
    let started = thread.spawn(serve).map(drop);
    started.inspect_err(|_| drop(shared.clients().remove(&number)))
}
