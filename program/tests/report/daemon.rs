//! The daemon's table: the same report, and what the advice says it frees is what it frees.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::captures::syns;
use super::run::run_in;

/// A daemon that has tracked a capture, until the value ends.
struct Daemon(Child);

impl Daemon {
    fn new(dir: &Path) -> Daemon {
        std::fs::write(dir.join("capture"), syns(1_500)).unwrap();
        std::fs::write(dir.join("ipct.conf"), "").unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_ipct"))
            .args([
                "run",
                "--config=ipct.conf",
                "--replay=capture",
                "--speed=max",
            ])
            .arg(format!("--control={}", dir.join("socket").display()))
            .arg(format!("--state={}", dir.join("state").display()))
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Daemon(daemon.unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_deletion_frees_in_the_daemons_table() {
    let dir = tempfile::tempdir().unwrap();
    let _daemon = Daemon::new(dir.path());
    let began = Instant::now();
    let told = loop {
        let ran = run_in(dir.path(), "report --ipct --socket socket --json", b"");
        if ran.status == Some(0) && ran.json()["entries"] == 1_500 {
            break ran.json();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{ran:?}");
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(
        (&told["class"], &told["source"]["kind"]),
        (&"spoofed_syn_flood".into(), &"ipct".into())
    );
    assert_eq!(told["max"], 262_144);
    let advice = &told["advice"][0];
    assert_eq!(advice["commands"][0], "ipct -D -p tcp --state SYN_SENT");
    assert_eq!(advice["frees"], 1_500);
    run_in(
        dir.path(),
        "--socket socket -D -p tcp --state SYN_SENT",
        b"",
    )
    .exits(0)
    .mentions(&["1500 flow entries have been deleted"]);
    let after = run_in(dir.path(), "report --ipct --socket socket --json", b"")
        .exits(0)
        .json();
    assert_eq!(after["entries"], 0);
}
