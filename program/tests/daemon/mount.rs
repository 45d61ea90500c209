//! Where the files of /proc can be mounted.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, has, has_fuse, wait_until};
use crate::threads::children;

fn is_mounted(bench: &Bench) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.contains(bench.path("proc").to_str().unwrap())
}

#[test]
fn they_go_when_the_daemon_stops_even_while_somebody_reads() {
    if !has_fuse("mounts") {
        return;
    }
    let bench = Bench::new();
    let proc = bench.path("proc");
    let daemon = bench.run(&["--proc", proc.to_str().unwrap()]);
    assert!(is_mounted(&bench));
    let open = fs::File::open(proc.join("net/nf_conntrack")).unwrap();
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(!is_mounted(&bench));
    drop(open);
    assert_eq!(fs::read_dir(&proc).unwrap().count(), 0);
}

#[test]
fn a_daemon_that_is_killed_leaves_none() {
    if !has_fuse("mounts") {
        return;
    }
    let bench = Bench::new();
    let proc = bench.path("proc");
    let mut daemon = bench.run(&["--proc", proc.to_str().unwrap()]);
    assert!(is_mounted(&bench));
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    wait_until("the mount's end", || !is_mounted(&bench));
    // Neither does one that is killed while its successor mounts: each helper knows its own.
    for _ in 0..10 {
        let mut daemon = bench.run(&["--proc", proc.to_str().unwrap()]);
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }
    let daemon = bench.run(&["--proc", proc.to_str().unwrap()]);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(is_mounted(&bench) && proc.join("net/nf_conntrack").exists());
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(!is_mounted(&bench));
}

#[test]
fn what_a_daemon_left_that_was_killed_with_its_helper_is_taken_away() {
    if !has_fuse("mounts") {
        return;
    }
    let bench = Bench::new();
    let proc = bench.path("proc");
    let mut daemon = bench.run(&["--proc", proc.to_str().unwrap()]);
    for helper in children(daemon.child.id()) {
        let kill = Command::new("kill")
            .args(["-9", &helper.to_string()])
            .status();
        assert!(kill.unwrap().success());
    }
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert!(fs::read_dir(&proc).is_err(), "nobody answers there");
    let second = bench.run(&["--proc", proc.to_str().unwrap()]);
    assert!(
        second
            .log()
            .contains("took away a mount that nobody served any more"),
        "{}",
        second.log()
    );
    assert!(proc.join("net/nf_conntrack").exists());
    assert_eq!(second.stop().code(), Some(0));
    assert!(!is_mounted(&bench));
}

#[test]
fn a_directory_that_is_in_use_full_or_missing_is_refused_in_words() {
    if !has_fuse("mounts") {
        return;
    }
    let bench = Bench::new();
    let proc = bench.path("proc");
    let asked = proc.to_str().unwrap().to_owned();
    let first = bench.run(&["--proc", &asked]);
    let other = bench.path("other.sock");
    let (status, text) = bench.fails(&[
        "--proc",
        &asked,
        "--control",
        other.to_str().unwrap(),
        "--state",
        "",
    ]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("the mount is busy: ipct (type fuse) is there already"),
        "{text}"
    );
    assert!(!other.exists(), "what was made is taken away");
    assert_eq!(first.stop().code(), Some(0));
    fs::write(proc.join("file"), "mine").unwrap();
    let (status, text) = bench.fails(&["--proc", &asked]);
    assert_eq!(status, Some(1));
    assert!(text.contains("it is not empty"), "{text}");
    let nowhere = bench.path("nowhere");
    let (status, text) = bench.fails(&["--proc", nowhere.to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("there is no such directory; make it with mkdir -p"),
        "{text}"
    );
    let (status, text) = bench.fails(&["--proc", proc.join("file").to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert!(text.contains("it is no directory"), "{text}");
}

#[test]
fn without_fuse_it_says_what_is_missing() {
    if !has_fuse("mounts") || !has("unshare", "mounts") {
        return;
    }
    let bench = Bench::new();
    let run = bench.command(&["--proc", bench.path("proc").to_str().unwrap()]);
    let mut command = Command::new("unshare");
    command.args([
        "-m",
        "sh",
        "-c",
        "mount -t tmpfs none /dev && exec \"$@\"",
        "sh",
    ]);
    command.arg(run.get_program()).args(run.get_args());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("/dev/fuse: No such file or directory") && text.contains("modprobe fuse"),
        "{text}"
    );
}
