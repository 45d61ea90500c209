//! A router of our own inside the running kernel: a network namespace, two TUN devices, a rule set
//! that says what connection tracking made of each packet.
//!
//! *Set-up.* A namespace for this thread only, so nothing is left when the thread or process ends,
//! however it ends. Without root rights that takes a user namespace around it ([`prepare`]).
//! Packets are written to the device `in`; a default route leads to the device `out`, which drops
//! everything it is sent. Writing to a TUN device runs the whole way through the kernel before it
//! returns.
//!
//! *What comes back*, over netlink: log messages from four places of the rule set (seen by the IP
//! layer; classed; forwarded; delivered), events, and whole entries on request.

mod attributes;
mod globals;
mod netlink;
mod queue;
mod setup;
mod table;

use std::fs;
use std::io;

use ip_conntrack::Knob;
use tun_rs::SyncDevice;

use crate::counts::Counts;
use crate::entry::{Ends, Entry};
pub use globals::Globals;
use netlink::{Attributes, Netlink};
use queue::Queue;
pub use setup::prepare;
pub(crate) use setup::{enter, run, set};
pub(crate) use table::Table;
pub use table::{Event, EventKind};

/// What the kernel did with one packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The IP layer handed it to netfilter.
    pub taken: bool,
    /// Class in lower case, and direction.
    pub class: Option<(String, Option<&'static str>)>,
    /// It was forwarded or delivered.
    pub passed: bool,
    /// It waits to be released.
    pub waits: bool,
    /// What happened to the table.
    pub events: Vec<Event>,
    /// Some of that, or of the rest, was lost on the way.
    pub lost: bool,
}

/// The router.
pub struct Linux {
    device: SyncDevice,
    _sink: SyncDevice,
    log: Netlink,
    /// Hears of events, once it is told to.
    listener: Option<Netlink>,
    queue: Queue,
    table: Table,
    is_host: bool,
}

/// The router's own address, if it has one.
const OWN_ADDRESS: &str = "10.99.0.1/32";

/// Log groups of the rule set.
const TAKEN: u16 = 1;
const CLASSED: u16 = 2;
const PASSED: u16 = 3;

impl Linux {
    /// Sets everything up for the calling thread, which is in the new namespace from then on. Nobody listens
    /// to events yet.
    ///
    /// # Errors
    ///
    /// What this system does not allow or does not have, in words.
    pub fn new() -> Result<Linux, String> {
        enter()?;
        let (device, sink) = setup::build()?;
        let said = |what: &str, error: io::Error| format!("{what} over netlink: {error}");
        Ok(Linux {
            device,
            _sink: sink,
            log: setup::log().map_err(|error| said("the log", error))?,
            listener: None,
            queue: Queue::new().map_err(|error| said("waiting packets", error))?,
            is_host: false,
            table: Table::new().map_err(|error| said("the table", error))?,
        })
    }

    /// Gives the router an address of its own, 10.99.0.1: what is sent there is delivered. Without one it
    /// takes no part in multicast, and forwards or drops whatever a capture holds.
    ///
    /// # Errors
    ///
    /// The address cannot be set.
    pub fn be_a_host(&mut self) -> Result<(), String> {
        if !std::mem::replace(&mut self.is_host, true) {
            run("ip", &["address", "add", OWN_ADDRESS, "dev", "in"], "")?;
        }
        Ok(())
    }

    /// Sets a knob of connection tracking, by its name without path.
    ///
    /// # Errors
    ///
    /// The kernel does not accept it.
    pub fn set(&self, name: &str, value: &str) -> Result<(), String> {
        set(&path(name), value)
    }

    /// The value of a knob of connection tracking.
    ///
    /// # Errors
    ///
    /// The kernel does not have it.
    pub fn knob(&self, name: &str) -> Result<String, String> {
        let file = format!("/proc/sys/{}", path(name));
        let value = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        Ok(value.trim().to_owned())
    }

