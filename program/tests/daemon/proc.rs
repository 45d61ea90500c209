//! The files of /proc.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, Daemon, has_fuse, wait_until, web};
use crate::packets::write_flows;

fn mounted<'a>(bench: &'a Bench, arguments: &[&str]) -> Daemon<'a> {
    let proc = bench.path("proc");
    bench.run(&[arguments, &["--proc", proc.to_str().unwrap()]].concat())
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn the_files_are_those_of_the_kernels_old_and_new_with_their_modes() {
    if !has_fuse("files") {
        return;
    }
    let bench = Bench::new();
    let _daemon = mounted(&bench, &[]);
    let root = bench.path("proc");
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
    for (name, expected) in [
        ("net/ip_conntrack", 0o440),
        ("net/nf_conntrack", 0o440),
        ("net/ip_conntrack_expect", 0o440),
        ("net/nf_conntrack_expect", 0o440),
        ("net/stat/ip_conntrack", 0o444),
        ("net/stat/nf_conntrack", 0o444),
        ("net/stat/ipct", 0o444),
        ("net/stat", 0o555),
        ("sys/net/nf_conntrack_max", 0o644),
        ("sys/net/ipv4/ip_conntrack_max", 0o644),
        ("sys/net/ipv4/netfilter/ip_conntrack_max", 0o644),
        ("sys/net/ipv4/netfilter/ip_conntrack_buckets", 0o444),
        (
            "sys/net/ipv4/netfilter/ip_conntrack_tcp_timeout_established",
            0o644,
        ),
        ("sys/net/netfilter/nf_conntrack_buckets", 0o644),
        ("sys/net/netfilter/nf_conntrack_count", 0o444),
    ] {
        assert_eq!(mode(name), expected, "{name}");
        let kernels = Path::new("/proc").join(name);
        if let (Ok(kernels), true) = (fs::metadata(&kernels), !name.starts_with("sys")) {
            assert_eq!(
                kernels.permissions().mode() & 0o7777,
                expected,
                "/proc/{name}"
            );
        }
    }
    // Every name of every knob, and seven others.
    let names: usize = ip_conntrack::Knob::ALL
        .iter()
        .map(|knob| 1 + knob.info().old_names.len())
        .sum();
    assert_eq!(files(&root).len(), names + 7);
    for file in files(&root) {
        fs::read_to_string(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), 0);
    }
}

