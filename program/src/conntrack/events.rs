//! `-E`: what happens, as it happens.
//!
//! *Life.* Groups are joined, then lines are written, each at once, until SIGINT or SIGTERM; then
//! how many there were is said, and that is a success.
//!
//! *Losing.* The kernel drops messages that find no room in the socket. Then it is said how many (the
//! kernel counts them), and what can be done. As `ipct`, the picture is brought up to date afterwards: when the
//! socket is empty again, the table is listed, each entry on a line that begins with `  [SYNC] `; what was
//! known and is not among these lines has ended. That takes the time of a listing, in which more may be lost, so it
//! is done at most once in [`PAUSE`]. As `conntrack` it is not done, since scripts know three tags only.

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ip_conntrack::format::Told;
use ip_conntrack::format::netlink::Message;
use ip_conntrack::format::netlink::names::{flag, kind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::filter::Filter;
use super::list::{entry, now};
use super::options::{Events, Opt, Order, TableName, Whose};
use super::output::{Asker, Printer};
use super::process::{self, Programs};
use super::request;
use super::say::{Failure, Tried, Voice, failed, note};
use super::table::{Next, Table};

/// Between two listings that bring the picture up to date.
const PAUSE: Duration = Duration::from_secs(10);

/// `-E`.
pub(super) fn run(
    order: &Order,
    filter: &Filter<'_>,
    printer: &mut Printer<'_>,
    voice: Voice,
) -> Result<ExitCode, Failure> {
    let mut listener = Listener {
        order,
        filter,
        printer,
        voice,
        table: Table::listening(&order.whose, groups(order))?,
        programs: Programs::default(),
        lost: 0,
        due: None,
        synchronised: None,
    };
    listener.set_buffer()?;
    let mut stop = stop_signal()?;
    listener.listen(&mut stop)?;
    listener.printer.finish()?;
    let what = match order.table {
        TableName::Expect => "expectation events",
        _ => "flow events",
    };
    voice.say(&format!(
        "{} {what} have been shown.",
        listener.printer.count
    ));
    Ok(ExitCode::SUCCESS)
}

/// A bit for each group of the events that are wanted.
fn groups(order: &Order) -> u32 {
    let wanted = match order.given.has(Opt::EventMask) {
        true => order.events,
        false => Events::ALL,
    };
    let bits = [wanted.new, wanted.update, wanted.destroy];
    let groups = (0..)
        .zip(bits)
        .fold(0, |groups, (n, on)| groups | u32::from(on) << n);
    match order.table {
        TableName::Expect => groups << 3,
        _ => groups,
    }
}

/// A stream that has something to read once the program is to stop.
fn stop_signal() -> Result<UnixStream, Failure> {
    let pipe = || -> std::io::Result<UnixStream> {
        let (reader, writer) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGINT, writer.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGTERM, writer)?;
        Ok(reader)
    };
    pipe().or_else(|error| failed(format!("signals cannot be caught: {error}")))
}

struct Listener<'a, 'b> {
    order: &'a Order,
    filter: &'a Filter<'a>,
    printer: &'a mut Printer<'b>,
    voice: Voice,
    table: Table,
    programs: Programs,
    /// Messages that were lost so far.
    lost: u64,
    /// When the picture is to be brought up to date.
    due: Option<Instant>,
    /// When it was brought up to date.
    synchronised: Option<Instant>,
}

impl Listener<'_, '_> {
    fn set_buffer(&self) -> Result<(), Failure> {
        if !self.order.given.has(Opt::BufferSize) {
            return Ok(());
        }
        let bytes = usize::try_from(self.order.buffer_size).unwrap_or(usize::MAX);
        match self.table.socket().set_buffer_size(bytes) {
            Ok(size) => {
                note(&format!(
                    "NOTICE: Netlink socket buffer size has been set to {size} bytes."
                ));
                Ok(())
            }
            Err(error) => failed(format!(
                "the socket's buffer cannot be {bytes} bytes: {error}"
            )),
        }
    }

    fn listen(&mut self, stop: &mut UnixStream) -> Result<(), Failure> {
        loop {
            match self.wait(stop)? {
                Ready::Stop => return Ok(()),
                Ready::Nothing => self.synchronise()?,
                Ready::Messages => self.read()?,
            }
        }
    }

