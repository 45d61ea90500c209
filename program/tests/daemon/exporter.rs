//! A monitoring system's own reader, on the files of /proc.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::bench::{Bench, has, has_fuse, wait_until, web};

#[test]
fn the_prometheus_node_exporter_reports_entries_and_limit() {
    if !has_fuse("exporter") || !has("prometheus-node-exporter", "exporter") {
        return;
    }
    let bench = Bench::new();
    let proc = bench.path("proc");
    let proc = proc.to_str().unwrap();
    let daemon = bench.run(&[
        "--proc",
        proc,
        "--replay",
        &web(),
        "--speed",
        "max",
        "--sysctl",
        "nf_conntrack_max=4321",
    ]);
    daemon.says("every packet was replayed");
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut exporter = Command::new("prometheus-node-exporter")
        .arg(format!("--path.procfs={proc}"))
        .args(["--collector.disable-defaults", "--collector.conntrack"])
        .arg(format!("--web.listen-address={free}"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut page = String::new();
    wait_until("the exporter's page", || {
        let Ok(mut stream) = TcpStream::connect(free) else {
            return false;
        };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        page.clear();
        stream.read_to_string(&mut page).is_ok() && page.contains("node_scrape_collector_success")
    });
    exporter.kill().unwrap();
    exporter.wait().unwrap();
    for line in [
        "node_nf_conntrack_entries 11",
        "node_nf_conntrack_entries_limit 4321",
        "node_nf_conntrack_stat_drop 0",
        "node_scrape_collector_success{collector=\"conntrack\"} 1",
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "{line}\nis not in\n{page}"
        );
    }
}
