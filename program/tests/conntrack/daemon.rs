//! The other transport: what is asked of a daemon, and what becomes of one that is missing, goes away, sends
//! nonsense, or says that its listing was interrupted. The daemon here answers each request with what the test
//! tells it to, over a real socket.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use ip_conntrack::format::netlink::names::flag;
use ip_conntrack::format::netlink::{
    Ask, Message, Origin, Request, own, put_ack, put_done, put_entry, put_error, put_event,
    put_overrun,
};
use ip_conntrack::{
    Changes, Config, Connection, Conntrack, Event, EventKind, LinkType, Packet, Time,
};

use crate::events::Listener;
use crate::run::{IPCT, Said, ours, run, words};

/// Answers to one request after the other.
type Answer = Box<dyn FnMut(&Message<'_>, &Ask) -> Vec<u8> + Send>;

/// A daemon that serves until the test ends.
struct Daemon {
    path: PathBuf,
    _folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Ask>>>,
    _thread: JoinHandle<()>,
}

impl Daemon {
    fn new(answer: Answer) -> Daemon {
        let answer = Arc::new(Mutex::new(answer));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, heard) = (answer.clone(), heard.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &answer, &heard));
            }
        });
        Daemon {
            path,
            _folder: folder,
            asked,
            _thread: thread,
        }
    }

    fn ask(&self, line: &str) -> Said {
        let mut arguments = vec!["--socket", self.path.to_str().unwrap()];
        arguments.extend(words(line));
        run(IPCT, &arguments)
    }

    fn asked(&self) -> Vec<Ask> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn serve(mut stream: UnixStream, answer: &Mutex<Answer>, heard: &Mutex<Vec<Ask>>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        while let Some((message, used)) = Message::first(&bytes).unwrap() {
            let ask = Request::read(&message).unwrap().ask;
            let said = (answer.lock().unwrap())(&message, &ask);
            heard.lock().unwrap().push(ask);
            if said.is_empty() || stream.write_all(&said).is_err() {
                return;
            }
            bytes.drain(..used);
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(len) => bytes.extend(&buffer[..len]),
        }
    }
}

