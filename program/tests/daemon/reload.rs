//! SIGHUP.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::bench::Bench;

#[test]
fn a_reload_takes_over_what_can_change_and_says_what_cannot() {
    let bench = Bench::new();
    let config = bench.path("ipct.conf");
    fs::write(&config, "[sysctl]\nnf_conntrack_max = 10\n").unwrap();
    let mut daemon = bench.run(&[]);
    let new = "[run]\nworkers = 3\n[control]\nmode = \"0600\"\n[log]\nlevel = \"debug\"\n[sysctl]\nnf_conntrack_max = 20\n";
    fs::write(&config, new).unwrap();
    daemon.signal("HUP");
    let told = daemon.told("READY=1");
    assert!(
        told.contains("RELOADING=1") && told.contains("MONOTONIC_USEC="),
        "{told}"
    );
    assert_eq!(bench.asks(&["sysctl", "-n", "nf_conntrack_max"]), "20\n");
    let mode = fs::metadata(bench.path("control.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    for words in [
        "run.workers takes effect at the next start",
        "control.mode is changed",
        "log.level is changed",
    ] {
        assert!(daemon.log().contains(words), "{words}: {}", daemon.log());
    }
    assert_eq!(cpus(&bench), 1);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_wrong_file_changes_nothing() {
    let bench = Bench::new();
    let config = bench.path("ipct.conf");
    fs::write(&config, "[sysctl]\nnf_conntrack_max = 10\n").unwrap();
    let mut daemon = bench.run(&[]);
    fs::write(
        &config,
        "[log]\nlevel = \"loud\"\n[sysctl]\nnf_conntrack_max = 20\n",
    )
    .unwrap();
    daemon.signal("HUP");
    daemon.told("READY=1");
    assert!(
        daemon.log().contains("log.level = \"loud\": accepts"),
        "{}",
        daemon.log()
    );
    assert!(
        daemon.log().contains("the configuration stays as it was"),
        "{}",
        daemon.log()
    );
    assert_eq!(bench.asks(&["sysctl", "-n", "nf_conntrack_max"]), "10\n");
}

/// Lines of counters, one for each worker.
fn cpus(bench: &Bench) -> usize {
    let text = bench.asks(&["-S"]);
    text.lines().filter(|line| line.starts_with("cpu=")).count()
}
