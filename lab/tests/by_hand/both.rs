//! The kernel and the engine, asked the same.

use std::time::{SystemTime, UNIX_EPOCH};

use ip_conntrack::format::netlink::names::{entry, group, kind};
use ip_conntrack::format::netlink::{
    Answer, Ask, Entry, List, Message, Messages, Origin, Request, errno, put_entry, put_event,
    put_expectation, put_expectation_end, put_expectation_new, read_expectation,
};
use ip_conntrack::{
    Change, Config, Connection, Conntrack, Event, Expectation, Filter, Knob, LinkType, Packet,
    Refusal, Time, Verdict,
};
use lab::linux::Linux;
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;

/// The kernel and the engine.
pub(crate) struct Both {
    pub(crate) linux: Linux,
    socket: Socket,
    listener: Socket,
    pub(crate) ours: Conntrack,
    sequence: u32,
}

impl Both {
    pub(crate) fn new() -> Result<Both, String> {
        let linux = Linux::new()?;
        for (knob, value) in [("nf_conntrack_acct", "1"), ("nf_conntrack_timestamp", "0")] {
            linux.set(knob, value)?;
        }
        let open = || -> std::io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            Ok(socket)
        };
        let said = |error: std::io::Error| format!("netlink: {error}");
        let (socket, mut listener) = (open().map_err(said)?, open().map_err(said)?);
        for group in group::CONNTRACK_NEW..=group::EXP_DESTROY {
            listener.add_membership(group).map_err(said)?;
        }
        listener.set_non_blocking(true).map_err(said)?;
        let _ = &mut listener;
        let mut config = Config::default();
        config
            .set(Knob::Acct, 1)
            .map_err(|error| error.to_string())?;
        let mut ours = Conntrack::new(config, 1);
        ours.set_event_capacity(1000);
        Ok(Both {
            linux,
            socket,
            listener,
            ours,
            sequence: 0,
        })
    }

    /// Sends a request and returns what comes back before the outcome, and the outcome.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> (Vec<Vec<u8>>, i32) {
        self.socket.send(bytes, 0).unwrap();
        let mut answers = Vec::new();
        loop {
            let (received, _) = self.socket.recv_from_full().unwrap();
            for message in Messages::new(&received) {
                let message = message.unwrap();
                match Answer::read(&message) {
                    Some(Answer::Ack | Answer::Done(0)) => return (answers, 0),
                    Some(Answer::Error(errno, _) | Answer::Done(errno)) => return (answers, errno),
                    Some(other) => panic!("{other:?}"),
                    None => answers.push(bytes_of(&message)),
                }
            }
        }
    }

    pub(crate) fn request(&mut self, ask: &Ask) -> Vec<u8> {
        self.sequence += 1;
        let origin = Origin {
            sequence: self.sequence,
            port: 0,
        };
        let ack = !matches!(ask, Ask::List { .. } | Ask::ListExpectations(_));
        let mut bytes = Vec::new();
        Request {
            origin,
            ack,
            ask: ask.clone(),
        }
        .write(&mut bytes);
        bytes
    }

    /// Asks both, and compares error number and events. Returns the number.
    pub(crate) fn ask(&mut self, what: &str, ask: Ask) -> i32 {
        let bytes = self.request(&ask);
        let (_, theirs) = self.exchange(&bytes);
        let (message, _) = Message::first(&bytes).unwrap().unwrap();
        let ours = match Request::read(&message) {
            Ok(request) => {
                assert_eq!(request.ask, ask, "{what}");
                carry_out(&mut self.ours, &request.ask).err()
            }
            Err(refusal) => Some(refusal),
        };
        let ours = ours.map_or(0, errno);
        assert_eq!(ours, theirs, "{what}: we say {ours}, Linux {theirs}");
        self.compare_events(what);
        theirs
    }

    pub(crate) fn events(&mut self) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        while let Ok((received, _)) = self.listener.recv_from_full() {
            let messages = Messages::new(&received).map(Result::unwrap);
            events.extend(messages.map(|message| bytes_of(&message)));
        }
        events
    }

    pub(crate) fn compare_events(&mut self, what: &str) {
        let all = self.events();
        let about = |subsystem: u8| {
            let of = all.iter().filter(|bytes| bytes[5] == subsystem);
            of.cloned().collect::<Vec<_>>()
        };
        let theirs = about(kind::CONNTRACK);
        self.compare_expect_events(what, &about(kind::EXPECT));
        let ours: Vec<Event> = std::iter::from_fn(|| self.ours.poll_event()).collect();
        assert_eq!(ours.len(), theirs.len(), "{what}: ours {ours:#?}");
        // The order in which a flush meets them is each table's own.
        let (mut ours, mut theirs) = (ours, theirs);
        ours.sort_by_key(|event| event.connection.original);
        theirs.sort_by_key(|bytes| read(bytes).connection.original);
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            compare_event(what, ours, &theirs);
        }
    }

    fn compare_expect_events(&mut self, what: &str, theirs: &[Vec<u8>]) {
        let ours: Vec<_> = std::iter::from_fn(|| self.ours.poll_expect_event()).collect();
        assert_eq!(ours.len(), theirs.len(), "{what}: ours {ours:#?}");
        for (mut ours, theirs) in ours.into_iter().zip(theirs) {
            let (message, _) = Message::first(theirs).unwrap().unwrap();
            adopt_expectation(&mut ours.expectation, &read_expectation(&message).unwrap());
            let mut written = Vec::new();
            match ours.is_new {
                true => put_expectation_new(&mut written, Origin::of(&message), &ours.expectation),
                false => put_expectation_end(&mut written, Origin::of(&message), &ours.expectation),
            }
            assert_eq!(written, *theirs, "{what}: {:?}", read_expectation(&message));
        }
    }

    /// Compares all expectations.
    pub(crate) fn compare_expectations(&mut self, what: &str) {
        let bytes = self.request(&Ask::ListExpectations(None));
        let (mut theirs, outcome) = self.exchange(&bytes);
        assert_eq!(outcome, 0, "{what}");
        let mut ours = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            cursor = self
                .ours
                .expectations_from(from, 2, |expectation| ours.push(expectation));
        }
        let read = |bytes: &Vec<u8>| {
            let (message, _) = Message::first(bytes).unwrap().unwrap();
            read_expectation(&message).unwrap()
        };
        theirs.sort_by_key(|bytes| read(bytes).tuple);
        ours.sort_by_key(|expectation| expectation.tuple);
        assert_eq!(ours.len(), theirs.len(), "{what}: ours {ours:#?}");
        for (mut ours, theirs) in ours.into_iter().zip(theirs) {
            let (message, _) = Message::first(&theirs).unwrap().unwrap();
            adopt_expectation(&mut ours, &read(&theirs));
            let mut written = Vec::new();
            put_expectation(&mut written, Origin::of(&message), message.flags, &ours);
            assert_eq!(written, theirs, "{what}: {:?}", read(&theirs));
        }
    }

    /// Sends an IPv4 packet through both, and compares the events.
    pub(crate) fn send(&mut self, what: &str, packet: &[u8]) -> Verdict {
        self.linux.send(packet).unwrap();
        let now = Time::from_nanos(now());
        self.ours.advance(now);
        let packet = Packet::parse(LinkType::Raw, packet).unwrap();
        let verdict = self.ours.track(&packet, now);
        self.compare_events(what);
        verdict
    }

    /// How many entries the kernel lists.
    pub(crate) fn theirs(&mut self) -> usize {
        let bytes = self.request(&Ask::List {
            list: List::Table,
            filter: Filter::default(),
            zero: false,
        });
        self.exchange(&bytes).0.len()
    }

    /// Compares the whole tables.
    pub(crate) fn compare_tables(&mut self, what: &str) {
        let ask = Ask::List {
            list: List::Table,
            filter: Filter::default(),
            zero: false,
        };
        let bytes = self.request(&ask);
        let (mut theirs, outcome) = self.exchange(&bytes);
        assert_eq!(outcome, 0, "{what}");
        self.ours.advance(Time::from_nanos(now()));
        let mut ours: Vec<Connection> = self.ours.connections().collect();
        let place = |connection: &Connection| (connection.original, connection.zone);
        theirs.sort_by_key(|bytes| place(&read(bytes).connection));
        ours.sort_by_key(place);
        assert_eq!(ours.len(), theirs.len(), "{what}: ours {ours:#?}");
        for (mut ours, theirs) in ours.into_iter().zip(theirs) {
            let (message, _) = Message::first(&theirs).unwrap().unwrap();
            adopt(&mut ours, &read(&theirs).connection);
            let mut written = Vec::new();
            put_entry(&mut written, Origin::of(&message), message.flags, &ours);
            compare_bytes(what, &written, &theirs);
        }
    }

    pub(crate) fn make(&mut self, what: &str, change: &Change) -> i32 {
        let ask = Ask::New {
            change: change.clone(),
            create: true,
            exclusive: true,
        };
        self.ask(what, ask)
    }

    pub(crate) fn update(&mut self, what: &str, change: &Change) -> i32 {
        let ask = Ask::New {
            change: change.clone(),
            create: false,
            exclusive: false,
        };
        self.ask(what, ask)
    }
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_nanos() as u64
}