/// Connections that a tracker made of packets: UDP from so many ports.
fn connections(ports: std::ops::Range<u16>) -> Vec<Connection> {
    let mut conntrack = Conntrack::new(Config::default(), 7);
    for port in ports {
        let mut packet = vec![
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        packet.extend(port.to_be_bytes());
        packet.extend([0, 53, 0, 8, 0, 0]);
        let sum = packet.chunks(2).take(10).fold(0u32, |sum, pair| {
            sum + u32::from(u16::from_be_bytes([pair[0], pair[1]]))
        });
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        let packet = Packet::parse(LinkType::Raw, &packet).unwrap();
        conntrack.track(&packet, Time::from_secs(1_000));
    }
    conntrack.connections().collect()
}

fn listing(message: &Message<'_>, connections: &[Connection], flags: u16) -> Vec<u8> {
    let origin = Origin::of(message);
    let mut out = Vec::new();
    for connection in connections {
        put_entry(&mut out, origin, flag::MULTI | flags, connection);
    }
    put_done(&mut out, origin);
    out
}

fn ports(said: &Said) -> Vec<u16> {
    let port = |line: &str| line.split("sport=").nth(1)?.split(' ').next()?.parse().ok();
    let mut ports: Vec<u16> = said.out.lines().filter_map(port).collect();
    ports.sort_unstable();
    ports
}

#[test]
fn a_daemons_table_is_listed_in_the_same_form() {
    let all = connections(1..1000);
    let daemon = Daemon::new(Box::new(move |message, _| listing(message, &all, 0)));
    let said = daemon.ask("-L -p udp --dport 53 -m 0");
    assert_eq!(ports(&said), (1..1000).collect::<Vec<u16>>());
    assert!(
        said.out
            .starts_with("udp      17 30 src=10.0.0.1 dst=10.0.0.2 sport="),
        "{}",
        said.out
    );
    assert!(said.err.ends_with("999 flow entries have been shown.\n") && said.status == 0);
    // It is told what is wanted, so that it need not send everything.
    let asked = daemon.asked();
    assert!(
        matches!(&asked[..], [Ask::List { filter, .. }] if filter.mark.is_some()),
        "{asked:?}"
    );
}

#[test]
fn the_tools_name_with_ipct_is_the_daemons_table() {
    let all = connections(1..3);
    let daemon = Daemon::new(Box::new(move |message, _| listing(message, &all, 0)));
    let socket = daemon.path.to_str().unwrap();
    let said = run(ours(), &["--ipct", "--socket", socket, "-L"]);
    assert_eq!((ports(&said), said.status), (vec![1, 2], 0));
}

#[test]
fn events_of_a_daemon_are_subscribed_to_and_its_losses_are_made_good() {
    let all = connections(1..6);
    let event = |connection: &Connection| Event {
        kind: EventKind::New,
        changes: Changes::NEW,
        time: Time::from_secs(1),
        connection: connection.clone(),
    };
    let daemon = Daemon::new(Box::new(move |message, ask| {
        let mut out = Vec::new();
        match ask {
            Ask::Own(own::Ask::Subscribe(groups)) => {
                assert_eq!(groups.0, 0b111);
                put_ack(&mut out, message);
                put_event(&mut out, Origin::default(), &event(&all[0]));
                put_overrun(&mut out, Origin::default());
                put_event(&mut out, Origin::default(), &event(&all[4]));
            }
            _ => out = listing(message, &all, 0),
        }
        out
    }));
    let socket = daemon.path.to_str().unwrap();
    let child = std::process::Command::new(IPCT)
        .args(["--socket", socket, "-E"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let said = Listener::from(child).finish(rustix::process::Signal::INT);
    let tagged = |tag: &str| said.out.lines().filter(|line| line.contains(tag)).count();
    assert_eq!((tagged("[NEW]"), tagged("[SYNC]")), (2, 5), "{said:?}");
    assert!(
        said.err.contains("2 flow events have been shown."),
        "{said:?}"
    );
    assert_eq!(said.status, 0);
}

#[test]
fn an_interrupted_listing_is_repeated_and_prints_nothing_twice() {
    let (first, second) = (connections(1..500), connections(1..800));
    let mut calls = 0;
    let daemon = Daemon::new(Box::new(move |message, _| {
        calls += 1;
        match calls {
            1 => listing(message, &first, flag::DUMP_INTR),
            _ => listing(message, &second, 0),
        }
    }));
    let said = daemon.ask("-L");
    assert_eq!(ports(&said), (1..800).collect::<Vec<u16>>());
    assert!(!said.err.contains("WARNING"), "{}", said.err);
    assert!(
        said.err.ends_with("799 flow entries have been shown.\n"),
        "{}",
        said.err
    );
}

#[test]
fn a_listing_that_is_always_interrupted_says_so() {
    let all = connections(1..100);
    let daemon = Daemon::new(Box::new(move |message, _| {
        listing(message, &all, flag::DUMP_INTR)
    }));
    let said = daemon.ask("-L");
    assert_eq!(ports(&said), (1..100).collect::<Vec<u16>>());
    assert!(
        said.err.contains("WARNING: ") && said.err.contains("entries may be missing"),
        "{}",
        said.err
    );
    assert_eq!(daemon.asked().len(), 3);
}

#[test]
fn a_bucket_that_is_told_again_is_not_printed_again() {
    let all = connections(1..100);
    let daemon = Daemon::new(Box::new(move |message, _| {
        let again = [&all[..60], &all[20..]].concat();
        listing(message, &again, 0)
    }));
    assert_eq!(ports(&daemon.ask("-L")), (1..100).collect::<Vec<u16>>());
}

#[test]
fn changes_are_asked_for_and_refusals_are_told_with_the_daemons_words() {
    let daemon = Daemon::new(Box::new(|message, ask| {
        let mut out = Vec::new();
        match ask {
            Ask::New { .. } => put_ack(&mut out, message),
            _ => put_error(&mut out, message, 13, Some("user 1000 may read only")),
        }
        out
    }));
    let said = daemon.ask("-I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 5 --dport 6 -t 60 -m 7");
    assert!(
        said.err.ends_with("1 flow entries have been created.\n"),
        "{said:?}"
    );
    let asked = daemon.asked();
    let [
        Ask::New {
            change,
            create: true,
            exclusive: true,
        },
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    assert_eq!(
        (change.timeout, change.mark.map(|mark| mark.value)),
        (Some(60), Some(7))
    );
    let said = daemon.ask("-F");
    assert!(
        said.err.contains("(user 1000 may read only)") && said.status == 1,
        "{said:?}"
    );
    assert!(matches!(&daemon.asked()[..], [Ask::Flush(filter)] if filter.is_empty()));
}

#[test]
fn a_daemon_that_is_not_there_is_named_with_the_way_out() {
    let said = run(IPCT, &words("--socket /nonexistent/control.sock -L"));
    for part in ["/nonexistent/control.sock", "ipct run", "--kernel"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert_eq!((said.out.as_str(), said.status), ("", 1));
}

#[test]
fn a_daemon_that_goes_away_or_sends_nonsense_is_an_error() {
    let gone = Daemon::new(Box::new(|_, _| Vec::new()));
    let said = gone.ask("-L");
    assert!(
        said.err.contains("the connection was closed") && said.status == 1,
        "{said:?}"
    );
    let all = connections(1..3);
    let cut = Daemon::new(Box::new(move |message, _| {
        let mut out = listing(message, &all, 0);
        out.extend([0xff; 64]);
        let start = out.len() - 64 - 20;
        out.drain(start..start + 20);
        out
    }));
    let said = cut.ask("-L");
    assert!(
        said.err.contains("a message of") && said.status == 1,
        "{said:?}"
    );
    assert_eq!(ports(&said), [1, 2]);
}

#[test]
fn nonsense_of_any_kind_ends_with_an_error_and_not_with_a_crash() {
    let all = connections(1..20);
    let mut round = 0usize;
    let daemon = Daemon::new(Box::new(move |message, _| {
        round += 1;
        let mut out = listing(message, &all, 0);
        let place = round * 37 % out.len();
        out[place] ^= 1 << (round % 8);
        out
    }));
    for _ in 0..60 {
        let mut child = std::process::Command::new("timeout")
            .args([
                "5",
                IPCT,
                "--socket",
                daemon.path.to_str().unwrap(),
                "-L",
                "-o",
                "xml",
            ])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let status = child.wait().unwrap();
        // 124: it still waits for the end that was damaged.
        assert!(matches!(status.code(), Some(0 | 1 | 124)), "{status}");
    }
}
