//! An attacker, a router and a victim, each in a namespace of its own:
//!
//! ```text
//! attacker 203.0.113.2 ── router ── 198.51.100.80 victim
//!          192.168.7.2 (inside, a second network of the attacker's)
//! ```

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

pub(crate) const VICTIM: &str = "198.51.100.80";
pub(crate) const ATTACKER: &str = "203.0.113.2";

/// The three, until the value ends.
pub(crate) struct Net {
    name: String,
}

pub(crate) const ATTACKERS: char = 'a';
pub(crate) const ROUTERS: char = 'r';
pub(crate) const VICTIMS: char = 'v';

impl Net {
    /// `None` where the test may be passed over. `tools` have to be there.
    pub(crate) fn new(tools: &[&str]) -> Option<Net> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let net = Net {
            name: format!("ipctl{}-{number}-", std::process::id()),
        };
        let are_there = tools.iter().chain(&["conntrack", "nft"]).all(|tool| {
            Command::new("sh")
                .args(["-c", &format!("command -v {tool}")])
                .output()
                .is_ok_and(|found| found.status.success())
        });
        let made = are_there
            && [ATTACKERS, ROUTERS, VICTIMS].iter().all(|who| {
                let made = Command::new("ip")
                    .args(["netns", "add", &net.space(*who)])
                    .output();
                made.is_ok_and(|made| made.status.success())
            });
        if !made {
            assert!(
                std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_none(),
                "root, namespaces and {tools:?} are needed"
            );
            eprintln!("passed over: no root, no namespaces, or not all of {tools:?}");
            return None;
        }
        net.join(ATTACKERS, "203.0.113.2/24", "203.0.113.1/24");
        net.join(VICTIMS, "198.51.100.80/24", "198.51.100.1/24");
        net.must(ATTACKERS, "ip addr add 192.168.7.2/24 dev e0");
        net.must(ROUTERS, "ip addr add 192.168.7.1/24 dev ra");
        net.must(ROUTERS, "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.ra.rp_filter=0 net.netfilter.nf_conntrack_acct=1");
        // What is for nobody we know goes nowhere, but through the forward chain.
        net.must(ROUTERS, "ip link add sink type veth peer name drain");
        net.must(ROUTERS, "ip link set sink up arp off");
        net.must(ROUTERS, "ip link set drain up");
        net.must(ROUTERS, "ip route add default dev sink");
        net.must(ROUTERS, "nft add table ip t");
        net.must(
            ROUTERS,
            "nft add chain ip t f { type filter hook forward priority 0; }",
        );
        net.must(ROUTERS, "nft add rule ip t f ct state new counter");
        Some(net)
    }

    fn join(&self, who: char, inner: &str, outer: &str) {
        let far = format!("r{who}");
        let (space, router) = (self.space(who), self.space(ROUTERS));
        let made = Command::new("ip")
            .args([
                "link", "add", "e0", "netns", &space, "type", "veth", "peer", "name", &far,
                "netns", &router,
            ])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        self.must(who, &format!("ip addr add {inner} dev e0"));
        self.must(ROUTERS, &format!("ip addr add {outer} dev {far}"));
        self.must(who, "ip link set lo up");
        self.must(who, "ip link set e0 up");
        self.must(ROUTERS, &format!("ip link set {far} up"));
        let gateway = outer.split('/').next().unwrap();
        self.must(who, &format!("ip route add default via {gateway}"));
    }

    fn space(&self, who: char) -> String {
        format!("{}{who}", self.name)
    }

    /// Runs a line of words in one of them.
    pub(crate) fn run(&self, who: char, line: &str) -> Output {
        let words = line.split_whitespace();
        Command::new("ip")
            .args(["netns", "exec", &self.space(who)])
            .args(words)
            .output()
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn must(&self, who: char, line: &str) -> String {
        let output = self.run(who, line);
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Floods for some seconds.
    pub(crate) fn hping(&self, secs: u32, options: &str) {
        self.run(ATTACKERS, &format!("timeout {secs} hping3 -q {options}"));
    }

    /// Runs a line in the background, until it ends or the value does.
    pub(crate) fn start(&self, who: char, line: &str) -> Started {
        let words = line.split_whitespace();
        let child = Command::new("ip")
            .args(["netns", "exec", &self.space(who)])
            .args(words)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        Started(child.unwrap())
    }

    /// Does something in one of them, on a thread of its own.
    pub(crate) fn inside<T: Send>(&self, who: char, job: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.space(who))).unwrap();
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                job()
            });
            inside.join().unwrap()
        })
    }

    pub(crate) fn report(&self, options: &str) -> Value {
        let program = env!("CARGO_BIN_EXE_ipct");
        let out = self.must(
            ROUTERS,
            &format!("{program} report --kernel --json {options}"),
        );
        serde_json::from_str(&out).unwrap()
    }

    /// Entries that a dump shows.
    pub(crate) fn entries(&self) -> u64 {
        self.must(ROUTERS, "conntrack -L").lines().count() as u64
    }

    /// A service of the victim that answers each connection with a page and closes it.
    pub(crate) fn serve(&self, port: u16) {
        self.inside(VICTIMS, || {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
            thread::spawn(move || {
                for connection in listener.incoming().flatten() {
                    thread::spawn(move || answer(connection));
                }
            });
        });
    }

    /// Ordinary traffic: some fetch a page, some ping.
    pub(crate) fn background(&self, port: u16) {
        self.inside(ATTACKERS, || {
            for _ in 0..15 {
                let mut connection = TcpStream::connect((VICTIM, port)).unwrap();
                connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
                let mut page = Vec::new();
                connection.read_to_end(&mut page).unwrap();
                assert_eq!(page.len(), 20_000);
            }
        });
        self.must(ATTACKERS, &format!("ping -c 2 -i 0.2 -q {VICTIM}"));
    }
}

fn answer(mut connection: TcpStream) {
    let mut request = [0; 512];
    let _ = connection.set_read_timeout(Some(Duration::from_secs(60)));
    if connection.read(&mut request).is_ok_and(|read| read > 0) {
        let _ = connection.write_all(&[b'x'; 20_000]);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for who in [ATTACKERS, ROUTERS, VICTIMS] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.space(who)])
                .output();
        }
    }
}

/// A program in the background.
pub(crate) struct Started(std::process::Child);

impl Drop for Started {
    fn drop(&mut self) {
        // To be told is enough for all of them, and `timeout` tells its own program then; killed, it could not.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}
