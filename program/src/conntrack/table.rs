//! A conversation with whoever has the table: requests go out, answers come in.
//!
//! An answer has the number of its request; what has another number is from an earlier request that was given
//! up, and is passed over. It ends with an acknowledgement, an error number, or the end of a dump.

use std::io;
use std::ops::ControlFlow;

use ip_conntrack::format::netlink::names::flag;
use ip_conntrack::format::netlink::own::{self, Groups};
use ip_conntrack::format::netlink::{Answer, Ask, Message, Origin, Request};
use ip_conntrack_link::netlink::{Received, Socket};
use rustix::io::Errno;

use super::options::Whose;
use super::say::{Failure, Tried, refusal};

/// A connection table that answers requests.
pub(crate) struct Table {
    socket: Socket,
    whose: Whose,
    sequence: u32,
    request: Vec<u8>,
    /// Messages that came behind the end of an answer.
    kept: Vec<u8>,
}

/// How an answer ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// All of it came.
    Whole,
    /// The table changed in a way that makes it likely that entries are missing.
    Interrupted,
    /// An error number, and what a daemon said beside it.
    Refused(i32, Option<String>),
}

impl Outcome {
    /// A refusal in words.
    pub(crate) fn done(self, tried: Tried) -> Result<(), Failure> {
        match self {
            Outcome::Refused(errno, words) => Err(refusal(tried, errno, words.as_deref())),
            Outcome::Whole | Outcome::Interrupted => Ok(()),
        }
    }

    /// Whether it was refused with this error number.
    pub(crate) fn is(&self, wanted: Errno) -> bool {
        matches!(self, Outcome::Refused(errno, _) if *errno == wanted.raw_os_error())
    }
}

/// Whether the answer to a request ends by itself; the others are acknowledged.
const fn is_dump(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::List { .. } | Ask::StatsCpu | Ask::ListExpectations(_) | Ask::StatsExpectations
    )
}

impl Table {
    /// Opens a table.
    pub(crate) fn open(whose: &Whose) -> Result<Table, Failure> {
        Table::listening(whose, 0)
    }

    /// Opens a table and listens to its events; `groups` has a bit for each group, group 1 being bit 0.
    pub(crate) fn listening(whose: &Whose, groups: u32) -> Result<Table, Failure> {
        let socket = match whose {
            Whose::Kernels => Socket::netfilter(groups),
            Whose::Daemons(path) => Socket::connect(path),
        };
        let mut table = Table {
            socket: socket.map_err(|error| unreachable(whose, &error))?,
            whose: whose.clone(),
            sequence: 0,
            request: Vec::new(),
            kept: Vec::new(),
        };
        if groups != 0 && table.is_daemons() {
            let subscribe = own::Ask::Subscribe(Groups(groups));
            table
                .ask(Ask::Own(subscribe), |_| Ok(()))?
                .done(Tried::Connection)?;
        }
        Ok(table)
    }

    /// Whether a daemon has it.
    pub(crate) const fn is_daemons(&self) -> bool {
        matches!(self.whose, Whose::Daemons(_))
    }

    /// Whether it is that one's table.
    pub(crate) fn is(&self, whose: &Whose) -> bool {
        self.whose == *whose
    }

    /// Whether messages can be had without waiting for the socket.
    pub(crate) const fn has_some(&self) -> bool {
        !self.kept.is_empty()
    }

    /// The socket, to wait for it and to set it up.
    pub(crate) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends a request, and hands over the messages of the answer.
    pub(crate) fn ask(
        &mut self,
        ask: Ask,
        mut each: impl FnMut(&Message<'_>) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        self.send(ask)?;
        let (mut interrupted, sequence) = (false, self.sequence);
        loop {
            let next = self.messages(|message| {
                if message.sequence != sequence {
                    return Ok(ControlFlow::Continue(()));
                }
                interrupted |= message.has(flag::DUMP_INTR);
                match Answer::read(message) {
                    Some(Answer::Ack) => return Ok(ControlFlow::Break((0, None))),
                    Some(Answer::Done(errno)) => return Ok(ControlFlow::Break((errno, None))),
                    Some(Answer::Error(errno, words)) => {
                        return Ok(ControlFlow::Break((errno, words.map(str::to_owned))));
                    }
                    Some(_) => {}
                    None => each(message)?,
                }
                Ok(ControlFlow::Continue(()))
            })?;
            match next {
                Next::Ended((0, _)) if interrupted => return Ok(Outcome::Interrupted),
                Next::Ended((0, _)) => return Ok(Outcome::Whole),
                Next::Ended((errno, words)) => return Ok(Outcome::Refused(errno, words)),
                Next::More => {}
                Next::Lost => interrupted = true,
            }
        }
    }

    fn send(&mut self, ask: Ask) -> Result<(), Failure> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let request = Request {
            origin: Origin {
                sequence: self.sequence,
                port: 0,
            },
            ack: !is_dump(&ask),
            ask,
        };
        self.request.clear();
        request.write(&mut self.request);
        let sent = self.socket.send(&self.request);
        sent.map_err(|error| broken(&self.whose, &error))
    }

    /// Waits for messages and hands them over, until one ends it. What came with that one is handed over
    /// the next time.
    pub(crate) fn messages<T>(
        &mut self,
        mut each: impl FnMut(&Message<'_>) -> Result<ControlFlow<T>, Failure>,
    ) -> Result<Next<T>, Failure> {
        let kept = core::mem::take(&mut self.kept);
        let mut rest = match kept.is_empty() {
            false => &kept[..],
            true => match self.socket.receive() {
                Ok(Received::Messages(bytes)) => bytes,
                Ok(Received::Overrun) => return Ok(Next::Lost),
                Err(error) => return Err(broken(&self.whose, &error)),
            },
        };
        let mut lost = false;
        while let Some((message, used)) = first(rest)? {
            rest = rest.get(used..).unwrap_or_default();
            if message.is_control() && Answer::read(&message) == Some(Answer::Overrun) {
                lost = true;
            } else if let ControlFlow::Break(end) = each(&message)? {
                self.kept = rest.to_vec();
                return Ok(Next::Ended(end));
            }
        }
        Ok(match lost {
            true => Next::Lost,
            false => Next::More,
        })
    }
}

/// The first of several whole messages.
fn first(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>, Failure> {
    Message::first(bytes).map_err(|error| Failure::Failed(format!("netlink: {error}")))
}

/// What comes after some messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next<T> {
    /// Others.
    More,
    /// Others, but events were lost.
    Lost,
    /// Nothing: one of them was the end.
    Ended(T),
}

/// No socket.
fn unreachable(whose: &Whose, error: &io::Error) -> Failure {
    match whose {
        Whose::Kernels => refusal(Tried::Connection, error.raw_os_error().unwrap_or(0), None),
        Whose::Daemons(path) if is_forbidden(error) => Failure::Failed(format!(
            "Operation failed: sorry, this user may not open {}; root may, and who is in its group",
            path.display()
        )),
        Whose::Daemons(path) => Failure::Failed(format!(
            "Operation failed: no daemon at {}: {error}; start `ipct run'; the kernel's table is \
             asked with --kernel, its knobs with sysctl(8)",
            path.display()
        )),
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ACCESS.raw_os_error())
}

/// A socket that fails while it is used.
fn broken(whose: &Whose, error: &io::Error) -> Failure {
    match whose {
        Whose::Kernels => refusal(Tried::Connection, error.raw_os_error().unwrap_or(0), None),
        Whose::Daemons(path) => {
            Failure::Failed(format!("Operation failed: {}: {error}", path.display()))
        }
    }
}
