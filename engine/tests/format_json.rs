//! JSON, checked by another implementation.

#![allow(clippy::expect_used, reason = "a test may fail")]

mod format_builder;

use format_builder::*;
use ip_conntrack::format::{Options, json};
use ip_conntrack::{
    Cause, Changes, Connection, EventKind, Protocol, SctpState, Status, TcpState, Time, Zone,
    ZoneDirections,
};
use serde_json::{Value, json};

fn parsed(connection: &Connection) -> Value {
    let line = written(|out| json::entry(out, connection, &Options::default()));
    serde_json::from_str(&line).expect("one object")
}

#[test]
fn a_tcp_entry_has_the_documented_fields_in_order() {
    let entry = tcp(40003, 80, TcpState::Established)
        .secs(431_999)
        .counted((2, 80), (1, u64::MAX))
        .replied()
        .assured()
        .numbered(7);
    assert_eq!(
        written(|out| json::entry(out, &entry, &Options::default())),
        concat!(
            r#"{"id":7,"family":"ipv4","protocol":"tcp","protonum":6,"state":"ESTABLISHED","#,
            r#""timeout":431999,"#,
            r#""original":{"src":"10.0.1.2","dst":"10.0.2.2","sport":40003,"dport":80,"#,
            r#""wscale":0,"tcp_flags":0,"packets":2,"bytes":80},"#,
            r#""reply":{"src":"10.0.2.2","dst":"10.0.1.2","sport":80,"dport":40003,"#,
            r#""wscale":0,"tcp_flags":0,"packets":1,"bytes":18446744073709551615},"#,
            r#""replied":true,"assured":true,"expected":false,"snat":false,"dnat":false,"#,
            r#""mark":0,"zone":0,"use":1}"#,
            "\n"
        )
    );
}

#[test]
fn each_protocol_has_its_part_of_the_tuple() {
    assert_eq!(
        parsed(&ping(77))["original"],
        json!({"src": "10.0.1.2", "dst": "10.0.2.2", "icmp_type": 8, "icmp_code": 0, "icmp_id": 77})
    );
    let call = parsed(&gre(0, 0x1234));
    assert_eq!(
        call["reply"],
        json!({"src": "10.0.2.2", "dst": "10.0.1.2", "srckey": 0x1234, "dstkey": 0})
    );
    assert_eq!(call["gre_timeout"], 30);
    assert_eq!(call["gre_stream_timeout"], 180);
    assert_eq!(
        parsed(&usual(Protocol::DCCP, (0, 0)))["original"],
        json!({"src": "10.0.1.2", "dst": "10.0.2.2"})
    );
    let association = parsed(&sctp(5000, 9, SctpState::CookieWait));
    assert_eq!(association["state"], "COOKIE_WAIT");
    assert_eq!(association["reply"]["vtag"], 858_993_459);
    let six = parsed(&ipv6(Protocol::UDP, (1, 2)));
    assert_eq!(six["family"], "ipv6");
    assert_eq!(six["original"]["src"], "2001:db8:1::2");
}

#[test]
fn what_an_entry_does_not_have_is_absent() {
    let plain = parsed(&udp(1, 2));
    let optional = [
        "event",
        "time",
        "cause",
        "changes",
        "state",
        "timeout",
        "gre_timeout",
        "gre_stream_timeout",
        "secmark",
        "secctx",
        "zone_direction",
        "labels",
        "helper",
        "start",
        "stop",
        "age",
    ];
    for field in optional {
        assert_eq!(plain.get(field), None, "{field}");
    }
    assert_eq!(plain["original"].get("packets"), None);
}

#[test]
fn what_an_entry_has_is_shown() {
    let applies = ZoneDirections::Original;
    let entry = udp(1, 2)
        .zoned(Zone { id: 8, applies })
        .started(1_795_446_396_042_184_222)
        .stopped(1_795_446_397_000_000_001)
        .aged(0)
        .helped("sip")
        .marked(u32::MAX)
        .change(|c| {
            c.secmark = 3;
            c.secctx = Some("system_u:object_r:x:s0".into());
            c.status = Status::EXPECTED.with(Status::SRC_NAT).with(Status::DST_NAT);
        });
    let line = written(|out| json::entry(out, &entry, &Options::default()));
    assert!(line.contains("\"start\":1795446396.042184222,\"stop\":1795446397.000000001,"));
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(shown["zone"], 8);
    assert_eq!(shown["zone_direction"], "original");
    assert_eq!(shown["age"], 0);
    assert_eq!(shown["helper"], "sip");
    assert_eq!(shown["mark"], u32::MAX);
    assert_eq!(shown["secmark"], 3);
    assert_eq!(shown["secctx"], "system_u:object_r:x:s0");
    for flag in ["expected", "snat", "dnat"] {
        assert_eq!(shown[flag], true, "{flag}");
    }
}

#[test]
fn labels_are_names_or_else_bit_numbers() {
    let options = Options {
        labels: Some(&[(5, "voip")]),
        ..Options::default()
    };
    let entry = udp(1, 2).labelled(1 << 5 | 1 << 127);
    let line = written(|out| json::entry(out, &entry, &options));
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(shown["labels"], json!(["voip", 127]));
    assert_eq!(parsed(&entry)["labels"], json!([5, 127]));
}

#[test]
fn any_string_survives() {
    let name: String = ('\0'..='\u{a0}')
        .chain("\u{2028}\u{1f980}".chars())
        .collect();
    assert_eq!(parsed(&udp(1, 2).helped(&name))["helper"], name.as_str());
}

#[test]
fn a_destroy_tells_when_and_why() {
    let causes = [
        (Cause::Expired, "expired"),
        (Cause::EarlyDrop, "early_drop"),
        (Cause::Refused, "refused"),
        (Cause::Reopened, "reopened"),
        (Cause::Deleted, "deleted"),
        (Cause::Flushed, "flushed"),
    ];
    for (cause, name) in causes {
        let mut gone = event(EventKind::Destroy(cause), &[], udp(1, 2));
        gone.time = Time::from_nanos(1_500_000_007);
        let line = written(|out| json::event(out, &gone, &Options::default()));
        let head = format!(r#"{{"event":"destroy","time":1.500000007,"cause":"{name}","id":0,"#);
        assert!(line.starts_with(&head), "{line}");
        assert!(serde_json::from_str::<Value>(&line).unwrap().is_object());
    }
}

#[test]
fn an_update_tells_what_changed() {
    let changes = [Changes::REPLY, Changes::PROTOINFO];
    let update = event(
        EventKind::Update,
        &changes,
        tcp(1, 2, TcpState::SynRecv).counted((1, 40), (1, 40)),
    );
    let line = written(|out| json::event(out, &update, &Options::default()));
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(shown["event"], "update");
    assert_eq!(shown["changes"], json!(["reply", "protoinfo"]));
    assert_eq!(shown["original"]["packets"], 1);
}
