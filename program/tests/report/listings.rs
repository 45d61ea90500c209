//! Saved listings: in every form that the program itself writes, and damaged.

use std::fmt::Write;
use std::fs::File;
use std::time::{Duration, SystemTime};

use super::build::gzip;
use super::run::{report, run, run_in};

/// A listing of a flood: half-open connections from as many sources, beside some that are complete.
pub(crate) fn flood(half_open: u32, complete: u32) -> String {
    let mut text = String::new();
    for n in 0..half_open {
        let source = format!("{}.{}.{}.9", 11 + n % 90, n / 90 % 250, n / 7 % 250);
        let port = 1024 + n % 60_000;
        writeln!(text, "ipv4     2 tcp      6 {} SYN_RECV src={source} dst=198.51.100.80 sport={port} dport=443 src=198.51.100.80 dst={source} sport=443 dport={port} mark=0 zone=0 use=2", n % 60).unwrap();
    }
    for n in 0..complete {
        let source = format!("203.0.113.{}", n % 200);
        let port = 2024 + n;
        writeln!(text, "ipv4     2 tcp      6 431999 ESTABLISHED src={source} dst=198.51.100.80 sport={port} dport=443 src=198.51.100.80 dst={source} sport=443 dport={port} [ASSURED] mark=0 zone=0 use=2").unwrap();
    }
    text
}

#[test]
fn every_form_that_replay_writes_is_read_back() {
    for form in [
        "ip_conntrack",
        "nf_conntrack",
        "conntrack",
        "extended",
        "xml",
    ] {
        let listing = run(&format!("replay web.pcap --format {form} -o id"), b"");
        let is_entry = |line: &&str| line.contains("src=") || line.contains("<flow");
        let entries = listing.out.lines().filter(is_entry).count();
        assert!(entries > 8, "{listing:?}");
        let told = report("", listing.out.as_bytes());
        assert_eq!(told["entries"], entries, "{form}");
        assert_eq!(told["source"]["unreadable"], 0, "{form}");
        assert_eq!(told["class"], "normal", "{form}");
    }
}

#[test]
fn a_listing_tells_the_same_as_the_capture_that_it_was_made_from() {
    let of_capture = run("report web.pcap --json --at end", b"").exits(0).json();
    let listing = run("replay web.pcap", b"");
    let of_listing = report("", listing.out.as_bytes());
    for field in [
        "entries",
        "all",
        "states",
        "top_sources",
        "top_destinations",
        "top_ports",
        "top_pairs",
        "top_prefixes",
        "spread",
    ] {
        assert_eq!(of_capture[field], of_listing[field], "{field}");
    }
}

#[test]
fn a_flood_is_named_with_its_target_and_what_would_help() {
    let told = report("--max 4096 --buckets 4096", flood(3_000, 200).as_bytes());
    assert_eq!(told["class"], "spoofed_syn_flood");
    assert!(told["confidence"].as_f64().unwrap() > 0.8);
    assert_eq!(
        (&told["entries"], &told["max"], &told["buckets"]),
        (&3200.into(), &4096.into(), &4096.into())
    );
    assert_eq!(told["fill"], 3200.0 / 4096.0);
    assert_eq!(told["hard_fill"], 200.0 / 4096.0);
    assert_eq!(told["top_destinations"][0]["address"], "198.51.100.80");
    assert_eq!(told["culprits"]["flows"], 3_000);
    assert_eq!(told["culprits"]["top_ports"][0]["port"], 443);
    let advice = told["advice"].as_array().unwrap();
    let delete = advice
        .iter()
        .find(|one| one["commands"][0] == "conntrack -D -p tcp --state SYN_RECV")
        .unwrap();
    assert_eq!(delete["frees"], 3_000);
    // Those whose last packet is more than 20 s ago: 0 to 39 of 0 to 59 seconds left.
    let lower = advice
        .iter()
        .find(|one| {
            one["commands"][0] == "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_syn_recv=20"
        })
        .unwrap();
    assert_eq!(lower["frees"], 50 * 40);
}

#[test]
fn answers_that_nobody_asked_for_are_to_be_dropped_by_their_port() {
    let mut text = String::new();
    for n in 0..800 {
        let source = format!("{}.{}.7.9", 11 + n % 90, n / 4);
        writeln!(text, "udp      17 {} src={source} dst=198.51.100.80 sport=389 dport={} [UNREPLIED] src=198.51.100.80 dst={source} sport={} dport=389 use=1", n % 30, 3000 + n, 3000 + n).unwrap();
    }
    let told = report("", text.as_bytes());
    assert_eq!(told["class"], "reflection");
    let advice = told["advice"].as_array().unwrap();
    let drop = advice
        .iter()
        .find(|one| one["commands"][3] == "conntrack -D -p udp --sport 389")
        .unwrap();
    assert_eq!(
        (&drop["frees"], &drop["commands"][2]),
        (
            &800.into(),
            &"nft add rule inet ipct_drop raw udp sport 389 drop".into()
        )
    );
}

