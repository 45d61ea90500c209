//! As much of HTTP as a scrape needs: a request is read up to its empty line, answered, and the connection closed.
//!
//! Anybody may connect, so nothing is waited for beyond [`DEADLINE`], nothing longer than [`LONGEST`] is kept, and when all
//! places are taken, the oldest connection has to go: whoever scrapes is done within milliseconds, who holds on is not.
//!
//! Source: RFC 9110, RFC 9112.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::{debug, warn};

use super::page::Page;
use crate::daemon::worker::Bell;

/// Connections at a time. Above it, the oldest one is closed; as many more may be about to end.
pub(super) const MOST: usize = 16;

/// A request has to come, and its answer to be taken, within this.
const DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of a request, at most.
const LONGEST: usize = 8 << 10;

/// Bytes behind a request that are read so that the answer is not lost with the connection, at most.
const LEFT_OVER: usize = 64 << 10;

/// The stack of a connection's thread, which may look at the whole table.
const STACK: usize = 1 << 20;

/// How often the number of entries is noted.
const TICK: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// What the threads share.
pub(super) struct Shared {
    page: Page,
    clients: Mutex<BTreeMap<u64, TcpStream>>,
    closes: AtomicBool,
    bell: Bell,
    counts: Counts,
}

/// What became of connections.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Pages that were asked for.
    pub(super) scrapes: AtomicU64,
    /// Requests that were none, took too long or asked for something else.
    pub(super) bad_requests: AtomicU64,
    /// Connections that were closed for want of a place.
    pub(super) turned_away: AtomicU64,
}