    /// Writes one IP packet and reads back what became of it.
    ///
    /// # Errors
    ///
    /// The device or a netlink socket failed.
    pub fn send(&mut self, packet: &[u8]) -> io::Result<Outcome> {
        self.device.send(packet)?;
        self.outcome()
    }

    /// Lets a packet that waits go on, 0 the one that has waited longest, and reads back what became of it.
    ///
    /// # Errors
    ///
    /// A netlink socket failed, or no such packet waits.
    pub fn release(&mut self, index: usize) -> io::Result<Outcome> {
        self.queue.release(index)?;
        self.outcome()
    }

    fn outcome(&mut self) -> io::Result<Outcome> {
        let mut outcome = Outcome::default();
        let whole_log = self.log.drain(|message| {
            let mut prefix = "";
            for (kind, value) in Attributes(message.attributes) {
                const PREFIX: u16 = 10;
                if kind == PREFIX {
                    prefix = std::str::from_utf8(value)
                        .unwrap_or("")
                        .trim_end_matches('\0');
                }
            }
            match message.group {
                TAKEN => outcome.taken = true,
                CLASSED => outcome.class = Some(class(prefix)),
                PASSED => outcome.passed = true,
                _ => {}
            }
        })?;
        outcome.waits = self.queue.has_more()?;
        let events = &mut outcome.events;
        let mut whole = true;
        if let Some(listener) = &mut self.listener {
            whole = listener.drain(|message| events.extend(table::event(message)))?;
        }
        outcome.lost = !(whole && whole_log);
        Ok(outcome)
    }

    /// Listens to events or stops doing so.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn listen(&mut self, listens: bool) -> io::Result<()> {
        match (listens, self.listener.take()) {
            (true, None) => self.listener = Some(listener()?),
            (true, listener) => self.listener = listener,
            // A child process that has only just begun may still hold the socket.
            (false, Some(listener)) => listener.leave(&GROUPS)?,
            (false, None) => {}
        }
        Ok(())
    }

    /// The entry with this original tuple.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn get(&mut self, original: Ends, zone: u16) -> io::Result<Option<Entry>> {
        self.table.get(original, zone)
    }

    /// Deletes the entry with this original tuple.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn delete(&mut self, original: Ends, zone: u16) -> io::Result<()> {
        self.table.delete(original, zone)
    }

    /// Empties the table, drops what waits, and forgets the events of that.
    ///
    /// # Errors
    ///
    /// A netlink socket failed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.queue.clear()?;
        self.table.flush()?;
        self.forget_events()
    }

    /// Reads away events that nobody is interested in.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn forget_events(&mut self) -> io::Result<()> {
        let listener = self.listener.as_mut();
        listener.map_or(Ok(true), |listener| listener.drain(|_| ()))?;
        self.log.drain(|_| ())?;
        Ok(())
    }

    /// All entries.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn dump(&mut self) -> io::Result<Vec<Entry>> {
        self.table.dump()
    }

    /// Counters, summed over all CPUs.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn counts(&mut self) -> io::Result<Counts> {
        self.table.stats().map(|stats| Counts::of_kernel(&stats))
    }
}

/// Where a knob is, below `/proc/sys`.
fn path(name: &str) -> String {
    let folder = Knob::by_name(name).map_or("net/netfilter", |knob| knob.info().path);
    format!("{folder}/{name}")
}

/// Multicast groups of new, changed and destroyed entries.
const GROUPS: [u32; 3] = [1, 2, 3];

fn listener() -> io::Result<Netlink> {
    Netlink::listener(&GROUPS)
}

/// `CLASS [DIRECTION]`.
fn class(prefix: &str) -> (String, Option<&'static str>) {
    let (class, direction) = prefix.split_once(' ').unwrap_or((prefix, ""));
    let direction = match direction {
        "orig" => Some("orig"),
        "reply" => Some("reply"),
        _ => None,
    };
    (class.to_owned(), direction)
}