#[test]
fn carriage_returns_gzip_and_a_cut_last_line_are_no_obstacle() {
    let listing = flood(500, 20);
    let plain = report("", listing.as_bytes());
    let returns = report("", listing.replace('\n', "\r\n").as_bytes());
    let zipped = report("", &gzip(listing.as_bytes()));
    let whole_without_end = report("", listing.trim_end().as_bytes());
    for other in [&returns, &zipped, &whole_without_end] {
        assert_eq!(
            (&other["entries"], &other["class"]),
            (&plain["entries"], &plain["class"])
        );
        assert_eq!(other["top_sources"], plain["top_sources"]);
    }
    let cut = run(
        "report - --json",
        &listing.as_bytes()[..listing.len() - 100],
    )
    .exits(0);
    assert_eq!(cut.json()["entries"], 519);
    cut.mentions(&["the last line is cut off"]);
}

#[test]
fn lines_that_are_no_entries_are_counted_and_the_first_is_named() {
    let listing = format!("hello\n\n{}so long\n", flood(10, 0));
    let ran = run("report - --json", listing.as_bytes()).exits(0);
    assert_eq!(
        (&ran.json()["entries"], &ran.json()["source"]["unreadable"]),
        (&10.into(), &2.into())
    );
    ran.mentions(&["2 lines are no entries", "the first is line 1"]);
}

#[test]
fn hidden_addresses_are_shown_as_hidden() {
    let listing = flood(300, 0).replace("198.51.100.80", "xxx.xxx.100.80");
    let ran = run("report - --json", listing.as_bytes()).exits(0);
    assert_eq!(
        ran.json()["top_destinations"][0]["address"],
        "xxx.xxx.100.80"
    );
    ran.mentions(&["addresses are hidden in part"]);
}

#[test]
fn what_is_no_source_is_refused_with_what_was_expected() {
    run("report -", b"garbage\nmore\n").exits(1).mentions(&[
        "standard input",
        "none of its 2 lines is an entry",
        "expected: pcap",
    ]);
    run("report no-such-file", b"")
        .exits(1)
        .mentions(&["no-such-file", "No such file"]);
    run("report", b"").exits(2);
    run("report - --at sometime", b"")
        .exits(2)
        .mentions(&["fullest"]);
    run("report web.pcap - --for 3", b"x")
        .exits(1)
        .mentions(&["have to be listings"]);
}

#[test]
fn an_empty_listing_is_an_empty_table() {
    let told = report("--max 100", b"");
    assert_eq!(
        (&told["entries"], &told["class"], &told["fill"]),
        (&0.into(), &"normal".into(), &0.0.into())
    );
    assert_eq!(told["top_sources"].as_array().unwrap().len(), 0);
}

#[test]
fn a_line_without_end_costs_no_memory() {
    let ran = run("report - --json", &vec![b'x'; 3 << 20]);
    ran.exits(1).mentions(&["none of its"]);
}

#[test]
fn two_listings_tell_what_changed_and_when_the_table_is_full() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("first"), flood(1_000, 100)).unwrap();
    std::fs::write(dir.path().join("second"), flood(2_000, 100)).unwrap();
    let told = run_in(
        dir.path(),
        "report first second --for 10 --max 20000 --json",
        b"",
    )
    .exits(0)
    .json();
    assert_eq!(
        (&told["traffic"]["new"], &told["traffic"]["ended"]),
        (&1_000.into(), &0.into())
    );
    assert_eq!(told["traffic"]["new_per_second"], 100.0);
    assert_eq!(told["forecast"]["net_per_second"], 100.0);
    // Entries in SYN_RECV live a minute: at this rate, there are never as many.
    assert_eq!(told["forecast"]["full_in"], serde_json::Value::Null);
    let told = run_in(
        dir.path(),
        "report first second --for 10 --max 3000 --json",
        b"",
    )
    .exits(0)
    .json();
    assert!(told["forecast"]["full_in"].as_f64().is_some());
    let written = SystemTime::now() - Duration::from_secs(40);
    File::options()
        .write(true)
        .open(dir.path().join("first"))
        .unwrap()
        .set_modified(written)
        .unwrap();
    let told = run_in(dir.path(), "report first second --json", b"")
        .exits(0)
        .json();
    assert!((told["traffic"]["seconds"].as_f64().unwrap() - 40.0).abs() < 5.0);
}

#[test]
fn text_begins_with_the_answer() {
    let ran = run("report - --max 4096", flood(3_000, 200).as_bytes()).exits(0);
    let first = ran.out.lines().next().unwrap();
    assert_eq!(
        first,
        "This looks like a SYN flood from made-up addresses (confidence 1.00): 3,200 of 4,096 entries (78 %; 5 % cannot be evicted), from 3,000 addresses, mostly to 198.51.100.80 tcp port 443."
    );
    assert!(ran.out.contains("conntrack -D -p tcp --state SYN_RECV"));
}

#[test]
fn the_number_of_lines_is_what_was_asked_for() {
    let told = report("--top 3", flood(500, 0).as_bytes());
    assert_eq!(told["top_sources"].as_array().unwrap().len(), 3);
}

#[test]
fn a_files_name_does_not_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("\u{1b}[2Jname\u{9b}31m");
    for listing in [flood(1, 1), "nothing\n".to_owned()] {
        std::fs::write(&path, listing).unwrap();
        let said = std::process::Command::new(env!("CARGO_BIN_EXE_ipct"))
            .arg("report")
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
        assert!(said.contains("?[2Jname?31m"), "{said:?}");
        assert!(!said.contains(['\u{1b}', '\u{9b}']), "{said:?}");
    }
}
