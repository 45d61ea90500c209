//! Expectations made by hand, and packets that fulfil them.

use ip_conntrack::format::netlink::Ask;
use ip_conntrack::{
    Change, Class, ExpectFlags, Masked, NewExpectation, Protocol, Tuple, Which, WhichExpectation,
    Zone,
};

use crate::both::Both;
use crate::entries::{CLIENT, SERVER, entry, tuple};

/// From any port of the server to that port of the client, expected by the client's connection from that
/// other port.
fn expected(protocol: Protocol, port: u16, master: Tuple) -> NewExpectation {
    NewExpectation {
        tuple: tuple(protocol, SERVER, CLIENT, (0, port)),
        mask: Some(tuple(protocol, [255; 4], [255; 4], (0, 0xffff))),
        master: Some(master),
        zone: Zone::default(),
        timeout: None,
        flags: ExpectFlags(0),
        class: 0,
    }
}

fn make(both: &mut Both, what: &str, new: &NewExpectation) -> i32 {
    let ask = Ask::NewExpectation {
        new: new.clone(),
        create: true,
        exclusive: true,
    };
    both.ask(what, ask)
}

fn with_helper(both: &mut Both, protocol: Protocol, port: u16, helper: Option<&str>) -> Tuple {
    let change = Change {
        helper: helper.map(str::to_owned),
        mark: Some(Masked {
            value: port.into(),
            mask: u32::MAX,
        }),
        ..entry(protocol, port)
    };
    assert_eq!(both.make("a master", &change), 0);
    change.original.unwrap()
}

pub(crate) fn made_by_hand(both: &mut Both) {
    const TCP: Protocol = Protocol::TCP;
    const UDP: Protocol = Protocol::UDP;
    let [ftp, other] = [21, 22].map(|port| with_helper(both, TCP, port, Some("ftp")));
    let irc = with_helper(both, TCP, 23, Some("irc"));
    let none = with_helper(both, TCP, 24, None);
    let sip = with_helper(both, UDP, 25, Some("sip"));
    let new = expected(TCP, 5000, ftp);

    let nobody = tuple(TCP, CLIENT, SERVER, (99, 80));
    for (what, new) in [
        (
            "no mask",
            NewExpectation {
                mask: None,
                ..new.clone()
            },
        ),
        (
            "no master",
            NewExpectation {
                master: None,
                ..new.clone()
            },
        ),
        (
            "a master that is not there",
            NewExpectation {
                master: Some(nobody),
                ..new.clone()
            },
        ),
        (
            "a master without helper",
            NewExpectation {
                master: Some(none),
                ..new.clone()
            },
        ),
        (
            "another zone",
            NewExpectation {
                zone: Zone::both(3),
                ..new.clone()
            },
        ),
        (
            "a class that is none",
            NewExpectation {
                class: 1,
                ..new.clone()
            },
        ),
        (
            "a flag that is none",
            NewExpectation {
                flags: ExpectFlags(8),
                ..new.clone()
            },
        ),
    ] {
        assert_ne!(make(both, what, &new), 0, "{what}");
    }
    let ask = |create, exclusive, timeout| Ask::NewExpectation {
        new: NewExpectation {
            timeout,
            ..new.clone()
        },
        create,
        exclusive,
    };
    both.ask("only a change", ask(false, false, None));
    both.ask(
        "made, whatever time it shall have",
        ask(true, true, Some(77)),
    );
    both.ask("again", ask(true, true, None));
    both.ask("again, and that is no error", ask(true, false, None));
    both.compare_expectations("as it was made");
    both.ask("another time", ask(false, false, Some(55)));
    both.compare_expectations("of another time");

    make(
        both,
        "one more takes the place of the oldest",
        &expected(TCP, 5001, ftp),
    );
    make(both, "the same for another", &expected(TCP, 5001, other));
    let mut wide = expected(TCP, 5001, other);
    wide.mask = Some(tuple(TCP, [0; 4], [255; 4], (0, 0xffff)));
    make(both, "a wider one for another", &wide);
    let mut narrow = expected(TCP, 5008, irc);
    narrow.tuple.src_part = 7;
    narrow.mask = Some(tuple(TCP, [255; 4], [255; 4], (0xffff, 0xffff)));
    make(both, "from one port", &narrow);
    make(both, "from any port", &expected(TCP, 5008, irc));
    for class in 0..5 {
        let new = NewExpectation {
            class,
            ..expected(UDP, 6000 + class as u16, sip)
        };
        make(both, &format!("class {class}"), &new);
    }
    for number in 0..6 {
        let new = NewExpectation {
            class: 1,
            ..expected(UDP, 6100 + number, sip)
        };
        make(both, "many of a class", &new);
    }
    for flags in 0..8 {
        let flags = ExpectFlags(flags);
        make(
            both,
            &format!("{flags:?}"),
            &NewExpectation {
                flags,
                ..expected(TCP, 5100 + flags.0 as u16, irc)
            },
        );
    }
    make(
        both,
        "of another protocol than its master",
        &expected(UDP, 5010, irc),
    );
    make(
        both,
        "by the master's reply tuple",
        &expected(TCP, 5011, irc.inverse().unwrap()),
    );
    both.compare_expectations("all of them");

    let which = |port| WhichExpectation {
        tuple: tuple(TCP, SERVER, CLIENT, (999, port)),
        zone: Zone::default(),
        id: None,
    };
    both.ask("get", Ask::GetExpectation(which(5011)));
    both.ask("get what is not there", Ask::GetExpectation(which(1)));
    let odd = WhichExpectation {
        id: Some(1),
        ..which(5011)
    };
    both.ask("get by another id", Ask::GetExpectation(odd));
    both.ask("delete by another id", Ask::DeleteExpectation(odd));
    both.ask("delete", Ask::DeleteExpectation(which(5011)));
    both.ask("delete again", Ask::DeleteExpectation(which(5011)));
    both.ask(
        "of no helper",
        Ask::FlushExpectations(Some("bogus".to_owned())),
    );
    both.compare_expectations("after some were deleted");
    both.ask("the master", Ask::Delete(Which::original(ftp)));
    both.compare_expectations("without a master");
}