    /// Waits for messages, for the end, or until the picture is to be brought up to date.
    fn wait(&self, stop: &UnixStream) -> Result<Ready, Failure> {
        if self.table.has_some() {
            return Ok(Ready::Messages);
        }
        let left = self
            .due
            .map(|due| due.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [
            PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.table.socket().as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, left.as_ref()) {
            Ok(_) if !fds[0].revents().is_empty() => Ok(Ready::Stop),
            Ok(_) if !fds[1].revents().is_empty() => Ok(Ready::Messages),
            Ok(_) => Ok(Ready::Nothing),
            Err(rustix::io::Errno::INTR) => self.wait(stop),
            Err(errno) => failed(format!("waiting for events: {errno}")),
        }
    }

    fn read(&mut self) -> Result<(), Failure> {
        let (order, filter, printer) = (self.order, self.filter, &mut *self.printer);
        let programs = &mut self.programs;
        let next: Next<()> = self.table.messages(|message| {
            if order.table == TableName::Expect {
                super::expect::event(message, printer)?;
            } else {
                event(message, filter, programs, printer)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.printer.flush()?;
        if next == Next::Lost {
            self.tell_loss();
        }
        Ok(())
    }

    fn tell_loss(&mut self) {
        let port = self.table.socket().port().ok();
        let lost = port.filter(|port| *port != 0).and_then(process::lost);
        let number = lost.map_or("some".to_owned(), |lost| {
            lost.saturating_sub(self.lost).to_string()
        });
        self.lost = lost.unwrap_or(self.lost);
        note(&format!(
            "WARNING: {number} events were lost (ENOBUFS): they come faster than they are read; \
             a larger --buffer-size helps against bursts"
        ));
        if self.voice == Voice::Ipct && self.due.is_none() {
            let soonest = self.synchronised.map(|last| last + PAUSE);
            self.due = Some(soonest.unwrap_or_else(Instant::now));
        }
    }

    /// Lists the table, if that is due.
    fn synchronise(&mut self) -> Result<(), Failure> {
        if self.due.take().is_none() || self.order.table == TableName::Expect {
            return Ok(());
        }
        self.synchronised = Some(Instant::now());
        let mut table = Table::open(&self.order.whose)?;
        let is_kernels = self.order.whose == Whose::Kernels;
        let (order, filter, printer) = (self.order, self.filter, &mut *self.printer);
        let before = printer.count;
        let outcome = table.ask(request::list(order, is_kernels), |message| {
            let entry = entry(message, now())?;
            if filter.takes(&entry.connection) {
                printer.entry(Told::Sync, &entry, None)?;
            }
            Ok(())
        })?;
        outcome.done(Tried::Connection)?;
        self.printer.flush()?;
        let shown = self.printer.count - before;
        note(&format!(
            "NOTICE: the table was listed after the loss: {shown} entries; others have ended"
        ));
        self.printer.count = before;
        Ok(())
    }
}

enum Ready {
    Stop,
    Messages,
    Nothing,
}

/// Prints a connection's event.
fn event(
    message: &Message<'_>,
    filter: &Filter<'_>,
    programs: &mut Programs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let Some(told) = told(message) else {
        return Ok(());
    };
    let mut entry = entry(message, now())?;
    if filter.takes(&entry.connection) {
        entry.time.get_or_insert_with(now);
        printer.entry(told, &entry, asker(message, programs).as_ref())?;
    }
    Ok(())
}

/// What an event's message tells.
pub(super) const fn told(message: &Message<'_>) -> Option<Told> {
    match message.kind {
        kind::CT_NEW | kind::EXP_NEW if message.flags & (flag::CREATE | flag::EXCL) != 0 => {
            Some(Told::New)
        }
        kind::CT_NEW | kind::EXP_NEW => Some(Told::Update),
        kind::CT_DELETE | kind::EXP_DELETE => Some(Told::Destroy),
        _ => None,
    }
}

/// Who asked for it, if it was not a packet.
fn asker(message: &Message<'_>, programs: &mut Programs) -> Option<Asker> {
    (message.port != 0).then(|| Asker {
        port: message.port,
        program: programs.name(message.port),
    })
}
