//! `-o xml`, byte for byte against conntrack 1.4.7.

mod format_builder;

use format_builder::*;
use ip_conntrack::format::{Options, xml};
use ip_conntrack::{
    Cause, Changes, Connection, EventKind, Protocol, SctpState, TcpState, Time, Zone,
    ZoneDirections,
};

const WITH_TIMES: Options<'_> = Options {
    extended: false,
    id: false,
    timestamp: true,
    ktimestamp: true,
    labels: None,
    utc_offset: |_| 0,
};

fn flow(connection: &Connection) -> String {
    written(|out| xml::entry(out, connection, &WITH_TIMES))
}

#[test]
fn header_and_footer_enclose_the_flows() {
    assert_eq!(
        written(xml::header),
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n"
    );
    assert_eq!(written(xml::footer), "</conntrack>\n");
}

#[test]
fn a_tcp_flow_has_counters_times_and_its_helper() {
    let entry = tcp(40004, 21, TcpState::Established)
        .secs(431_998)
        .counted((2, 80), (1, 40))
        .replied()
        .assured()
        .numbered(2_812_902_766)
        .started(1_795_446_396_042_184_222)
        .aged(1)
        .helped("ftp");
    assert_eq!(
        flow(&entry),
        "<flow><meta direction=\"original\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.1.2</src><dst>10.0.2.2</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>40004</sport><dport>21</dport></layer4><counters><packets>2</packets><bytes>80</bytes></counters></meta><meta direction=\"reply\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.2.2</src><dst>10.0.1.2</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>21</sport><dport>40004</dport></layer4><counters><packets>1</packets><bytes>40</bytes></counters></meta><meta direction=\"independent\"><state>ESTABLISHED</state><timeout>431998</timeout><mark>0</mark><use>1</use><id>2812902766</id><assured/><timestamp><start>1795446396042184222</start></timestamp><deltatime>1</deltatime></meta><helper>ftp</helper></flow>\n"
    );
}

#[test]
fn a_gre_flow_has_its_keys() {
    let entry = gre(0, 0x1234)
        .secs(28)
        .counted((1, 32), (0, 0))
        .numbered(3_922_563_044)
        .aged(1);
    assert_eq!(
        flow(&entry),
        "<flow><meta direction=\"original\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.1.2</src><dst>10.0.2.2</dst></layer3><layer4 protonum=\"47\" protoname=\"gre\"><srckey>0x0</srckey><dstkey>0x1234</dstkey></layer4><counters><packets>1</packets><bytes>32</bytes></counters></meta><meta direction=\"reply\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.2.2</src><dst>10.0.1.2</dst></layer3><layer4 protonum=\"47\" protoname=\"gre\"><srckey>0x1234</srckey><dstkey>0x0</dstkey></layer4><counters><packets>0</packets><bytes>0</bytes></counters></meta><meta direction=\"independent\"><timeout>28</timeout><mark>0</mark><use>1</use><id>3922563044</id><unreplied/><deltatime>1</deltatime></meta></flow>\n"
    );
}

#[test]
fn an_icmp_flow_has_an_empty_layer_4() {
    let entry = ping(77)
        .secs(28)
        .counted((1, 28), (1, 28))
        .replied()
        .numbered(2_338_029_575)
        .aged(1);
    assert_eq!(
        flow(&entry),
        "<flow><meta direction=\"original\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.1.2</src><dst>10.0.2.2</dst></layer3><layer4 protonum=\"1\" protoname=\"icmp\"></layer4><counters><packets>1</packets><bytes>28</bytes></counters></meta><meta direction=\"reply\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.2.2</src><dst>10.0.1.2</dst></layer3><layer4 protonum=\"1\" protoname=\"icmp\"></layer4><counters><packets>1</packets><bytes>28</bytes></counters></meta><meta direction=\"independent\"><timeout>28</timeout><mark>0</mark><use>1</use><id>2338029575</id><deltatime>1</deltatime></meta></flow>\n"
    );
}

#[test]
fn an_event_has_its_type_and_local_time() {
    let mut update = event(
        EventKind::Update,
        &[Changes::REPLY, Changes::PROTOINFO],
        tcp(40002, 80, TcpState::SynRecv)
            .secs(60)
            .counted((1, 40), (1, 40))
            .started(1)
            .replied()
            .numbered(171_248_894),
    );
    update.time = Time::from_secs(1_795_446_396);
    assert_eq!(
        written(|out| xml::event(out, &update, &WITH_TIMES)),
        "<flow type=\"update\"><meta direction=\"original\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.1.2</src><dst>10.0.2.2</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>40002</sport><dport>80</dport></layer4></meta><meta direction=\"reply\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.2.2</src><dst>10.0.1.2</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>80</sport><dport>40002</dport></layer4></meta><meta direction=\"independent\"><state>SYN_RECV</state><timeout>60</timeout><id>171248894</id></meta><when><hour>15</hour><min>06</min><sec>36</sec><wday>2</wday><day>23</day><month>11</month><year>2026</year></when></flow>\n"
    );
}

#[test]
fn a_destroyed_flow_has_both_ends_of_its_life() {
    let gone = event(
        EventKind::Destroy(Cause::Expired),
        &[],
        udp(1, 2).started(5).stopped(7).aged(0),
    );
    let flow = written(|out| xml::event(out, &gone, &WITH_TIMES));
    assert!(flow.starts_with("<flow type=\"destroy\">"), "{flow}");
    let tail = "<unreplied/><timestamp><start>5</start><stop>7</stop></timestamp><deltatime>0</deltatime></meta><when><hour>0</hour>";
    assert!(flow.contains(tail), "{flow}");
    assert!(!flow.contains("<use>") && !flow.contains("<timeout>"));
}

#[test]
fn an_sctp_association_has_a_state_of_sctp() {
    let entry = sctp(5000, 9, SctpState::CookieWait);
    assert!(flow(&entry).contains("<state>COOKIE_WAIT</state>"));
}

#[test]
fn a_zone_of_one_direction_is_an_element_of_that_direction() {
    let applies = ZoneDirections::Reply;
    let entry = udp(1, 2).zoned(Zone { id: 9, applies });
    let zone = "<dport>1</dport></layer4><zone>9</zone></meta>";
    assert!(flow(&entry).contains(zone));
    assert_eq!(flow(&entry).matches("<zone>").count(), 1);
    let both = "<mark>0</mark><zone>9</zone><use>1</use>";
    assert!(flow(&entry.zoned(Zone::both(9))).contains(both));
}

#[test]
fn dccp_has_its_name_and_ports() {
    let layer4 =
        "<layer4 protonum=\"33\" protoname=\"dccp\"><sport>0</sport><dport>0</dport></layer4>";
    assert!(flow(&usual(Protocol::DCCP, (0, 0))).contains(layer4));
}

#[test]
fn names_from_outside_are_escaped() {
    let options = Options {
        labels: Some(&[(0, "<&>\n")]),
        ..WITH_TIMES
    };
    let entry = udp(1, 2).labelled(1).helped("a</helper>");
    let flow = written(|out| xml::entry(out, &entry, &options));
    assert!(flow.contains("<labels><label>&lt;&amp;&gt;\u{fffd}</label></labels>"));
    assert!(flow.contains("<helper>a&lt;/helper&gt;</helper>"));
}