#[test]
fn listings_are_those_of_the_replay_and_tools_read_them() {
    if !has_fuse("listings") {
        return;
    }
    let bench = Bench::new();
    let daemon = mounted(&bench, &["--replay", &web(), "--speed", "max"]);
    daemon.says("every packet was replayed");
    let today = bench.path("proc/net/nf_conntrack");
    let old = bench.path("proc/net/ip_conntrack");
    let text = fs::read_to_string(&today).unwrap();
    assert_eq!(text.lines().count(), 11);
    assert!(
        text.lines()
            .all(|line| line.starts_with("ipv4     2 ") || line.starts_with("ipv6     10 "))
    );
    let old_text = fs::read_to_string(&old).unwrap();
    assert_eq!(
        old_text.lines().count(),
        text.lines().filter(|line| line.starts_with("ipv4")).count()
    );
    assert!(
        old_text
            .lines()
            .all(|line| line.ends_with("secmark=0 use=1"))
    );
    let run = |script: &str| {
        let output = Command::new("sh")
            .args(["-c", script])
            .arg("sh")
            .arg(&today)
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(run("wc -l <\"$1\""), "11");
    assert_eq!(run("grep -c . \"$1\""), "11");
    assert_eq!(run("tail -n 2 \"$1\" | wc -l"), "2");
    assert_eq!(run("head -n 3 \"$1\" | wc -l"), "3");
    assert_eq!(run("cat \"$1\" \"$1\" | wc -l"), "22");
    let watched = run(
        "TERM=dumb COLUMNS=300 LINES=40 timeout 2 watch -t -n 1 cat \"$1\" </dev/null || test $? = 124",
    );
    assert!(watched.contains("src=10.0.1.2"), "{watched}");
    assert_eq!(
        fs::read_to_string(bench.path("proc/net/nf_conntrack_expect")).unwrap(),
        ""
    );
    let stat = fs::read_to_string(bench.path("proc/net/stat/nf_conntrack")).unwrap();
    assert_eq!(stat.lines().count(), 2);
    assert!(
        stat.lines()
            .nth(1)
            .unwrap()
            .starts_with("0000000b  00000000 "),
        "{stat}"
    );
    let all = fs::read_to_string(bench.path("proc/net/stat/ipct")).unwrap();
    for line in [
        "packets=119",
        "entries=11",
        "not_ip=2",
        "worker0.packets=119",
    ] {
        assert!(all.lines().any(|it| it == line), "{line}: {all}");
    }
}

#[test]
fn reads_go_on_where_the_last_ended_and_a_step_back_begins_anew() {
    if !has_fuse("reads") {
        return;
    }
    let bench = Bench::new();
    let capture = bench.path("flows.pcap");
    write_flows(&capture, 5000);
    let daemon = mounted(
        &bench,
        &[
            "--replay",
            capture.to_str().unwrap(),
            "--speed",
            "max",
            "--workers",
            "3",
            "--sysctl",
            "nf_conntrack_udp_timeout=1000000",
        ],
    );
    daemon.says("every packet was replayed");
    wait_until("all workers", || bench.asks(&["-C"]) == "5000\n");
    let path = bench.path("proc/net/nf_conntrack");
    let untimed = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                line.split_whitespace()
                    .skip(5)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    };
    let whole = untimed(&fs::read_to_string(&path).unwrap());
    assert_eq!(whole.len(), 5000);
    let mut sorted = whole.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 5000);
    let mut file = File::open(&path).unwrap();
    let (mut text, mut piece) = (Vec::new(), [0; 777]);
    loop {
        let count = file.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        text.extend_from_slice(&piece[..count]);
    }
    assert_eq!(untimed(std::str::from_utf8(&text).unwrap()), whole);
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut again = String::new();
    file.read_to_string(&mut again).unwrap();
    assert_eq!(untimed(&again), whole);
    let mut beyond = [0; 10];
    assert_eq!(file.read_at(&mut beyond, 1 << 40).unwrap(), 0);
}

#[test]
fn a_listing_is_whole_while_the_table_changes() {
    if !has_fuse("listings") {
        return;
    }
    let bench = Bench::new();
    let daemon = mounted(
        &bench,
        &[
            "--replay",
            &web(),
            "--speed",
            "max",
            "--loop",
            "--workers",
            "2",
        ],
    );
    wait_until("entries", || {
        bench.asks(&["-C"]).trim().parse::<u32>().unwrap() > 5
    });
    for _ in 0..200 {
        let text = fs::read_to_string(bench.path("proc/net/nf_conntrack")).unwrap();
        for line in text.lines() {
            assert!(
                line.starts_with("ipv") && line.ends_with("use=2"),
                "{line:?}"
            );
        }
    }
    drop(daemon);
}

/// What is written, and whether Linux takes it; found out with its own files.
const WRITTEN: [(&[u8], Option<&str>); 19] = [
    (b"1\n", Some("1")),
    (b"2", Some("2")),
    (b"  3\n", Some("3")),
    (b"\t4", Some("4")),
    (b"\n5\n", Some("5")),
    (b"0x6\n", Some("6")),
    (b"010\n", Some("8")),
    (b"9 0\n", Some("9")),
    (b"10 x\n", Some("10")),
    (b"11\n\n", Some("11")),
    (b"-1\n", Some("-1")),
    (b"\n", None),
    (b" ", None),
    (b"1x\n", None),
    (b"+1\n", None),
    (b"1\0", None),
    (b"- 1", None),
    (b"0.5", None),
    (b"8589935\n", None),
];

