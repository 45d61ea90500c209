//! Listings of all times, read back: the lines are those that live kernels and tools printed, whole and
//! damaged.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ip_conntrack::{Protocol, ProtocolState, SctpState, TcpState};
use ip_conntrack_analysis::Flow;
use ip_conntrack_analysis::listing::{Form, Line, Listing};
use proptest::prelude::*;

fn read(line: &str) -> (Flow, Form) {
    let mut listing = Listing::default();
    match listing.line(line.as_bytes()) {
        Line::Entry(flow) => (flow, listing.form),
        other => panic!("{other:?} from {line}"),
    }
}

#[track_caller]
fn is_unreadable(line: &str) {
    assert_eq!(
        Listing::default().line(line.as_bytes()),
        Line::Unreadable,
        "{line}"
    );
}

const PROC: &str = "ipv4     2 tcp      6 431998 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=40003 dport=80 packets=2 bytes=80 src=10.0.2.2 dst=10.0.1.2 sport=80 dport=40003 packets=1 bytes=40 [ASSURED] mark=0 zone=0 delta-time=1 use=2";

#[test]
fn nf_conntrack() {
    let (flow, form) = read(PROC);
    assert_eq!(form, Form::Extended);
    assert_eq!(
        (flow.src.to_string(), flow.dst.to_string()),
        ("10.0.1.2".to_owned(), "10.0.2.2".to_owned())
    );
    assert_eq!(
        (flow.protocol, flow.sport, flow.dport),
        (Protocol::TCP, 40_003, 80)
    );
    assert_eq!(flow.state, Some(ProtocolState::Tcp(TcpState::Established)));
    assert_eq!((flow.timeout, flow.age), (Some(431_998), Some(1)));
    assert_eq!((flow.packets, flow.bytes), (Some([2, 1]), Some([80, 40])));
    assert!(flow.replied && flow.assured && !flow.source_translated);
}

#[test]
fn ip_conntrack_of_2_6() {
    let line = "tcp      6 117 SYN_SENT src=192.168.1.6 dst=192.168.1.9 sport=32775 dport=22 packets=1 bytes=60 [UNREPLIED] src=192.168.1.9 dst=192.168.1.6 sport=22 dport=32775 packets=0 bytes=0 mark=0 secmark=0 use=1";
    let (flow, form) = read(line);
    assert_eq!(form, Form::Plain);
    assert_eq!(
        (flow.timeout, flow.replied, flow.dport),
        (Some(117), false, 22)
    );
    assert_eq!(flow.packets, Some([1, 0]));
}

#[test]
fn without_counters_and_with_a_carriage_return() {
    let line = "udp      17 28 src=10.0.1.2 dst=10.0.2.2 sport=40000 dport=53 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 sport=53 dport=40000 mark=0 use=1\r";
    let (flow, _) = read(line);
    assert_eq!(
        (flow.packets, flow.bytes, flow.replied),
        (None, None, false)
    );
    assert_eq!((flow.protocol, flow.timeout), (Protocol::UDP, Some(28)));
}

#[test]
fn hidden_parts_of_addresses() {
    let line = "tcp      6 431999 ESTABLISHED src=xxx.xxx.1.2 dst=xxx.xxx.9.80 sport=1025 dport=80 src=xxx.xxx.9.80 dst=xxx.xxx.1.2 sport=80 dport=1025 [ASSURED] use=1";
    let (flow, _) = read(line);
    assert_eq!(
        (flow.src.to_string(), flow.src.hidden),
        ("xxx.xxx.1.2".to_owned(), 3)
    );
    let line = line
        .replace("xxx.xxx.1.2", "203.0.113.x")
        .replace("xxx.xxx.9.80", "10.*.*.*");
    let (flow, _) = read(&line);
    assert_eq!((flow.src.visible_bits(), flow.dst.visible_bits()), (24, 8));
}

#[test]
fn the_tool_with_all_that_it_can_say() {
    let line = "ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=41000 dport=21 packets=4 bytes=216 src=10.0.2.2 dst=10.0.1.2 sport=21 dport=41000 packets=3 bytes=164 [ASSURED] mark=7 zone=3 delta-time=9 [start=Mon Nov 23 15:06:36 2026] helper=ftp use=2 id=2812902766 labels=a,b";
    let (flow, _) = read(line);
    assert_eq!(
        (flow.sport, flow.age, flow.assured),
        (41_000, Some(9), true)
    );
    assert_eq!(flow.timeout, Some(431_999));
}

