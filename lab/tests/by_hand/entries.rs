//! Entries made, changed and deleted by hand.

use std::net::IpAddr;

use ip_conntrack::format::netlink::Ask;
use ip_conntrack::{
    Change, Filter, Masked, Protocol, StateChange, Status, Tuple, Which, Zone, ZoneDirections,
};

use crate::both::Both;

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

pub(crate) const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub(crate) const SERVER: [u8; 4] = [10, 0, 0, 2];

pub(crate) fn tuple(protocol: Protocol, src: [u8; 4], dst: [u8; 4], parts: (u16, u16)) -> Tuple {
    Tuple {
        src: IpAddr::from(src),
        dst: IpAddr::from(dst),
        protocol,
        src_part: parts.0,
        dst_part: parts.1,
    }
}

/// A connection from that port to port 80, for 100 seconds.
pub(crate) fn entry(protocol: Protocol, port: u16) -> Change {
    let original = tuple(protocol, CLIENT, SERVER, (port, 80));
    of(original, original.inverse().unwrap())
}

pub(crate) fn of(original: Tuple, reply: Tuple) -> Change {
    Change {
        original: Some(original),
        reply: Some(reply),
        timeout: Some(100),
        ..Change::default()
    }
}

pub(crate) fn tcp(port: u16) -> Change {
    entry(Protocol::TCP, port)
}

pub(crate) fn tcp_state(state: Option<u8>) -> StateChange {
    StateChange::Tcp {
        state,
        window_scales: [None; 2],
        flags: [None; 2],
    }
}

pub(crate) fn masked<T>(value: T, mask: T) -> Masked<T> {
    Masked { value, mask }
}

pub(crate) fn made_by_hand(both: &mut Both) {
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

pub(crate) fn changed_by_hand(both: &mut Both) {
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

pub(crate) fn deleted_by_hand(both: &mut Both) {
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