#[test]
fn knobs_are_written_as_linux_has_them_written() {
    if !has_fuse("knobs") {
        return;
    }
    let bench = Bench::new();
    let _daemon = mounted(&bench, &["--workers", "2"]);
    let ours = bench.path("proc/sys/net/netfilter/nf_conntrack_udp_timeout");
    let write = |bytes: &[u8]| {
        let mut file = OpenOptions::new().write(true).truncate(true).open(&ours)?;
        file.write_all(bytes)
    };
    let mut before = "30".to_owned();
    for (bytes, taken) in WRITTEN {
        match taken {
            Some(taken) => {
                write(bytes).unwrap();
                before = taken.to_owned();
            }
            None => assert_eq!(
                write(bytes).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bytes:?}"
            ),
        }
        assert_eq!(
            fs::read_to_string(&ours).unwrap(),
            format!("{before}\n"),
            "{bytes:?}"
        );
    }
    // Behind the beginning, anything is taken and nothing done.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&ours)
        .unwrap();
    assert_eq!(file.write_at(b"77\n", 1).unwrap(), 3);
    let mut two = [0; 2];
    assert_eq!(file.read_at(&mut two, 0).unwrap(), 2);
    assert_eq!(file.read_at(&mut two, 2).unwrap(), 0);
    assert_eq!(fs::read_to_string(&ours).unwrap(), format!("{before}\n"));
    assert_eq!(
        bench.asks(&["sysctl", "-n", "nf_conntrack_udp_timeout"]),
        format!("{before}\n")
    );
    // The old name is the same knob.
    let old = bench.path("proc/sys/net/ipv4/netfilter/ip_conntrack_udp_timeout");
    fs::write(&old, "33\n").unwrap();
    assert_eq!(fs::read_to_string(&ours).unwrap(), "33\n");
}

#[test]
fn what_can_only_be_read_is_closed_to_root_too_and_nothing_else_can_be_changed() {
    if !has_fuse("files") {
        return;
    }
    let bench = Bench::new();
    let _daemon = mounted(&bench, &[]);
    let root = bench.path("proc");
    for name in [
        "sys/net/netfilter/nf_conntrack_count",
        "net/nf_conntrack",
        "net/stat/nf_conntrack",
        "sys/net/ipv4/netfilter/ip_conntrack_buckets",
    ] {
        let refused = OpenOptions::new()
            .write(true)
            .open(root.join(name))
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{name}");
    }
    let knob = root.join("sys/net/netfilter/nf_conntrack_acct");
    assert!(fs::set_permissions(&knob, fs::Permissions::from_mode(0o666)).is_err());
    assert!(fs::remove_file(&knob).is_err());
    assert!(fs::write(root.join("sys/net/netfilter/new"), "1").is_err());
    assert!(fs::create_dir(root.join("new")).is_err());
    assert_eq!(
        fs::read_to_string(root.join("nothing")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn raising_the_limit_by_its_file_ends_the_drops() {
    if !has_fuse("limit") {
        return;
    }
    let bench = Bench::new();
    let capture = bench.path("flows.pcap");
    write_flows(&capture, 2000);
    let daemon = mounted(
        &bench,
        &[
            "--replay",
            &web(),
            "--speed",
            "max",
            "--loop",
            "--sysctl",
            "ip_conntrack_max=1",
            "--sysctl",
            "nf_conntrack_checksum=0",
        ],
    );
    daemon.says("ip_conntrack: table full, dropping packet.");
    let stat = bench.path("proc/net/stat/nf_conntrack");
    let drops = || {
        let text = fs::read_to_string(&stat).unwrap();
        let line = text
            .lines()
            .nth(1)
            .unwrap()
            .split_whitespace()
            .nth(10)
            .unwrap()
            .to_owned();
        u32::from_str_radix(&line, 16).unwrap()
    };
    assert!(drops() > 0);
    fs::write(bench.path("proc/sys/net/ipv4/ip_conntrack_max"), "1000\n").unwrap();
    let after = drops();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(drops(), after);
    // The kernel's limit on such messages is kept.
    assert!(daemon.log().matches("table full").count() <= 20);
}