/// What the owner of one tracker does with a request that is about its entries.
pub(crate) fn carry_out(conntrack: &mut Conntrack, ask: &Ask) -> Result<(), Refusal> {
    let now = Time::from_nanos(now());
    conntrack.advance(now);
    match ask {
        Ask::Get { which, .. } => conntrack.answer(which).map(drop),
        Ask::New {
            change,
            create: true,
            exclusive,
        } => conntrack
            .create_or_update(change, *exclusive, now)
            .map(drop),
        Ask::New { change, .. } => conntrack.update(change, now).map(drop),
        Ask::Delete(which) => conntrack.delete_entry(which),
        Ask::Flush(filter) => {
            let mut cursor = 0;
            while let Some(next) = conntrack.flush_from(cursor, 3, filter) {
                cursor = next;
            }
            Ok(())
        }
        Ask::GetExpectation(which) => conntrack.find_expectation(which).map(drop),
        Ask::NewExpectation {
            new,
            create,
            exclusive,
        } => conntrack.create_expectation(new, *create, *exclusive, now),
        Ask::DeleteExpectation(which) => conntrack.delete_expectation(which),
        Ask::FlushExpectations(helper) => {
            conntrack.flush_expectations(helper.as_deref());
            Ok(())
        }
        other => panic!("{other:?}"),
    }
}

