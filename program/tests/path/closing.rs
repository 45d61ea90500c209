//! SIGTERM under traffic, and with all restrictions: what waits is decided on, and the table is saved.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, chown};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::ping::Pings;
use crate::road::{Road, SERVER};
use crate::threads::{NET_ADMIN, assert_only};

/// Packets that wait in the queue.
const WAITING: u64 = 20_000;

/// Packets that the server's interface has received.
fn received(road: &Road) -> u64 {
    let file = "/sys/class/net/s0/statistics/rx_packets";
    road.server.must("cat", &[file]).trim().parse().unwrap()
}

#[test]
fn packets_in_the_queue_get_their_verdict_before_it_is_closed() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ipct.conf");
    fs::write(&file, "[queue]\nlength = 65536\nbuffer = 268435456\n").unwrap();
    let arguments = format!("--config {} --queue 0 --proc=", file.display());
    let daemon = Daemon::start(&road.ours, &arguments);
    assert!(road.is_open());
    daemon.signal(Signal::STOP);
    let before = received(&road);
    road.client.inside(|| {
        let socket = UdpSocket::bind("10.1.0.2:0").unwrap();
        for _ in 0..WAITING {
            socket.send_to(b"x", (SERVER, 9)).unwrap();
        }
    });
    assert!(received(&road) < before + 100, "they wait");
    let took = daemon.end_after(Signal::TERM);
    let passed = received(&road) - before;
    println!("{passed} of {WAITING} packets passed, and the daemon ended after {took:?}");
    assert!(passed >= WAITING, "{passed}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn it_ends_soon_however_much_comes() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0 --queue-bypass");
    let daemon = Daemon::start(&road.ours, "--queue 0 --drop-invalid");
    let server = road.server.start("iperf3", &["-s"]);
    sleep(Duration::from_millis(300));
    let flood = ["-u", "-c", SERVER, "-b", "0", "-l", "64", "-t", "4"];
    let flood = road.client.start("iperf3", &flood);
    sleep(Duration::from_millis(1_500));
    let took = daemon.end_after(Signal::TERM);
    println!("under a flood the daemon ended after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    for mut program in [flood, server] {
        program.kill().unwrap();
        program.wait().unwrap();
    }
}

#[test]
fn as_another_user_it_tracks_reloads_and_saves() {
    let Some(road) = Road::new() else { return };
    road.rules("--queue-num 0");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, owner) in [("lib", 65534), ("run", 65534), ("etc", 0)] {
        fs::create_dir(path(name)).unwrap();
        chown(path(name), Some(owner), Some(owner)).unwrap();
    }
    let config = path("etc/ipct.conf");
    fs::write(&config, "[sysctl]\nnf_conntrack_max = 1000\n").unwrap();
    let arguments = format!(
        "--config {} --user 65534:65534 --queue 0 --control {} --state {}",
        config.display(),
        path("run/control.sock").display(),
        path("lib/state").display()
    );
    let daemon = Daemon::start(&road.ours, &arguments);
    assert!(assert_only(daemon.id(), NET_ADMIN) >= 6);
    assert!(road.is_open());
    let pings = Pings::start(&road.client, SERVER, 500);
    fs::write(&config, "[sysctl]\nnf_conntrack_max = 2000\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("the configuration was read again");
    assert_eq!(
        fs::read_to_string(daemon.proc("sys/net/nf_conntrack_max")).unwrap(),
        "2000\n"
    );
    assert!(
        fs::read_to_string(daemon.proc("net/nf_conntrack"))
            .unwrap()
            .contains(SERVER)
    );
    let answers = pings.answers();
    assert_eq!(answers.received, answers.sent);
    let log = daemon.stop();
    assert!(
        log.contains("the table is saved") && !log.contains("ERROR"),
        "{log}"
    );
    assert!(fs::metadata(path("lib/state")).unwrap().len() > 48);
    assert!(!path("run/control.sock").exists());
}
