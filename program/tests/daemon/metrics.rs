//! Numbers for Prometheus: what is served, to whom, and that nobody who asks can do harm.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::{Bench, Daemon, PATIENCE, has, is_root, wait_until, web};

/// Where a daemon answers that was given port 0.
fn address(daemon: &Daemon<'_>) -> String {
    daemon.says("metrics: http://");
    let log = daemon.log();
    let (_, rest) = log.split_once("metrics: http://").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// A daemon that has tracked a capture, and its address.
fn run<'a>(bench: &'a Bench, more: &[&str]) -> (Daemon<'a>, String) {
    let web = web();
    let mut arguments = vec!["--replay", &web, "--speed", "max"];
    if !more.contains(&"--metrics") {
        arguments.extend(["--metrics", "127.0.0.1:0"]);
    }
    arguments.extend(more);
    let daemon = bench.run(&arguments);
    daemon.says("every packet was replayed");
    let address = address(&daemon);
    (daemon, address)
}

/// Sends bytes and reads the answer to its end.
fn ask(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who is refused early may find that it cannot send the rest.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(answer).unwrap()
}

fn page(address: &str) -> String {
    let answer = ask(address, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    body.to_owned()
}

/// A series: its family and labels as they are written, and its value.
type Series = BTreeMap<String, f64>;

/// Reads every line of a page by the rules of the format.
fn parsed(page: &str) -> Series {
    let (mut series, mut family) = (Series::new(), None);
    let mut families = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(
                !help.is_empty() && families.insert(name.to_owned()),
                "{line}"
            );
            family = Some((name.to_owned(), false));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert_eq!(family, Some((name.to_owned(), false)), "{line}");
            family = Some((name.to_owned(), true));
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let (of, labels) = name.split_once('{').unwrap_or((name, ""));
            assert_eq!(family, Some((of.to_owned(), true)), "{line}");
            assert!(
                of.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
                "{line}"
            );
            let labels = labels.strip_suffix("\"}").map(|labels| labels.split("\","));
            assert_eq!(labels.is_some(), name.contains('{'), "{line}");
            for label in labels.into_iter().flatten() {
                let (label, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                let is_good = |b: u8| b.is_ascii_lowercase() || b == b'_';
                assert!(label.bytes().all(is_good) && !value.contains('"'), "{line}");
            }
            assert!(
                series.insert(name.to_owned(), value).is_none(),
                "twice: {line}"
            );
        }
    }
    series
}

/// As [`parsed`]; series without labels have no `label`.
fn scrape(address: &str) -> Series {
    parsed(&page(address))
}

/// Makes an entry of each of these protocols.
fn nameless(bench: &Bench, numbers: &[&str]) {
    for number in numbers {
        bench.asks(&[
            "-I", "-p", number, "-s", "10.8.8.8", "-d", "10.8.8.1", "-t", "300",
        ]);
    }
}

#[test]
fn every_line_is_of_the_format_and_says_what_the_tools_say() {
    let bench = Bench::new();
    let (_daemon, address) = run(&bench, &["--sysctl", "nf_conntrack_max=44"]);
    // ESP, OSPF and PIM have no name here.
    nameless(&bench, &["50", "89", "103"]);
    let series = scrape(&address);
    let listed = bench.asks(&["-L"]);
    assert_eq!(series["ipct_entries"], listed.lines().count() as f64);
    assert_eq!(series["ipct_entries_limit"], 44.0);
    assert_eq!(series["ipct_fill_ratio"], series["ipct_entries"] / 44.0);
    let assured = listed.matches("[ASSURED]").count() as f64;
    assert_eq!(series["ipct_hard_fill_ratio"], assured / 44.0);
    let states = series
        .iter()
        .filter(|(name, _)| name.starts_with("ipct_state_entries{"));
    assert_eq!(
        states.map(|(_, count)| count).sum::<f64>(),
        series["ipct_entries"]
    );
    let time_wait = listed.matches("TIME_WAIT").count() as f64;
    assert_eq!(
        series["ipct_state_entries{protocol=\"tcp\",state=\"TIME_WAIT\"}"],
        time_wait
    );
    assert_eq!(
        series["ipct_state_entries{protocol=\"unknown\",state=\"\"}"],
        3.0
    );
    assert_eq!(series["ipct_class_confidence{class=\"normal\"}"], 1.0);
    // Every counter that is shown elsewhere is here, with the same value.
    let told = bench.asks(&["-S"]);
    let packets = format!("packets={}", series["ipct_packets_total"]);
    assert!(told.contains(&packets), "{packets} is not in {told}");
    for reason in ip_conntrack::Reason::ALL {
        let name = format!("ipct_reasons_total{{reason=\"{}\"}}", reason.name());
        assert!(series.contains_key(&name), "{name}");
    }
    assert_eq!(series["ipct_reasons_total{reason=\"not_ip\"}"], 2.0);
    assert!(!series.keys().any(|name| name.starts_with("node_")));
}