/// A datagram without data.
fn datagram(src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0];
    packet.extend(src);
    packet.extend(dst);
    let words = packet
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(ports.0.to_be_bytes());
    packet.extend(ports.1.to_be_bytes());
    packet.extend([0, 8, 0, 0]);
    packet
}

pub(crate) fn fulfilled(both: &mut Both) {
    const UDP: Protocol = Protocol::UDP;
    let master = with_helper(both, UDP, 25, Some("sip"));
    for (port, flags) in [(7000, 0), (7001, 1), (7002, 2)] {
        let flags = ExpectFlags(flags);
        let class = 1;
        let new = NewExpectation {
            flags,
            class,
            ..expected(UDP, port, master)
        };
        assert_eq!(make(both, "expected", &new), 0);
    }
    let class = |both: &mut Both, what: &str, src: [u8; 4], ports| {
        both.send(what, &datagram(src, CLIENT, ports)).class
    };
    let elsewhere = [10, 0, 0, 77];
    assert_eq!(
        class(both, "from elsewhere", elsewhere, (1, 7000)),
        Class::New
    );
    assert_eq!(
        class(both, "what is expected", SERVER, (1, 7000)),
        Class::Related
    );
    assert_eq!(
        class(both, "the same again", SERVER, (1, 7000)),
        Class::Related
    );
    assert_eq!(
        class(both, "expected no more", SERVER, (2, 7000)),
        Class::New
    );
    assert_eq!(
        class(both, "permanently", SERVER, (1, 7001)),
        Class::Related
    );
    assert_eq!(
        class(both, "permanently, again", SERVER, (2, 7001)),
        Class::Related
    );
    assert_eq!(class(both, "not yet", SERVER, (1, 7002)), Class::New);
    both.compare_expectations("after the packets");
    both.compare_tables("with children");

    let child = Which::original(tuple(UDP, SERVER, CLIENT, (1, 7001)));
    both.ask("a child goes", Ask::Delete(child));
    both.compare_tables("without a child");
    both.ask("the master goes", Ask::Delete(Which::original(master)));
    both.compare_expectations("without a master");
    both.compare_tables("without a master");
}
