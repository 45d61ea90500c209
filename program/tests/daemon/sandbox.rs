//! What the running daemon can still do, and that it does all of its work with that.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use crate::bench::{Bench, has_fuse, is_root, wait_until, web};
use crate::threads::{CHOWN, SYS_ADMIN, assert_only, children};

#[test]
fn every_thread_has_what_is_needed_and_the_daemon_does_its_work() {
    if !has_fuse("sandbox") {
        return;
    }
    let bench = Bench::new();
    fs::write(
        bench.path("ipct.conf"),
        "[sysctl]\nnf_conntrack_max = 10000\n",
    )
    .unwrap();
    let proc = bench.path("proc");
    let mut daemon = bench.run(&[
        "--replay",
        &web(),
        "--speed",
        "max",
        "--workers",
        "2",
        "--proc",
        proc.to_str().unwrap(),
    ]);
    daemon.says("every packet was replayed");
    wait_until("the table", || bench.asks(&["-C"]) == "11\n");
    let knob = proc.join("sys/net/nf_conntrack_max");
    fs::write(&knob, "20000\n").unwrap();
    assert_eq!(bench.asks(&["sysctl", "-n", "nf_conntrack_max"]), "20000\n");
    assert!(!fs::read(proc.join("net/nf_conntrack")).unwrap().is_empty());
    fs::write(
        bench.path("ipct.conf"),
        "[control]\ngroup = \"daemon\"\n[sysctl]\nnf_conntrack_max = 30000\n",
    )
    .unwrap();
    daemon.signal("HUP");
    daemon.told("READY=1");
    assert_eq!(owner(&bench.path("control.sock")), (0, group_of("daemon")));
    assert_eq!(fs::read_to_string(&knob).unwrap(), "30000\n");
    // main, signals, two workers, control, saves, and three of FUSE's; a client's may be there, too.
    assert!(assert_only(daemon.child.id(), CHOWN) >= 9);
    let helpers = children(daemon.child.id());
    assert_eq!(helpers.len(), 1);
    assert_eq!(assert_only(helpers[0], SYS_ADMIN), 1);
    assert_eq!(daemon.stop().code(), Some(0));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(proc.to_str().unwrap()));
    assert!(bench.path("state").exists() && !bench.path("control.sock").exists());
}

fn owner(path: &Path) -> (u32, u32) {
    let about = fs::metadata(path).unwrap();
    (about.uid(), about.gid())
}

fn group_of(name: &str) -> u32 {
    let groups = fs::read_to_string("/etc/group").unwrap();
    let line = groups
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    line.unwrap().split(':').nth(2).unwrap().parse().unwrap()
}

/// Whether a running daemon reads a configuration that has become a link to a file elsewhere.
fn follows_a_link_elsewhere(options: &[&str]) -> (bool, String) {
    let (bench, elsewhere) = (Bench::new(), Bench::new());
    let config = bench.path("ipct.conf");
    fs::write(&config, "").unwrap();
    let mut daemon = bench.run(options);
    let other = elsewhere.path("other.conf");
    fs::write(&other, "[sysctl]\nnf_conntrack_max = 4321\n").unwrap();
    fs::remove_file(&config).unwrap();
    symlink(&other, &config).unwrap();
    daemon.signal("HUP");
    daemon.told("READY=1");
    let follows = bench.asks(&["sysctl", "-n", "nf_conntrack_max"]) == "4321\n";
    (follows, daemon.log())
}

#[test]
fn the_running_daemon_opens_no_file_outside_its_own() {
    if !is_root("sandbox") {
        return;
    }
    let (follows, log) = follows_a_link_elsewhere(&[]);
    assert!(!follows, "{log}");
    assert!(
        log.contains("the configuration cannot be read: Permission denied"),
        "{log}"
    );
    // The same, without the restrictions: so it is they.
    let (follows, log) = follows_a_link_elsewhere(&["--no-sandbox"]);
    assert!(follows, "{log}");
}

#[test]
fn as_another_user_it_does_its_work_and_says_what_must_be_that_users() {
    if !has_fuse("sandbox") {
        return;
    }
    let bench = Bench::new();
    let (home, proc) = (bench.path(""), bench.path("proc"));
    let options = ["--user", "65534:65533", "--proc", proc.to_str().unwrap()];
    let (status, text) = bench.fails(&options);
    assert_eq!(status, Some(1));
    for words in [
        "the daemon has to write there (state.path), and as 65534 may not",
        "it belongs to user 0 and group 0",
        "chown 65534:65533",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts().contains(proc.to_str().unwrap()),
        "what was made is taken away"
    );
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&home, Some(65534), Some(65533)).unwrap();
    fs::write(bench.path("ipct.conf"), "").unwrap();
    let mut daemon = bench.run(&options);
    assert!(assert_only(daemon.child.id(), 0) >= 6);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    assert!(
        status.contains("Uid:\t65534\t65534\t65534\t65534"),
        "{status}"
    );
    assert!(
        status.contains("Gid:\t65533\t65533\t65533\t65533"),
        "{status}"
    );
    assert_eq!(owner(&bench.path("control.sock")), (65534, 65533));
    daemon.signal("HUP");
    daemon.told("READY=1");
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    assert_eq!(bench.asks(&["sysctl", "-n", "nf_conntrack_max=99"]), "99\n");
    assert_eq!(
        fs::read_to_string(proc.join("sys/net/nf_conntrack_max")).unwrap(),
        "99\n"
    );
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(owner(&bench.path("state")), (65534, 65533));
    assert!(!mounts().contains(proc.to_str().unwrap()));
    assert!(!bench.path("control.sock").exists());
}

#[test]
fn a_user_that_is_not_there_is_told() {
    let bench = Bench::new();
    let (status, text) = bench.fails(&["--user", "nobody-of-that-name"]);
    assert_eq!(status, Some(2));
    assert!(
        text.contains("there is no user \"nobody-of-that-name\""),
        "{text}"
    );
    fs::write(
        bench.path("ipct.conf"),
        "[run]\nuser = \"nobody-of-that-name\"\n",
    )
    .unwrap();
    let (status, text) = bench.fails(&[]);
    assert_eq!(status, Some(2));
    assert!(text.contains("ipct.conf:2: run.user"), "{text}");
}