/// A message with its header, as it came but for padding behind it.
pub(crate) fn bytes_of(message: &Message<'_>) -> Vec<u8> {
    let len = (16 + message.body.len()) as u32;
    let mut bytes = len.to_ne_bytes().to_vec();
    bytes.extend(message.kind.to_ne_bytes());
    bytes.extend(message.flags.to_ne_bytes());
    bytes.extend(message.sequence.to_ne_bytes());
    bytes.extend(message.port.to_ne_bytes());
    bytes.extend(message.body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(crate) fn read(bytes: &[u8]) -> Entry {
    let (message, _) = Message::first(bytes).unwrap().unwrap();
    Entry::read(&message).unwrap()
}

/// Without the attribute that Linux alone has.
pub(crate) fn without_synproxy(bytes: &[u8]) -> Vec<u8> {
    let mut left = bytes[..20].to_vec();
    let mut at = 20;
    while at + 4 <= bytes.len() {
        let len = usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
        let number = u16::from_ne_bytes([bytes[at + 2], bytes[at + 3]]) & 0x3fff;
        let end = (at + len).next_multiple_of(4);
        if number != entry::SYNPROXY {
            left.extend(&bytes[at..end]);
        }
        at = end;
    }
    let len = left.len() as u32;
    left[..4].copy_from_slice(&len.to_ne_bytes());
    left
}

pub(crate) fn compare_bytes(what: &str, ours: &[u8], theirs: &[u8]) {
    let theirs = without_synproxy(theirs);
    if ours != theirs {
        let [ours, theirs] = [ours, &theirs[..]].map(|bytes| {
            let (message, _) = Message::first(bytes).unwrap().unwrap();
            format!("{message:02x?}\n{:?}", Entry::read(&message))
        });
        panic!("{what}:\nours   {ours}\nLinux's {theirs}");
    }
}

/// Takes over what is each table's own.
pub(crate) fn adopt(ours: &mut Connection, theirs: &Connection) {
    ours.id = theirs.id;
    if let (Some(mine), Some(other)) = (ours.timeout, theirs.timeout)
        && mine.abs_diff(other) <= 1
    {
        ours.timeout = theirs.timeout;
    }
}

pub(crate) fn compare_event(what: &str, mut ours: Event, theirs: &[u8]) {
    let (message, _) = Message::first(theirs).unwrap().unwrap();
    adopt(&mut ours.connection, &read(theirs).connection);
    let mut written = Vec::new();
    put_event(&mut written, Origin::of(&message), &ours);
    compare_bytes(what, &written, theirs);
}

/// Takes over what is each table's own.
fn adopt_expectation(ours: &mut Expectation, theirs: &Expectation) {
    ours.id = theirs.id;
    if let (Some(mine), Some(other)) = (ours.timeout, theirs.timeout)
        && mine.abs_diff(other) <= 1
    {
        ours.timeout = theirs.timeout;
    }
}
