//! What ctnetlink does when it is asked by hand, by Linux and by the engine.
//!
//! Each request is one message, the same bytes for both: to the kernel over its socket, in a namespace of its
//! own, and to the engine through its codec. Then are compared: the error number; the events, byte for
//! byte; and after each group of requests the whole listing, byte for byte. So this is the test of the codec
//! against real messages, and of the rules for changes by hand against the real ones.
//!
//! Left out of the comparison are the id, which is each table's own, a second more or less to live, and the
//! empty `SYNPROXY` that Linux puts into entries made by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ip_conntrack::format::netlink::names::{entry, flag, group, kind};
use ip_conntrack::format::netlink::{
    Answer, Ask, Entry, List, Message, Messages, Origin, Request, errno, put_entry, put_event,
    put_expectation, put_expectation_end, put_expectation_new, read_expectation,
};
use ip_conntrack::{
    Change, Config, Connection, Conntrack, Event, Filter, Knob, Masked, Protocol, StateChange,
    Status, Time, Tuple, Which, Zone, ZoneDirections,
};
use lab::linux::Linux;
use libtest_mimic::{Arguments, Failed, Trial};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;

fn main() {
    let _ = lab::linux::prepare();
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        (
            "entries_made_by_hand",
            entries_made_by_hand as fn(&mut Both),
        ),
        ("entries_changed_by_hand", entries_changed_by_hand),
        ("entries_deleted_by_hand", entries_deleted_by_hand),
        ("real_messages_are_written_as_they_were_read", real_messages),
    ]
    .into_iter()
    .map(|(name, test)| Trial::test(name, move || run(test)))
    .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Each in a thread, and so in a namespace, of its own.
fn run(test: fn(&mut Both)) -> Result<(), Failed> {
    let thread = std::thread::spawn(move || match Both::new() {
        Ok(mut both) => {
            test(&mut both);
            Ok(())
        }
        Err(why) => skip(&why),
    });
    thread.join().unwrap_or_else(|_| Err("it panicked".into()))
}

fn skip(why: &str) -> Result<(), Failed> {
    if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some() {
        return Err(why.into());
    }
    println!("not compared with the kernel: {why}");
    Ok(())
}

/// The kernel and the engine.
struct Both {
    linux: Linux,
    socket: Socket,
    listener: Socket,
    ours: Conntrack,
    sequence: u32,
}

