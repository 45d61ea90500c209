//! Who may read, and who may change.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use crate::bench::{Bench, has, has_fuse, is_root};

/// Asks as somebody else: user 65534, with that group.
fn ask_as(bench: &Bench, group: &str, arguments: &[&str]) -> Output {
    // The program may lie where only root gets to.
    let program = bench.path("ipct");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_ipct"), &program).unwrap();
        fs::set_permissions(bench.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", group, "--clear-groups"])
        .arg(program);
    command
        .args(arguments)
        .arg("--socket")
        .arg(bench.path("control.sock"));
    command.output().unwrap()
}

#[test]
fn the_group_may_read_and_only_root_may_change() {
    if !is_root("rights") || !has("setpriv", "rights") {
        return;
    }
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), "[control]\ngroup = 12345\n").unwrap();
    let _daemon = bench.run(&["--replay", &crate::bench::web(), "--speed", "max"]);
    let reads = ask_as(&bench, "12345", &["-L"]);
    assert_eq!(reads.status.code(), Some(0), "{reads:?}");
    let knob = ask_as(&bench, "12345", &["sysctl", "-n", "nf_conntrack_max"]);
    assert_eq!(knob.stdout, b"262144\n");
    for change in [
        &["-F"][..],
        &["-L", "-z"],
        &["-D", "-s", "10.0.1.2"],
        &[
            "-I", "-s", "1.1.1.1", "-d", "2.2.2.2", "-p", "udp", "--sport", "1", "--dport", "2",
            "-t", "9",
        ],
        &["sysctl", "nf_conntrack_max=1"],
    ] {
        let changes = ask_as(&bench, "12345", change);
        let text = String::from_utf8(changes.stderr).unwrap();
        assert_eq!(changes.status.code(), Some(1), "{change:?}: {text}");
        assert!(
            text.contains("only root and the daemon's own user may change"),
            "{change:?}: {text}"
        );
    }
    assert_eq!(
        bench.asks(&["sysctl", "-n", "nf_conntrack_max"]),
        "262144\n"
    );
    let other = ask_as(&bench, "65534", &["-L"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        String::from_utf8(other.stderr)
            .unwrap()
            .contains("may not open")
    );
}

#[test]
fn a_daemon_without_root_serves_its_own_user() {
    if !is_root("rights") || !has("setpriv", "rights") {
        return;
    }
    let bench = Bench::new();
    fs::set_permissions(bench.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let program = bench.path("ipct");
    fs::copy(env!("CARGO_BIN_EXE_ipct"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .arg("run");
    command
        .arg("--control")
        .arg(bench.path("control.sock"))
        .arg("--state")
        .arg(bench.path("state"));
    let daemon = bench.run_command(command);
    let set = ask_as(&bench, "65534", &["sysctl", "-n", "nf_conntrack_max=99"]);
    assert_eq!(set.stdout, b"99\n", "{set:?}");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn the_files_of_proc_are_open_to_whom_their_modes_say() {
    if !has_fuse("rights") || !has("setpriv", "rights") {
        return;
    }
    let bench = Bench::new();
    fs::set_permissions(bench.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let proc = bench.path("proc");
    let _daemon = bench.run(&["--proc", proc.to_str().unwrap()]);
    let may = |script: &str| {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "sh",
            "-c",
            script,
        ]);
        command
            .arg("sh")
            .arg(&proc)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(!may("cat $1/net/nf_conntrack"));
    assert!(may("cat $1/net/stat/nf_conntrack"));
    assert!(may("cat $1/sys/net/nf_conntrack_max"));
    assert!(!may("echo 1 >$1/sys/net/nf_conntrack_max"));
    assert_eq!(
        fs::read_to_string(proc.join("sys/net/nf_conntrack_max")).unwrap(),
        "262144\n"
    );
}

#[test]
fn who_opens_all_files_that_he_may_leaves_some_to_root() {
    if !has_fuse("rights") || !has("setpriv", "rights") {
        return;
    }
    let bench = Bench::new();
    let proc = bench.path("proc");
    fs::set_permissions(bench.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let _daemon = bench.run(&["--proc", proc.to_str().unwrap()]);
    let knob = proc.join("sys/net/netfilter/nf_conntrack_max");
    let script = "ulimit -n 4096; for n in $(seq 1100); do exec {fd}<\"$0\" || break; done; \
                  echo $n; exec sleep 60";
    let mut greedy = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["bash", "-c", script])
        .arg(&knob)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut refused = String::new();
    let said = greedy.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut refused).unwrap();
    assert_eq!(refused, "897\n", "the first that he may not open");
    assert_eq!(fs::read_to_string(&knob).unwrap(), "262144\n");
    greedy.kill().unwrap();
    greedy.wait().unwrap();
}