#[test]
fn curl_in_the_daemons_namespace_gets_the_page_over_ipv6() {
    if !is_root("metrics") || !has("curl", "metrics") || !has("unshare", "metrics") {
        return;
    }
    let bench = Bench::new();
    let inner = bench.command(&[
        "--metrics",
        "[::1]:9817",
        "--replay",
        &web(),
        "--speed",
        "max",
    ]);
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    let daemon = bench.run_command(command);
    let curl = |arguments: &[&str]| {
        let id = daemon.child.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &id, "curl", "-sS", "--max-time", "20"]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let series = parsed(&curl(&["http://[::1]:9817/metrics"]));
    assert_eq!(series["ipct_entries"], 11.0);
    let head = curl(&["--head", "http://[::1]:9817/metrics"]);
    assert!(
        head.contains("Content-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    let code = ["-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(curl(&[&code[..], &["http://[::1]:9817/"]].concat()), "404");
    assert_eq!(
        curl(&[&code[..], &["-d", "x", "http://[::1]:9817/metrics"]].concat()),
        "405"
    );
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics_and_the_alerts() {
    if !has("promtool", "metrics") {
        return;
    }
    let bench = Bench::new();
    let (_daemon, address) = run(&bench, &["--metrics-node-exporter"]);
    let page = page(&address);
    // node_exporter's own names are older than promtool's rules for names.
    let ours = page
        .lines()
        .filter(|line| !line.contains("node_nf_conntrack"));
    let ours: String = ours.flat_map(|line| [line, "\n"]).collect();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(ours.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .arg(shipped("packaging/prometheus/ipct-alerts.yml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)
}

/// Words of a query that are names of metrics.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_name = |word: &&str| word.starts_with("ipct_") || word.starts_with("node_nf_");
    words.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn dashboard_alerts_and_documentation_name_what_is_served_and_nothing_else() {
    let bench = Bench::new();
    let (_daemon, address) = run(
        &bench,
        &["--metrics-node-exporter", "--sysctl", "nf_conntrack_max=44"],
    );
    // Rates need a second look.
    let mut served = BTreeSet::new();
    wait_until("two looks", || {
        let page = page(&address);
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        served = types
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        served.contains("ipct_new_entries_per_second")
    });
    let dashboard = fs::read_to_string(shipped("packaging/grafana/ipct.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(
            !panel["description"].as_str().unwrap().is_empty(),
            "{}",
            panel["title"]
        );
        for target in panel["targets"].as_array().unwrap() {
            queries.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    assert!(queries.len() >= 16);
    for query in &queries {
        let names = names(query);
        assert!(!names.is_empty() && names.is_subset(&served), "{query}");
    }
    let alerts = fs::read_to_string(shipped("packaging/prometheus/ipct-alerts.yml")).unwrap();
    for query in alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
    {
        let names = names(query);
        assert!(!names.is_empty() && names.is_subset(&served), "{query}");
    }
    let documented = names(&fs::read_to_string(shipped("docs/metrics.md")).unwrap());
    assert_eq!(documented, served);
    let alerts_documented = fs::read_to_string(shipped("docs/metrics.md")).unwrap();
    for alert in alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(
            alerts_documented.contains(&format!("| `{alert}` |")),
            "{alert}"
        );
    }
}

#[test]
fn top_lists_have_as_many_series_as_was_asked_for() {
    for (most, expected) in [("0", 0), ("2", 2), ("100", 5)] {
        let bench = Bench::new();
        let (_daemon, address) = run(&bench, &["--metrics-top", most]);
        let series = scrape(&address);
        let top = series
            .keys()
            .filter(|name| name.starts_with("ipct_top_port_entries"));
        assert!(top.count() <= expected, "{most}: {series:?}");
        let sources = series
            .keys()
            .filter(|name| name.starts_with("ipct_top_source_entries"));
        assert_eq!(sources.count(), expected.min(2), "{most}");
    }
}

#[test]
fn rates_tell_what_came_between_two_looks() {
    let bench = Bench::new();
    let (_daemon, address) = run(&bench, &[]);
    scrape(&address);
    for port in 1..=30 {
        bench.asks(&[
            "-I",
            "-p",
            "udp",
            "-s",
            "10.9.9.9",
            "-d",
            "10.9.9.1",
            "--sport",
            &port.to_string(),
            "--dport",
            "53",
            "-t",
            "300",
        ]);
    }
    nameless(&bench, &["50", "89", "103"]);
    let new = "ipct_new_entries_per_second{protocol=\"udp\",state=\"\"}";
    let mut series = Series::new();
    wait_until("the second look", || {
        series = scrape(&address);
        series.contains_key(new)
    });
    // At least five seconds lie between two looks, and the test was not here for more than its patience.
    assert!(
        series[new] <= 30.0 / 5.0 && series[new] >= 30.0 / PATIENCE.as_secs_f64(),
        "{}",
        series[new]
    );
    let nameless = "ipct_new_entries_per_second{protocol=\"unknown\",state=\"\"}";
    assert!(
        (series[nameless] * 10.0 - series[new]).abs() < 1e-9,
        "{} of udp, {} without a name",
        series[new],
        series[nameless]
    );
    assert_eq!(
        series["ipct_top_port_entries{protocol=\"udp\",port=\"53\"}"],
        31.0
    );
}

#[test]
fn an_address_that_cannot_be_used_is_said_at_once() {
    let bench = Bench::new();
    fs::write(
        bench.path("ipct.conf"),
        "[metrics]\naddress = \"localhost\"\n",
    )
    .unwrap();
    let (status, said) = bench.fails(&[]);
    assert_eq!(status, Some(2));
    assert!(
        said.contains("metrics.address") && said.contains("127.0.0.1:9817"),
        "{said}"
    );
    fs::remove_file(bench.path("ipct.conf")).unwrap();
    let (_daemon, address) = run(&bench, &[]);
    let other = Bench::new();
    let (status, said) = other.fails(&["--metrics", &address]);
    assert_eq!(status, Some(1));
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
}

#[test]
fn the_configuration_file_says_it_all() {
    let bench = Bench::new();
    let text = "[metrics]\naddress = \"127.0.0.1:0\"\ntop = 1\nnode_exporter = true\n";
    fs::write(bench.path("ipct.conf"), text).unwrap();
    let daemon = bench.run(&["--replay", &web(), "--speed", "max"]);
    daemon.says("every packet was replayed");
    let series = scrape(&address(&daemon));
    assert_eq!(series["node_nf_conntrack_entries"], 11.0);
    let top = series
        .keys()
        .filter(|name| name.starts_with("ipct_top_source_entries"));
    assert_eq!(top.count(), 1);
}

/// What a hostile client sends, and how the answer begins; `None` if there need be none.
fn hostile_requests() -> Vec<(Vec<u8>, &'static str)> {
    let long = [
        b"GET /metrics HTTP/1.1\r\nX: ".to_vec(),
        vec![b'a'; 1 << 20],
    ]
    .concat();
    let many = [
        b"GET /metrics HTTP/1.1\r\n".to_vec(),
        b"a: b\r\n".repeat(100_000),
    ]
    .concat();
    vec![
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            "HTTP/1.1 400 ",
        ),
        (vec![0; 1 << 16], "HTTP/1.1 431 "),
        (b"GET /metrics\r\n\r\n".to_vec(), "HTTP/1.1 400 "),
        (
            b"GET /../../etc/passwd HTTP/1.1\r\n\r\n".to_vec(),
            "HTTP/1.1 404 ",
        ),
        (
            b"DELETE /metrics HTTP/1.1\r\n\r\n".to_vec(),
            "HTTP/1.1 405 ",
        ),
        (long, "HTTP/1.1 431 "),
        (many, "HTTP/1.1 431 "),
    ]
}

#[test]
fn garbage_is_answered_shortly_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let (daemon, address) = run(&bench, &[]);
    for (request, expected) in hostile_requests() {
        let answer = ask(&address, &request);
        let start = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        // A reset may overtake the answer if much is still under way.
        assert!(
            answer.starts_with(expected) || (answer.is_empty() && request.len() > 1 << 16),
            "{start:?}: {answer}"
        );
    }
    // Connections that are closed before anything was said.
    for _ in 0..200 {
        drop(TcpStream::connect(&address).unwrap());
    }
    assert_eq!(scrape(&address)["ipct_entries"], 11.0);
    wait_until("the threads' end", || threads(&daemon) < 12);
}

fn threads(daemon: &Daemon<'_>) -> usize {
    fs::read_dir(format!("/proc/{}/task", daemon.child.id()))
        .unwrap()
        .count()
}

#[test]
fn silent_clients_and_slow_readers_keep_nobody_from_scraping_and_are_sent_away() {
    let bench = Bench::new();
    let (mut daemon, address) = run(&bench, &[]);
    let began = Instant::now();
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let readers: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .collect();
    assert!(threads(&daemon) < 50, "{}", threads(&daemon));
    assert_eq!(scrape(&address)["ipct_entries"], 11.0);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    // A byte now and then does not help.
    let mut slow = TcpStream::connect(&address).unwrap();
    let mut is_open = true;
    while is_open && began.elapsed() < PATIENCE {
        is_open = slow.write_all(b"G").is_ok();
        thread::sleep(Duration::from_millis(200));
    }
    assert!(!is_open, "who sends a byte at a time is served for ever");
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    wait_until("the threads' end", || threads(&daemon) < 12);
    drop((silent, readers));
    let turned_away = scrape(&address)["ipct_scrapes_turned_away_total"];
    assert!(turned_away >= 80.0, "{turned_away}");
    bench.asks(&["-C"]);
    daemon.signal("TERM");
    daemon.told("STOPPING=1");
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn packets_go_on_while_many_scrape() {
    let bench = Bench::new();
    let web = web();
    let daemon = bench.run(&[
        "--replay",
        &web,
        "--speed",
        "max",
        "--loop",
        "--metrics",
        "127.0.0.1:0",
    ]);
    let address = address(&daemon);
    let packets = || scrape(&address)["ipct_packets_total"];
    let rate = |seconds: f64| {
        let (before, began) = (packets(), Instant::now());
        thread::sleep(Duration::from_secs_f64(seconds));
        (packets() - before) / began.elapsed().as_secs_f64()
    };
    let alone = rate(1.0);
    let over = AtomicBool::new(false);
    let scraping = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    scrape(&address);
                }
            });
        }
        let scraping = rate(2.0);
        over.store(true, Relaxed);
        scraping
    });
    // A worker gives packets at least half of its time; the scrapers themselves take the machine's other core.
    assert!(
        scraping > alone / 4.0,
        "{alone:.0} packets a second alone, {scraping:.0} while four scrape"
    );
    daemon.stop();
}
