//! The journal, and what stands in for it: a socket in the place of its own, in a mount namespace of the
//! daemon's.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, has, is_root, wait_until};

/// `ipct run` where `/run` is empty but for what `before` puts there.
fn with_other_run(bench: &Bench, before: &str) -> Command {
    let run = bench.command(&[]);
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs none /run && {before} exec \"$@\"");
    command.args(["-m", "sh", "-c", &script, "sh"]);
    command.arg(run.get_program()).args(run.get_args());
    command
}

#[test]
fn a_journal_that_is_wanted_and_not_there_is_told() {
    if !is_root("journal") || !has("unshare", "journal") {
        return;
    }
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), "[log]\ntarget = \"journal\"\n").unwrap();
    let output = with_other_run(&bench, "").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("log.target = \"journal\": the journal cannot be reached"),
        "{text}"
    );
}

#[test]
fn the_journal_gets_the_log_when_it_is_wanted() {
    if !is_root("journal") || !has("unshare", "journal") {
        return;
    }
    let bench = Bench::new();
    fs::write(bench.path("ipct.conf"), "[log]\ntarget = \"journal\"\n").unwrap();
    let place = bench.path("journal");
    fs::create_dir(&place).unwrap();
    let journal = UnixDatagram::bind(place.join("socket")).unwrap();
    journal
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let bind = format!(
        "mkdir -p /run/systemd/journal && mount --bind {} /run/systemd/journal &&",
        place.display()
    );
    let daemon = bench.run_command(with_other_run(&bench, &bind));
    let mut told = String::new();
    wait_until("the journal", || {
        let mut bytes = [0; 65536];
        if let Ok(count) = journal.recv(&mut bytes) {
            told.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        told.contains("ready: ")
    });
    assert!(
        told.contains("SYSLOG_IDENTIFIER=ipct") || told.contains("SYSLOG_IDENTIFIER\n"),
        "{told}"
    );
    assert!(told.contains("PRIORITY"), "{told}");
    assert_eq!(daemon.log(), "");
}
