//! Expectations, byte for byte against `/proc` and conntrack 1.4.7.

mod format_builder;

use format_builder::{tuple, written};
use ip_conntrack::format::Told;
use ip_conntrack::format::expect;
use ip_conntrack::{ExpectFlags, Expectation, Protocol, Time, Zone};

fn ftp() -> Expectation {
    Expectation {
        id: 1,
        tuple: tuple(Protocol::TCP, "10.0.2.2", "10.0.1.2", (0, 50000)),
        mask: tuple(
            Protocol::TCP,
            "255.255.255.255",
            "255.255.255.255",
            (0, 65535),
        ),
        master: tuple(Protocol::TCP, "10.0.1.2", "10.0.2.2", (41000, 21)),
        zone: Zone::default(),
        timeout: Some(299),
        flags: ExpectFlags::default(),
        class: 0,
        helper: Some("ftp".into()),
    }
}

#[test]
fn the_tools_line_has_what_is_expected_its_mask_and_the_master() {
    let line = written(|out| expect::line(out, Told::Entry, &ftp(), None));
    assert_eq!(
        line,
        "299 proto=6 src=10.0.2.2 dst=10.0.1.2 sport=0 dport=50000 mask-src=255.255.255.255 \
         mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.1.2 master-dst=10.0.2.2 \
         sport=41000 dport=21 class=0 helper=ftp\n"
    );
}

#[test]
fn an_event_has_a_tag_and_perhaps_its_time_and_flags_stand_before_the_class() {
    let mut expectation = ftp();
    expectation.flags = ExpectFlags(ExpectFlags::PERMANENT.0 | ExpectFlags::INACTIVE.0);
    let time = Some(Time::from_nanos(1_795_447_594_040_871_000));
    let line = written(|out| expect::line(out, Told::Destroy, &expectation, time));
    assert!(
        line.starts_with("[1795447594.040871]\t[DESTROY] 299 proto=6 "),
        "{line}"
    );
    assert!(
        line.ends_with(" dport=21 PERMANENT,INACTIVE class=0 helper=ftp\n"),
        "{line}"
    );
    let new = written(|out| expect::line(out, Told::New, &expectation, None));
    assert!(new.starts_with("    [NEW] 299 "), "{new}");
}

#[test]
fn the_proc_file_has_family_protocol_tuple_flags_and_the_helper_with_its_class() {
    let written_with = |expectation: &Expectation, class| {
        written(|out| expect::nf_conntrack_expect(out, expectation, class))
    };
    assert_eq!(
        written_with(&ftp(), None),
        "299 l3proto = 2 proto=6 src=10.0.2.2 dst=10.0.1.2 sport=0 dport=50000 ftp\n"
    );
    let mut sip = ftp();
    sip.tuple = tuple(Protocol::UDP, "2001:db8:2::2", "2001:db8:1::2", (0, 5060));
    sip.flags = ExpectFlags(3);
    sip.helper = Some("sip".into());
    sip.timeout = None;
    assert_eq!(
        written_with(&sip, Some("signalling")),
        "- l3proto = 10 proto=17 src=2001:0db8:0002:0000:0000:0000:0000:0002 \
         dst=2001:0db8:0001:0000:0000:0000:0000:0002 sport=0 dport=5060 PERMANENT,INACTIVE \
         sip/signalling\n"
    );
    assert_eq!(
        written(|out| expect::ip_conntrack_expect(out, &ftp())),
        "299 proto=6 src=10.0.2.2 dst=10.0.1.2 sport=0 dport=50000\n"
    );
}

#[test]
fn xml_has_the_three_tuples_in_each_layer() {
    assert_eq!(
        written(|out| expect::xml(out, Told::Entry, &ftp())),
        "<flow><layer3 protonum=\"2\" protoname=\"ipv4\"><expected><src>10.0.2.2</src>\
         <dst>10.0.1.2</dst></expected><mask><src>255.255.255.255</src><dst>255.255.255.255</dst>\
         </mask><master><src>10.0.1.2</src><dst>10.0.2.2</dst></master></layer3>\
         <layer4 protonum=\"6\" protoname=\"tcp\"><expected><sport>0</sport><dport>50000</dport>\
         </expected><mask><sport>0</sport><dport>65535</dport></mask><master><sport>41000</sport>\
         <dport>21</dport></master></layer4><meta><helper-name>ftp</helper-name>\
         <timeout>299</timeout><class>0</class></meta></flow>\n"
    );
}
