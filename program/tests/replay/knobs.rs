//! `--sysctl`: names of today and of old, and what is said about those that are refused.

use crate::bench::{Bench, Ran, replay_web};
use crate::build::{CLIENT, Pcap, RAW, SERVER, udp};

fn set(setting: &str) -> Ran {
    replay_web(&format!("--sysctl {setting}"))
}

#[test]
fn an_unknown_knob_is_named_with_the_one_that_was_meant() {
    let ran = set("nf_conntrack_maxx=5").exits(2).shows("");
    ran.mentions(&[
        "nf_conntrack_maxx=5",
        "no such knob",
        "did you mean nf_conntrack_max?",
    ]);
}

#[test]
fn an_unknown_knob_that_resembles_none_leads_to_the_list() {
    let ran = set("kernel.panic=1").exits(2).shows("");
    ran.mentions(&["kernel.panic=1", "no such knob", "--help"]);
}

#[test]
fn a_value_out_of_bounds_is_named_with_the_bounds() {
    let ran = set("nf_conntrack_checksum=2").exits(2).shows("");
    ran.mentions(&["nf_conntrack_checksum=2", "accepts 0 to 1"]);
    let ran = set("nf_conntrack_max=-1").exits(2).shows("");
    ran.mentions(&["nf_conntrack_max=-1", "accepts 0 to 2147483647"]);
}

#[test]
fn a_value_that_is_no_number_is_named_with_what_is_accepted() {
    let ran = set("nf_conntrack_udp_timeout=30s").exits(2).shows("");
    ran.mentions(&[
        "nf_conntrack_udp_timeout=30s",
        "accepts a whole number, -1 to ",
    ]);
}

#[test]
fn a_setting_without_a_value_is_told_its_form() {
    let ran = set("nf_conntrack_max").exits(2).shows("");
    ran.mentions(&["nf_conntrack_max", "accepts NAME=VALUE"]);
}

#[test]
fn a_knob_that_can_only_be_read_is_refused() {
    let ran = set("nf_conntrack_count=5").exits(2).shows("");
    ran.mentions(&["nf_conntrack_count=5", "can only be read"]);
}

#[test]
fn a_threshold_on_the_wrong_side_of_its_other_is_refused() {
    let ran = set("ipfrag_low_thresh=99999999").exits(2).shows("");
    ran.mentions(&["ipfrag_low_thresh=99999999", "ipfrag_high_thresh"]);
}

#[test]
fn thresholds_that_fit_each_other_are_taken_in_any_order() {
    for settings in [
        "ipfrag_low_thresh=99999998 --sysctl ipfrag_high_thresh=99999999",
        "ipfrag_high_thresh=99999999 --sysctl ipfrag_low_thresh=99999998",
    ] {
        set(settings).exits(0);
    }
}

#[test]
fn the_limit_has_its_old_names() {
    let limited = set("nf_conntrack_max=2").exits(0);
    assert_eq!(limited.stdout.lines().count(), 2, "{limited:?}");
    for name in [
        "ip_conntrack_max",
        "net.ipv4.ip_conntrack_max",
        "net.nf_conntrack_max",
    ] {
        set(&format!("{name}=2")).exits(0).shows(&limited.stdout);
    }
}

#[test]
fn a_timeout_set_by_its_old_name_with_its_path_takes_effect() {
    let file = Pcap::new(RAW).at(0, &udp((CLIENT, 4000), (SERVER, 53), 1));
    let bench = Bench::of("a.pcap", &file.bytes);
    for name in [
        "net.ipv4.netfilter.ip_conntrack_udp_timeout",
        "net/ipv4/netfilter/ip_conntrack_udp_timeout",
        "nf_conntrack_udp_timeout",
    ] {
        let ran = bench.replay(&format!("--sysctl {name}=5 a.pcap")).exits(0);
        assert!(
            ran.stdout
                .starts_with("ipv4     2 udp      17 5 src=10.0.0.1 "),
            "{ran:?}"
        );
    }
}

#[test]
fn accounting_is_on_and_can_be_turned_off() {
    assert!(set("nf_conntrack_acct=1").stdout.contains(" packets="));
    assert!(
        !set("nf_conntrack_acct=0")
            .exits(0)
            .stdout
            .contains(" packets=")
    );
}

#[test]
fn the_help_lists_every_knob_that_can_be_set() {
    let help = Bench::new().replay("--help").exits(0).stdout;
    for knob in [
        "nf_conntrack_max (262144, 0 to 2147483647)",
        "nf_conntrack_acct (1, 0 to 1)",
    ] {
        assert!(help.contains(knob), "no {knob} in {help}");
    }
    assert!(!help.contains("nf_conntrack_count ("), "{help}");
}