impl Shared {
    pub(super) fn new(page: Page) -> io::Result<Shared> {
        Ok(Shared {
            page,
            clients: Mutex::default(),
            closes: AtomicBool::new(false),
            bell: Bell::new()?,
            counts: Counts::default(),
        })
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nobody is served.
    pub(super) fn close(&self) {
        self.closes.store(true, SeqCst);
        self.bell.ring();
    }

    /// Waits a while for the connections' threads, which hold the tracker.
    pub(super) fn wait(&self) {
        for client in self.clients().values() {
            let _ = client.shutdown(Shutdown::Both);
        }
        let begun = Instant::now();
        while !self.clients().is_empty() && begun.elapsed() < DEADLINE {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Takes connections until it is closed.
pub(super) fn serve(shared: &Arc<Shared>, listener: &TcpListener) {
    let (mut number, mut ticked) = (0, Instant::now());
    shared.page.looks.tick();
    while !shared.closes.load(SeqCst) {
        let mut fds = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(shared.bell.as_fd(), PollFlags::IN),
        ];
        let _ = poll(&mut fds, Some(&TICK));
        let is_called = !fds[0].revents().is_empty();
        if ticked.elapsed() >= Duration::from_secs(1) {
            ticked = Instant::now();
            shared.page.looks.tick();
        }
        if !is_called {
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                number += 1;
                admit(shared, stream, number);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                warn!("metrics: connections cannot be taken: {error}");
                // Most likely file descriptors are short; they will not come back at once.
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, number: u64) {
    let Some(mut clients) = a_place(shared) else {
        return;
    };
    let Ok(copy) = stream.try_clone() else {
        return;
    };
    clients.insert(number, copy);
    drop(clients);
    let serving = Arc::clone(shared);
    let thread = thread::Builder::new()
        .name("scrape".to_owned())
        .stack_size(STACK);
    let started = thread.spawn(move || {
        if let Err(error) = answer(&serving, &stream) {
            debug!("metrics: {error}");
        }
        let _ = stream.shutdown(Shutdown::Both);
        serving.clients().remove(&number);
    });
    if started.is_err() {
        shared.clients().remove(&number);
    }
}

/// Makes a place for one more. Those that have to go for it are told, and may take a moment to end; meanwhile, others wait
/// in the system's queue. => `None` if they do not end.
fn a_place(shared: &Shared) -> Option<MutexGuard<'_, BTreeMap<u64, TcpStream>>> {
    let began = Instant::now();
    let clients = shared.clients();
    if clients.len() >= MOST {
        shared.counts.turned_away.fetch_add(1, Relaxed);
        // Those before it were told already.
        let oldest = clients.values().nth(clients.len() - MOST);
        oldest.inspect(|oldest| drop(oldest.shutdown(Shutdown::Both)));
    }
    drop(clients);
    while began.elapsed() < DEADLINE {
        let clients = shared.clients();
        if clients.len() < 2 * MOST {
            return Some(clients);
        }
        drop(clients);
        thread::sleep(Duration::from_millis(1));
    }
    None
}

/// How long may still be waited.
///
/// # Errors
///
/// No longer.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

/// Reads a request and answers it.
fn answer(shared: &Shared, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let request = read_request(stream, Instant::now() + DEADLINE);
    let asked = match &request {
        Ok(request) => asked(request),
        Err(status) => Err(*status),
    };
    match asked {
        Ok(_) => shared.counts.scrapes.fetch_add(1, Relaxed),
        Err(_) => shared.counts.bad_requests.fetch_add(1, Relaxed),
    };
    let (status, body) = match asked {
        Ok(_) => match shared.page.text(&shared.counts) {
            Ok(text) => ("200 OK", text),
            Err(why) => ("503 Service Unavailable", why),
        },
        Err(status) => (
            status,
            format!("{status}: there is only GET /metrics here\n"),
        ),
    };
    let body = match asked {
        Ok(Method::Head) => &[],
        _ => body.as_bytes(),
    };
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    // The page took its own time to be made.
    let until = Instant::now() + DEADLINE;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match stream.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.shutdown(Shutdown::Write)?;
    drain(stream, until)
}

/// Reads what is left, since closing a connection with unread bytes resets it, and takes the answer along.
fn drain(mut stream: &TcpStream, until: Instant) -> io::Result<()> {
    let (mut buffer, mut read) = ([0; 1024], 0);
    while read < LEFT_OVER {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => read += count,
        }
    }
    Ok(())
}

/// The bytes of a request, or the status that says why there is none.
fn read_request(mut stream: &TcpStream, until: Instant) -> Result<Vec<u8>, &'static str> {
    let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let left = left(until).map_err(|_| "408 Request Timeout")?;
        let read = stream.set_read_timeout(Some(left));
        match read.and_then(|()| stream.read(&mut chunk)) {
            Ok(0) => return Err("400 Bad Request"),
            Ok(count) => request.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err("408 Request Timeout"),
        }
        // An empty line may have come in two pieces.
        if request.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(request);
        }
        if request.len() > LONGEST {
            return Err("431 Request Header Fields Too Large");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Get,
    Head,
}

/// Whether a request asks for the page; if not, the status.
fn asked(request: &[u8]) -> Result<Method, &'static str> {
    let line = request.split(|byte| *byte == b'\r').next();
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if !version.is_some_and(|version| version.starts_with("HTTP/1.")) || words.next().is_some() {
        return Err("400 Bad Request");
    }
    let method = match method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => return Err("405 Method Not Allowed"),
    };
    let path = target.and_then(|target| target.split('?').next());
    match path {
        Some("/metrics") => Ok(method),
        _ => Err("404 Not Found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_is_served() {
        let get = |text: &str| asked(text.as_bytes());
        assert_eq!(
            get("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
            Ok(Method::Get)
        );
        assert_eq!(get("HEAD /metrics?x HTTP/1.0\r\n\r\n"), Ok(Method::Head));
        assert_eq!(get("GET / HTTP/1.1\r\n\r\n"), Err("404 Not Found"));
        assert_eq!(
            get("POST /metrics HTTP/1.1\r\n\r\n"),
            Err("405 Method Not Allowed")
        );
        for garbage in [
            "\r\n\r\n",
            "GET /metrics\r\n\r\n",
            "GET  /metrics HTTP/1.1\r\n\r\n",
            "GET /metrics HTTP/2\r\n\r\n",
        ] {
            assert_eq!(get(garbage), Err("400 Bad Request"), "{garbage:?}");
        }
        assert_eq!(asked(b"\xff\xfe \x00\r\n\r\n"), Err("400 Bad Request"));
    }
}