#[test]
fn ipv6_icmp_gre_and_sctp() {
    let line = "ipv6     10 icmpv6   58 29 src=2001:0db8:0001:0000:0000:0000:0000:0002 dst=2001:0db8:0002:0000:0000:0000:0000:0002 type=128 code=0 id=77 packets=1 bytes=104 src=2001:0db8:0002:0000:0000:0000:0000:0002 dst=2001:0db8:0001:0000:0000:0000:0000:0002 type=129 code=0 id=77 packets=1 bytes=104 mark=0 zone=0 use=2";
    let (flow, _) = read(line);
    assert_eq!(flow.src.to_string(), "2001:db8:1::2");
    assert_eq!(
        (flow.protocol, flow.sport, flow.dport),
        (Protocol::ICMPV6, 77, 128 << 8)
    );
    let gre = "gre      47 29 timeout=30, stream_timeout=180 src=10.0.1.2 dst=10.0.2.2 srckey=0x0 dstkey=0x1234 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 srckey=0x1234 dstkey=0x0 mark=0 use=1";
    let (flow, _) = read(gre);
    assert_eq!(
        (flow.protocol, flow.dport, flow.timeout),
        (Protocol::GRE, 0x1234, Some(29))
    );
    let sctp = "sctp     132 209 ESTABLISHED src=10.0.1.2 dst=10.0.2.2 sport=5000 dport=9 src=10.0.2.2 dst=10.0.1.2 sport=9 dport=5000 [ASSURED] mark=0 use=1";
    assert_eq!(
        read(sctp).0.state,
        Some(ProtocolState::Sctp(SctpState::Established))
    );
    let unknown = "unknown  99 598 src=10.0.1.2 dst=10.0.2.2 [UNREPLIED] src=10.0.2.2 dst=10.0.1.2 mark=0 use=1";
    assert_eq!(
        (read(unknown).0.protocol, read(unknown).0.timeout),
        (Protocol(99), Some(598))
    );
}

#[test]
fn a_translated_source_comes_from_inside() {
    let line = "tcp      6 118 SYN_SENT src=10.0.1.2 dst=198.51.100.9 sport=40022 dport=443 [UNREPLIED] src=198.51.100.9 dst=203.0.113.1 sport=443 dport=40022 mark=0 use=1";
    assert!(read(line).0.source_translated);
}

#[test]
fn an_element_of_xml() {
    let line = r#"<flow><meta direction="original"><layer3 protonum="2" protoname="ipv4"><src>10.0.1.2</src><dst>10.0.2.2</dst></layer3><layer4 protonum="6" protoname="tcp"><sport>40004</sport><dport>21</dport></layer4><counters><packets>2</packets><bytes>80</bytes></counters></meta><meta direction="reply"><layer3 protonum="2" protoname="ipv4"><src>10.0.2.2</src><dst>10.0.1.2</dst></layer3><layer4 protonum="6" protoname="tcp"><sport>21</sport><dport>40004</dport></layer4><counters><packets>1</packets><bytes>40</bytes></counters></meta><meta direction="independent"><state>ESTABLISHED</state><timeout>431998</timeout><mark>0</mark><use>1</use><id>2812902766</id><assured/><deltatime>1</deltatime></meta><helper>ftp</helper></flow>"#;
    let (flow, form) = read(line);
    assert_eq!(
        (form, flow.dport, flow.timeout, flow.assured),
        (Form::Xml, 21, Some(431_998), true)
    );
    assert_eq!(
        (flow.packets, flow.age, flow.replied),
        (Some([2, 1]), Some(1), true)
    );
    is_unreadable(&line[..line.len() - 8]);
    let mut listing = Listing::default();
    assert_eq!(
        listing.line(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>"),
        Line::Nothing
    );
    assert_eq!(listing.line(b"</conntrack>"), Line::Nothing);
}

#[test]
fn what_is_no_entry() {
    let mut listing = Listing::default();
    for nothing in [
        "",
        "   ",
        "conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.",
        "# saved on Monday",
    ] {
        assert_eq!(
            listing.line(nothing.as_bytes()),
            Line::Nothing,
            "{nothing:?}"
        );
    }
    for damaged in [
        "hello",
        "ipv4     2 tcp      6",
        &PROC[..PROC.len() / 2],
        &PROC.replace("10.0.1.2", "10.0.1.256"),
        &PROC.replace("dst=10.0.1.2", "dst=2001:db8::1"),
        "[DESTROY] udp      17 src=10.0.1.2 dst=10.0.2.2 sport=4 dport=5 src=10.0.2.2 dst=10.0.1.2 sport=5 dport=4",
    ] {
        is_unreadable(damaged);
    }
    assert_eq!(listing.line(b"x"), Line::Unreadable);
    assert_eq!((listing.unreadable, listing.first_unreadable), (1, Some(5)));
}

#[test]
fn a_line_cut_anywhere_is_an_entry_or_unreadable() {
    for end in 0..PROC.len() {
        let line = Listing::default().line(&PROC.as_bytes()[..end]);
        assert!(
            !matches!(line, Line::Entry(_)) || PROC[..end].matches("dst=").count() == 2,
            "{}",
            &PROC[..end]
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        Listing::default().line(&bytes);
    }

    #[test]
    fn a_damaged_line_is_read_without_harm(at in 0..PROC.len(), byte in any::<u8>(), other in 0..PROC.len(), word in "[0-9a-z=<>\"/.:\\[ ]{0,20}") {
        let mut line = PROC.as_bytes().to_vec();
        line[at] = byte;
        line.splice(other..other, word.bytes());
        Listing::default().line(&line);
    }
}
