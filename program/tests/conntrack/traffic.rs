//! A router between a client and a server, each in a namespace of its own, and real programs that talk
//! through it.
//!
//! The router translates (DNAT on port 8080, SNAT of what leaves for the server's web and name service), has the
//! FTP helper, marks and labels. What is compared is compared while nothing moves: the transfers are over, or stand
//! still.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::space::Space;

pub(crate) const SERVER: &str = "10.91.2.2";
const SERVER6: &str = "2001:db8:91:2::2";

/// What the router does with packets.
const RULES: &str = "
table inet t {
 ct helper ftp-std {
  type \"ftp\" protocol tcp;
 }
 chain pre {
  type filter hook prerouting priority -150; policy accept;
  tcp dport 21 ct helper set \"ftp-std\"
  ct state new udp dport 53 ct mark set 7
  udp dport 53 ct label set 1
 }
 chain forward {
  type filter hook forward priority 0; policy accept;
  ct state related,established accept
 }
}
table ip n {
 chain pre {
  type nat hook prerouting priority -100; policy accept;
  tcp dport 8080 dnat to 10.91.2.2:80
 }
 chain post {
  type nat hook postrouting priority 100; policy accept;
  udp dport 53 snat to 10.91.2.1
  tcp dport 80 snat to 10.91.2.1
 }
}
";

/// The three, and the servers.
pub(crate) struct Network {
    pub(crate) client: Space,
    pub(crate) router: Space,
    pub(crate) server: Space,
    pub(crate) folder: tempfile::TempDir,
    servers: Vec<Child>,
}

impl Network {
    /// Builds it and starts the servers, or `None` where the test may be passed over.
    pub(crate) fn new() -> Option<Network> {
        let (client, router, server) = (Space::new()?, Space::new()?, Space::new()?);
        let network = Network {
            client,
            router,
            server,
            folder: tempfile::tempdir().unwrap(),
            servers: Vec::new(),
        };
        network.wire();
        let mut network = network;
        network.serve();
        Some(network)
    }

    fn wire(&self) {
        let ends = [(&self.client, 1), (&self.server, 2)];
        for (space, n) in ends {
            let router = self.router.name();
            space.ip(&format!(
                "link add out type veth peer name to{n} netns {router}"
            ));
            for (space, device, host) in [(space, "out", 2), (&self.router, &*format!("to{n}"), 1)]
            {
                space.ip(&format!("addr add 10.91.{n}.{host}/24 dev {device}"));
                space.ip(&format!(
                    "addr add 2001:db8:91:{n}::{host}/64 dev {device} nodad"
                ));
                space.ip(&format!("link set {device} up"));
            }
            space.ip(&format!("route add default via 10.91.{n}.1"));
            space.ip(&format!("-6 route add default via 2001:db8:91:{n}::1"));
        }
        self.router.sysctl(&[
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.netfilter.nf_conntrack_acct=1",
            "net.netfilter.nf_conntrack_timestamp=1",
            "net.netfilter.nf_conntrack_events=1",
        ]);
        let said = self.router.feed("nft", &["-f", "-"], RULES);
        assert_eq!(said.status, 0, "{}", said.err);
    }

    fn serve(&mut self) {
        let folder = self.folder.path().to_str().unwrap().to_owned();
        for name in ["www", "ftp"] {
            fs::create_dir(format!("{folder}/{name}")).unwrap();
            fs::write(format!("{folder}/{name}/file"), "what is served\n").unwrap();
        }
        self.server.must("chmod", &["-R", "a+rX,go-w", &folder]);
        let nginx = format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors; user root;\n\
             events {{}}\n\
             http {{ access_log off; server {{ listen 80; listen [::]:80; root {folder}/www; }} }}\n"
        );
        let vsftpd = format!(
            "listen=YES\nanonymous_enable=YES\nanon_root={folder}/ftp\nbackground=NO\n\
             seccomp_sandbox=NO\nrun_as_launching_user=YES\n"
        );
        let (web, ftp) = (
            format!("{folder}/nginx.conf"),
            format!("{folder}/vsftpd.conf"),
        );
        fs::write(&web, nginx).unwrap();
        fs::write(&ftp, vsftpd).unwrap();
        let names = format!("--listen-address={SERVER}");
        self.start("nginx", &["-c", &web]);
        self.start("vsftpd", &[&ftp]);
        let names = [
            "-k",
            "-C",
            "/dev/null",
            "-R",
            "--bind-interfaces",
            "-A/x.test/1.2.3.4",
            &names,
        ];
        self.start("dnsmasq", &names);
        self.wait_for(80);
        self.wait_for(21);
    }

    fn start(&mut self, program: &str, arguments: &[&str]) {
        let mut command = self.server.command(program, arguments);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.servers.push(child.spawn().unwrap());
    }

    /// Waits until the server listens on a port, without going through the router.
    fn wait_for(&self, port: u16) {
        let end = Instant::now() + Duration::from_secs(10);
        let listens = || TcpStream::connect((SERVER, port)).is_ok();
        while !self.server.inside(listens) {
            assert!(
                Instant::now() < end,
                "nobody listens on port {port}: is its server installed?"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Web pages over both versions of IP and through DNAT, a name, pings, an FTP transfer.
    pub(crate) fn talk(&self) {
        let urls = [
            format!("http://{SERVER}/file"),
            "http://10.99.9.9:8080/file".to_owned(),
            format!("http://[{SERVER6}]/file"),
            format!("ftp://{SERVER}/file"),
        ];
        for url in &urls {
            let got = self.client.must("curl", &["-sS", "--max-time", "10", url]);
            assert_eq!(got, "what is served\n", "{url}");
        }
        let active = format!("ftp://{SERVER}/file");
        self.client
            .must("curl", &["-sS", "--max-time", "10", "-P", "-", &active]);
        let server = format!("@{SERVER}");
        let name = self
            .client
            .must("dig", &["+tries=2", "+time=3", "+short", &server, "x.test"]);
        assert_eq!(name, "1.2.3.4\n");
        for address in [SERVER, SERVER6] {
            self.client.must("ping", &["-q", "-c1", "-W3", address]);
        }
    }

    /// An FTP session that announced a passive transfer and does not begin it: an expectation, as long as
    /// the session is kept.
    pub(crate) fn expecting(&self) -> TcpStream {
        self.client.inside(|| {
            let mut stream = TcpStream::connect((SERVER, 21)).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let mut answers = BufReader::new(stream.try_clone().unwrap());
            let mut answer = String::new();
            answers.read_line(&mut answer).unwrap();
            for line in ["USER anonymous", "PASS x", "PASV"] {
                write!(stream, "{line}\r\n").unwrap();
                answer.clear();
                answers.read_line(&mut answer).unwrap();
            }
            assert!(answer.starts_with("227 "), "{answer}");
            stream
        })
    }

    /// Waits until connections that end do not change any more: the last segments are underway when a
    /// program has ended.
    pub(crate) fn settle(&self) {
        let list = || self.router.must(crate::run::THEIRS, &["-L", "-o", "id"]);
        let counted = |text: &str| -> Vec<String> {
            let fields = text.split_whitespace().filter(|word| word.contains('='));
            fields
                .filter(|word| !word.starts_with("delta-time="))
                .map(str::to_owned)
                .collect()
        };
        let mut before = counted(&list());
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(200));
            let now = counted(&list());
            if now == before {
                return;
            }
            before = now;
        }
        panic!("the table does not come to rest");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // `ip netns exec` becomes the program, so this ends the servers themselves.
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