impl Both {
    fn new() -> Result<Both, String> {
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
    fn exchange(&mut self, bytes: &[u8]) -> (Vec<Vec<u8>>, i32) {
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

    fn request(&mut self, ask: &Ask) -> Vec<u8> {
        self.sequence += 1;
        let origin = Origin {
            sequence: self.sequence,
            port: 0,
        };
        let ack = !matches!(ask, Ask::List { .. });
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
    fn ask(&mut self, what: &str, ask: Ask) -> i32 {
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

    fn events(&mut self) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        while let Ok((received, _)) = self.listener.recv_from_full() {
            let messages = Messages::new(&received).map(Result::unwrap);
            events.extend(messages.map(|message| bytes_of(&message)));
        }
        events
    }

    fn compare_events(&mut self, what: &str) {
        let theirs = self.events();
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

    /// Compares the whole tables.
    fn compare_tables(&mut self, what: &str) {
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
        let tuple = |bytes: &Vec<u8>| read(bytes).connection.original;
        theirs.sort_by_key(tuple);
        ours.sort_by_key(|connection| connection.original);
        assert_eq!(ours.len(), theirs.len(), "{what}: ours {ours:#?}");
        for (mut ours, theirs) in ours.into_iter().zip(theirs) {
            let (message, _) = Message::first(&theirs).unwrap().unwrap();
            adopt(&mut ours, &read(&theirs).connection);
            let mut written = Vec::new();
            put_entry(&mut written, Origin::of(&message), message.flags, &ours);
            compare_bytes(what, &written, &theirs);
        }
    }

    fn make(&mut self, what: &str, change: &Change) -> i32 {
        let ask = Ask::New {
            change: change.clone(),
            create: true,
            exclusive: true,
        };
        self.ask(what, ask)
    }

    fn update(&mut self, what: &str, change: &Change) -> i32 {
        let ask = Ask::New {
            change: change.clone(),
            create: false,
            exclusive: false,
        };
        self.ask(what, ask)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_nanos() as u64
}

/// What the owner of one tracker does with a request that is about its entries.
fn carry_out(conntrack: &mut Conntrack, ask: &Ask) -> Result<(), ip_conntrack::Refusal> {
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
        other => panic!("{other:?}"),
    }
}

/// A message with its header, as it came but for padding behind it.
fn bytes_of(message: &Message<'_>) -> Vec<u8> {
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

fn read(bytes: &[u8]) -> Entry {
    let (message, _) = Message::first(bytes).unwrap().unwrap();
    Entry::read(&message).unwrap()
}

/// Without the attribute that Linux alone has.
fn without_synproxy(bytes: &[u8]) -> Vec<u8> {
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

fn compare_bytes(what: &str, ours: &[u8], theirs: &[u8]) {
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
fn adopt(ours: &mut Connection, theirs: &Connection) {
    ours.id = theirs.id;
    if let (Some(mine), Some(other)) = (ours.timeout, theirs.timeout)
        && mine.abs_diff(other) <= 1
    {
        ours.timeout = theirs.timeout;
    }
}

fn compare_event(what: &str, mut ours: Event, theirs: &[u8]) {
    let (message, _) = Message::first(theirs).unwrap().unwrap();
    adopt(&mut ours.connection, &read(theirs).connection);
    let mut written = Vec::new();
    put_event(&mut written, Origin::of(&message), &ours);
    compare_bytes(what, &written, theirs);
}

fn tuple(protocol: Protocol, src: [u8; 4], dst: [u8; 4], parts: (u16, u16)) -> Tuple {
    Tuple {
        src: IpAddr::from(src),
        dst: IpAddr::from(dst),
        protocol,
        src_part: parts.0,
        dst_part: parts.1,
    }
}

const HELPERS: &[&str] = &[
    "",
    "bogus",
    "ftp",
    "tftp",
    "irc",
    "sip",
    "amanda",
    "pptp",
    "netbios-ns",
    "snmp",
    "sane",
    "RAS",
    "Q.931",
    "H.245",
];

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];

/// A connection from that port to port 80, for 100 seconds.
fn entry(protocol: Protocol, port: u16) -> Change {
    let original = tuple(protocol, CLIENT, SERVER, (port, 80));
    of(original, original.inverse().unwrap())
}

fn of(original: Tuple, reply: Tuple) -> Change {
    Change {
        original: Some(original),
        reply: Some(reply),
        timeout: Some(100),
        ..Change::default()
    }
}

fn tcp(port: u16) -> Change {
    entry(Protocol::TCP, port)
}

fn tcp_state(state: Option<u8>) -> StateChange {
    StateChange::Tcp {
        state,
        window_scales: [None; 2],
        flags: [None; 2],
    }
}

fn masked<T>(value: T, mask: T) -> Masked<T> {
    Masked { value, mask }
}

fn entries_made_by_hand(both: &mut Both) {
    both.make("nothing said", &tcp(1));
    assert_eq!(both.make("again", &tcp(1)), 17);
    let again = Ask::New {
        change: Change {
            timeout: Some(50),
            ..tcp(1)
        },
        create: true,
        exclusive: false,
    };
    both.ask("again, and that is no error", again);
    both.make(
        "no reply tuple",
        &Change {
            reply: None,
            ..tcp(2)
        },
    );
    both.make(
        "no original tuple",
        &Change {
            original: None,
            ..tcp(2)
        },
    );
    both.make(
        "no time",
        &Change {
            timeout: None,
            ..tcp(2)
        },
    );
    both.make(
        "the longest time",
        &Change {
            timeout: Some(u32::MAX),
            ..tcp(3)
        },
    );

    let statuses = [
        0, 0x8, 0x9, 0x208, 0xffff, 0x4, 0x198, 0x808, 0x4008, 0x1008, 0xa, 0xc, 0xe, 0x40e, 0x48,
    ];
    for (port, status) in (100..).zip(statuses) {
        let status = Some(Status(status));
        both.make(
            &format!("status {status:?}"),
            &Change {
                status,
                ..tcp(port)
            },
        );
    }

    let other = entry(Protocol::UDP, 4).reply.unwrap();
    both.make(
        "two protocols",
        &Change {
            reply: Some(other),
            ..tcp(4)
        },
    );
    let odd = tuple(Protocol::TCP, [10, 0, 0, 9], [10, 0, 0, 8], (80, 15));
    both.make(
        "a reply tuple of its own",
        &Change {
            reply: Some(odd),
            ..tcp(15)
        },
    );
    let same = tuple(Protocol::TCP, [10, 0, 0, 3], SERVER, (15, 80));
    both.make("the same reply tuple", &of(same, odd));
    let back = tuple(Protocol::TCP, [10, 0, 0, 8], [10, 0, 0, 9], (15, 81));
    both.make("an original tuple that is another's reply", &of(odd, back));
    both.compare_tables("tuples and statuses");

    for (port, state) in (200..).zip([0, 1, 3, 9, 10, 15, 255]) {
        let state = Some(tcp_state(Some(state)));
        both.make(&format!("{state:?}"), &Change { state, ..tcp(port) });
    }
    let scales = [[Some(7), Some(14)], [Some(7), Some(15)], [Some(7), None]];
    let flags = [
        [None; 2],
        [Some(masked(1, 1)); 2],
        [Some(masked(3, 3)), Some(masked(0xff, 0xff))],
        [Some(masked(0x0f, 0x05)), None],
    ];
    for (n, window_scales) in (0u16..).zip(scales) {
        for (m, flags) in (0u16..).zip(flags) {
            for (k, state) in (0u16..).zip([None, Some(3)]) {
                let change = StateChange::Tcp {
                    state,
                    window_scales,
                    flags,
                };
                let state = Some(change);
                let port = 300 + n * 20 + m * 2 + k;
                both.make(&format!("{state:?}"), &Change { state, ..tcp(port) });
            }
        }
    }
    both.compare_tables("TCP states");

    let states = [None, Some(0), Some(4), Some(8), Some(9), Some(200)];
    let tags = [[None, None], [Some(1), Some(2)], [Some(1), None]];
    for (n, state) in (0u16..).zip(states) {
        for (m, tags) in (0u16..).zip(tags) {
            let state = Some(StateChange::Sctp { state, tags });
            let port = 400 + n * 5 + m;
            both.make(
                &format!("{state:?}"),
                &Change {
                    state,
                    ..entry(Protocol::SCTP, port)
                },
            );
        }
    }
    let state = Some(tcp_state(Some(3)));
    both.make(
        "a TCP state for UDP",
        &Change {
            state,
            ..entry(Protocol::UDP, 5)
        },
    );
    both.make("SCTP without state", &entry(Protocol::SCTP, 6));
    both.compare_tables("SCTP states");

    both.make(
        "mark",
        &Change {
            mark: Some(masked(5, u32::MAX)),
            ..tcp(500)
        },
    );
    both.make(
        "mark and mask",
        &Change {
            mark: Some(masked(0xff, 0xf)),
            ..tcp(501)
        },
    );
    for (n, name) in (0u16..).zip(HELPERS) {
        for (m, protocol) in (0u16..).zip([Protocol::TCP, Protocol::UDP]) {
            let helper = Some((*name).to_owned());
            let change = entry(protocol, 510 + n * 2 + m);
            both.make(&format!("helper {name:?}"), &Change { helper, ..change });
        }
    }
    for name in HELPERS {
        let helper = Some((*name).to_owned());
        let [src, dst] = [[0x20; 16], [0x21; 16]].map(IpAddr::from);
        let original = Tuple {
            src,
            dst,
            ..tcp(1).original.unwrap()
        };
        let change = of(original, original.inverse().unwrap());
        both.make(
            &format!("helper {name:?} over IPv6"),
            &Change { helper, ..change },
        );
        both.ask("away with it", Ask::Delete(Which::original(original)));
    }
    both.compare_tables("marks and helpers");

    for (n, applies) in [
        ZoneDirections::Both,
        ZoneDirections::Original,
        ZoneDirections::Reply,
    ]
    .into_iter()
    .enumerate()
    {
        let zone = Zone { id: 5, applies };
        both.make(
            &format!("{zone:?}"),
            &Change {
                zone,
                ..tcp(600 + n as u16)
            },
        );
    }
    both.make(
        "the same tuple in another zone",
        &Change {
            zone: Zone::both(5),
            ..tcp(1)
        },
    );
    let nobody = tuple(Protocol::TCP, CLIENT, SERVER, (9, 9));
    both.make(
        "a master that is not there",
        &Change {
            master: Some(nobody),
            ..tcp(700)
        },
    );
    let master = tcp(1).original;
    both.make("a master", &Change { master, ..tcp(701) });
    both.compare_tables("zones and masters");

    for (protocol, types) in [(Protocol::ICMP, [8, 0, 3, 13, 42])] {
        for (n, kind) in (0u16..).zip(types) {
            let answer = if kind == 8 {
                0
            } else if kind == 13 {
                14
            } else {
                8
            };
            let original = tuple(protocol, CLIENT, SERVER, (n, kind << 8));
            let reply = tuple(protocol, SERVER, CLIENT, (n, answer << 8));
            both.make(&format!("ICMP type {kind}"), &of(original, reply));
        }
    }
    for protocol in [Protocol(99), Protocol::DCCP, Protocol::UDPLITE] {
        both.make(&format!("{protocol:?}"), &entry(protocol, 8));
    }
    both.compare_tables("other protocols");
}

fn entries_changed_by_hand(both: &mut Both) {
    let all = Change {
        status: Some(Status(0xe)),
        state: Some(tcp_state(Some(3))),
        ..tcp(1)
    };
    both.make("an entry", &all);
    let is = Change {
        original: tcp(1).original,
        ..Change::default()
    };
    both.update(
        "nobody",
        &Change {
            original: tcp(9).original,
            ..is.clone()
        },
    );
    both.update(
        "no tuple",
        &Change {
            timeout: Some(5),
            ..Change::default()
        },
    );
    both.update("nothing", &is);
    both.update(
        "time",
        &Change {
            timeout: Some(70),
            ..is.clone()
        },
    );
    let by_reply = Change {
        original: None,
        reply: tcp(1).reply,
        ..is.clone()
    };
    both.update(
        "by the reply tuple",
        &Change {
            timeout: Some(60),
            ..by_reply
        },
    );
    both.compare_tables("time");

    for status in [
        0xc, 0xa, 0x6, 0xf, 0x20e, 0x1e, 0x4e, 0x18e, 0x100e, 0x80e, 0x400e, 0x200e, 0xe, 0x40e,
    ] {
        let status = Some(Status(status));
        both.update(
            &format!("status {status:?}"),
            &Change {
                status,
                ..is.clone()
            },
        );
    }
    both.update(
        "a fixed time",
        &Change {
            timeout: Some(5),
            ..is.clone()
        },
    );
    let status = Some(Status(0xe));
    both.update(
        "no longer fixed",
        &Change {
            status,
            timeout: Some(5),
            ..is.clone()
        },
    );
    both.update(
        "no longer fixed, alone",
        &Change {
            status,
            ..is.clone()
        },
    );
    both.compare_tables("status");

    for (value, mask) in [(5, u32::MAX), (0xf0, 0xf0), (0xff, 0x0f), (0, u32::MAX)] {
        let mark = Some(masked(value, mask));
        both.update(&format!("{mark:?}"), &Change { mark, ..is.clone() });
    }
    for state in [7, 10, 3] {
        let state = Some(tcp_state(Some(state)));
        both.update(
            &format!("{state:?}"),
            &Change {
                state,
                ..is.clone()
            },
        );
    }
    let state = Some(StateChange::Sctp {
        state: Some(4),
        tags: [Some(1), Some(2)],
    });
    both.update(
        "a state of SCTP",
        &Change {
            state,
            ..is.clone()
        },
    );
    let master = is.original;
    both.update(
        "a master",
        &Change {
            master,
            ..is.clone()
        },
    );
    let src_nat = Some(ip_conntrack::NatRange {
        addresses: Some((SERVER.into(), SERVER.into())),
        ports: None,
    });
    both.update(
        "translation",
        &Change {
            src_nat,
            ..is.clone()
        },
    );
    both.compare_tables("marks and states");

    let helper = |name: &str| Some(name.to_owned());
    for name in ["ftp", "bogus", ""] {
        both.update(
            &format!("helper {name:?} of none"),
            &Change {
                helper: helper(name),
                ..is.clone()
            },
        );
    }
    both.make(
        "with a helper",
        &Change {
            helper: helper("ftp"),
            ..tcp(2)
        },
    );
    let is = Change {
        original: tcp(2).original,
        ..Change::default()
    };
    for name in ["ftp", "irc", "bogus", "", "ftp", ""] {
        both.update(
            &format!("helper {name:?} of ftp"),
            &Change {
                helper: helper(name),
                ..is.clone()
            },
        );
    }
    both.compare_tables("helpers");
}

fn entries_deleted_by_hand(both: &mut Both) {
    let which = |port| Which::original(tcp(port).original.unwrap());
    let is = which(1);
    both.make("an entry", &tcp(1));
    for zone in [Zone::both(1), Zone::default()] {
        let which = Which { zone, ..is };
        both.ask("get in a zone", Ask::Get { which, zero: false });
    }
    let reply = Which {
        tuple: tcp(1).reply.unwrap(),
        ..is
    };
    both.ask(
        "get by the reply tuple",
        Ask::Get {
            which: reply,
            zero: false,
        },
    );
    both.ask("another id", Ask::Delete(Which { id: Some(1), ..is }));
    both.ask(
        "another zone",
        Ask::Delete(Which {
            zone: Zone::both(1),
            ..is
        }),
    );
    both.ask("delete", Ask::Delete(is));
    both.ask("delete again", Ask::Delete(is));

    for port in 10..16 {
        let change = Change {
            zone: Zone::both(port % 2),
            mark: Some(masked(port.into(), u32::MAX)),
            status: Some(Status(if port < 14 { 8 } else { 0xe })),
            ..tcp(port)
        };
        both.make("an entry", &change);
    }
    let flush = |filter: Filter| Ask::Flush(filter);
    let all = Filter::default();
    both.ask(
        "by mark",
        flush(Filter {
            mark: Some(masked(10, u32::MAX)),
            ..all.clone()
        }),
    );
    both.compare_tables("by mark");
    both.ask(
        "by status",
        flush(Filter {
            status: Some(masked(4, 4)),
            ..all.clone()
        }),
    );
    both.compare_tables("by status");
    let v6 = Some(ip_conntrack::Family::V6);
    both.ask(
        "by family",
        flush(Filter {
            family: v6,
            ..all.clone()
        }),
    );
    both.compare_tables("by family");
    both.ask(
        "by zone",
        flush(Filter {
            zone: Some(0),
            ..all.clone()
        }),
    );
    both.compare_tables("by zone");
    both.make("one that is left", &tcp(20));
    let _ = both.events();
}

/// Real connections through the loopback device: each message that the kernel sends about them is read, and
/// written again as it was.
fn real_messages(both: &mut Both) {
    both.linux.set("nf_conntrack_timestamp", "1").unwrap();
    run_there("ip link set lo up");
    run_there("nft flush ruleset");
    run_there("nft add table inet real");
    run_there("nft add chain inet real in { type filter hook input priority 0 ; }");
    run_there("nft add rule inet real in ct state new accept");
    let _ = both.events();

    for host in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (one, two) = (
            UdpSocket::bind((host, 0)).unwrap(),
            UdpSocket::bind((host, 0)).unwrap(),
        );
        for _ in 0..2 {
            one.send_to(b"?", two.local_addr().unwrap()).unwrap();
            two.send_to(b"!", one.local_addr().unwrap()).unwrap();
        }
        let dump = real_listing(both);
        assert!(dump >= 2, "{dump} entries of {host}");
        drop((client, server));
        std::thread::sleep(Duration::from_millis(20));
        let _ = real_listing(both);
        let family = if host == "::1" { "ipv6" } else { "ipv4" };
        run_there(&format!("conntrack -U -m 7 -f {family}"));
        let _ = real_listing(both);
    }
    run_there("conntrack -F");
    let events = real_events(both);
    assert!(events >= 12, "{events} events");
}

/// Runs a command in this thread's namespace.
fn run_there(command: &str) {
    let mut words = command.split(' ');
    let mut command = std::process::Command::new(words.next().unwrap());
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn real_listing(both: &mut Both) -> usize {
    let ask = Ask::List {
        list: List::Table,
        filter: Filter::default(),
        zero: false,
    };
    let bytes = both.request(&ask);
    let (entries, _) = both.exchange(&bytes);
    for theirs in &entries {
        let (message, _) = Message::first(theirs).unwrap().unwrap();
        let mut written = Vec::new();
        let connection = read(theirs).connection;
        put_entry(
            &mut written,
            Origin::of(&message),
            message.flags,
            &connection,
        );
        compare_bytes("a listing", &written, theirs);
    }
    entries.len()
}

fn real_events(both: &mut Both) -> usize {
    let events = both.events();
    for theirs in &events {
        let (message, _) = Message::first(theirs).unwrap().unwrap();
        let mut written = Vec::new();
        match message.kind {
            kind::CT_NEW | kind::CT_DELETE => {
                let mut event = Entry::event(&message, Time::ZERO).unwrap();
                // It is not told, but that there is a time of the event tells that there is one.
                event.connection.start = event.connection.start.or(read(theirs).time);
                put_event(&mut written, Origin::of(&message), &event);
                compare_bytes("an event", &written, theirs);
            }
            _ => {
                let expectation = read_expectation(&message).unwrap();
                let put = match message.kind {
                    kind::EXP_DELETE => put_expectation_end,
                    _ if message.has(flag::CREATE) => put_expectation_new,
                    _ => |out: &mut Vec<u8>, origin, it: &_| put_expectation(out, origin, 0, it),
                };
                put(&mut written, Origin::of(&message), &expectation);
                assert_eq!(written, *theirs);
            }
        }
    }
    events.len()
}
