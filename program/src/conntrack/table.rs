//! A conversation with whoever has the table: requests go out, answers come in.
//!
//! An answer has the number of its request; what has another number is from an earlier request that was given
//! up, and is passed over. It ends with an acknowledgement, an error number, or the end of a dump.

use std::io;
use std::ops::ControlFlow;

use ip_conntrack::format::netlink::{self, Message, Messages, control, flag};
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
}

/// How an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// All of it came.
    Whole,
    /// The table changed in a way that makes it likely that entries are missing.
    Interrupted,
    /// An error number.
    Refused(i32),
}

impl Answer {
    /// A refusal in words.
    pub(crate) fn done(self, tried: Tried) -> Result<(), Failure> {
        match self {
            Answer::Refused(errno) => Err(refusal(tried, errno)),
            Answer::Whole | Answer::Interrupted => Ok(()),
        }
    }
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
        };
        if groups != 0 && table.is_daemons() {
            table
                .ask(|out, origin| netlink::put_listen(out, origin, groups), |_| Ok(()))?
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

    /// The socket, to wait for it and to set it up.
    pub(crate) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends a request that `put` writes, and hands over the messages of the answer.
    pub(crate) fn ask(
        &mut self,
        put: impl FnOnce(&mut Vec<u8>, netlink::Origin),
        mut each: impl FnMut(&Message<'_>) -> Result<(), Failure>,
    ) -> Result<Answer, Failure> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let origin = netlink::Origin {
            sequence: self.sequence,
            port: 0,
        };
        self.request.clear();
        put(&mut self.request, origin);
        self.socket
            .send(&self.request)
            .map_err(|error| broken(&self.whose, &error))?;
        let mut interrupted = false;
        loop {
            let sequence = self.sequence;
            let end = self.messages(|message| {
                if message.sequence != sequence {
                    return Ok(ControlFlow::Continue(()));
                }
                interrupted |= message.has(flag::DUMP_INTR);
                match message.kind {
                    control::ERROR | control::DONE => {
                        return Ok(ControlFlow::Break(netlink::errno(message)));
                    }
                    _ if message.is_control() => {}
                    _ => each(message)?,
                }
                Ok(ControlFlow::Continue(()))
            })?;
            match end {
                Next::Broken(0) if interrupted => return Ok(Answer::Interrupted),
                Next::Broken(0) => return Ok(Answer::Whole),
                Next::Broken(errno) => return Ok(Answer::Refused(errno)),
                Next::More => {}
                // Only events are lost, and this socket's requests are answered all the same.
                Next::Lost => interrupted = true,
            }
        }
    }

    /// Waits for messages and hands them over, until one breaks it off.
    pub(crate) fn messages(
        &mut self,
        mut each: impl FnMut(&Message<'_>) -> Result<ControlFlow<i32>, Failure>,
    ) -> Result<Next, Failure> {
        let whose = &self.whose;
        let received = self.socket.receive();
        let bytes = match received.map_err(|error| broken(whose, &error))? {
            Received::Messages(bytes) => bytes,
            Received::Overrun => return Ok(Next::Lost),
        };
        for message in Messages::new(bytes) {
            let message = message.map_err(|error| Failure::Failed(error.to_string()))?;
            if message.kind == control::OVERRUN {
                return Ok(Next::Lost);
            }
            if let ControlFlow::Break(errno) = each(&message)? {
                return Ok(Next::Broken(errno));
            }
        }
        Ok(Next::More)
    }
}

/// What comes after some messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Others.
    More,
    /// Others, but events were lost before them.
    Lost,
    /// Nothing: one of them broke it off, with an error number or 0.
    Broken(i32),
}

/// No socket.
fn unreachable(whose: &Whose, error: &io::Error) -> Failure {
    match whose {
        Whose::Kernels => refusal(Tried::Connection, error.raw_os_error().unwrap_or(0)),
        Whose::Daemons(path) if is_forbidden(error) => Failure::Failed(format!(
            "Operation failed: sorry, this user may not open {}",
            path.display()
        )),
        Whose::Daemons(path) => Failure::Failed(format!(
            "Operation failed: no daemon at {}: {error}; start `ipct run', or use --kernel for the \
             kernel's table",
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
        Whose::Kernels => refusal(Tried::Connection, error.raw_os_error().unwrap_or(0)),
        Whose::Daemons(path) => {
            Failure::Failed(format!("Operation failed: {}: {error}", path.display()))
        }
    }
}
