//! A client, a router of the kernel's that tracks, and a server, with a place between client and router.
//!
//! ```text
//! client eth0 ── left [between] right ── client-side [router] server-side ── eth0 server
//! ```
//!
//! What [`Path::talk`] does ends with everything at rest, so the tables can be compared.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::raw::Ends;
use crate::space::Space;

pub(crate) const CLIENT: &str = "10.93.1.2";
pub(crate) const SERVER: &str = "10.93.2.2";
const SERVER6: &str = "2001:db8:93:2::2";

/// Has the kernel track.
const RULES: &str = "table inet t { chain forward { type filter hook forward priority 0; \
                     ct state established,related accept; }; }";

pub(crate) struct Path {
    pub(crate) client: Space,
    pub(crate) between: Space,
    pub(crate) router: Space,
    pub(crate) server: Space,
    folder: tempfile::TempDir,
    servers: Vec<Child>,
}

impl Path {
    /// Builds it and starts the servers, or `None` where the test may be passed over. Nothing is between client
    /// and router yet.
    pub(crate) fn new() -> Option<Path> {
        let mut path = Path {
            client: Space::new()?,
            between: Space::new()?,
            router: Space::new()?,
            server: Space::new()?,
            folder: tempfile::tempdir().unwrap(),
            servers: Vec::new(),
        };
        path.wire();
        path.serve();
        Some(path)
    }

    fn wire(&self) {
        let Path {
            client,
            between,
            router,
            server,
            ..
        } = self;
        join((client, "eth0"), (between, "left"));
        join((between, "right"), (router, "client-side"));
        join((router, "server-side"), (server, "eth0"));
        for (space, device, net, host) in [
            (client, "eth0", 1, 2),
            (router, "client-side", 1, 1),
            (router, "server-side", 2, 1),
            (server, "eth0", 2, 2),
        ] {
            space.ip(&format!("addr add 10.93.{net}.{host}/24 dev {device}"));
            space.ip(&format!(
                "addr add 2001:db8:93:{net}::{host}/64 dev {device} nodad"
            ));
        }
        // With an address of the link, from which the router asks for neighbours.
        router.ip("addr add fe80::1/64 dev client-side nodad");
        router.ip("addr add fe80::1/64 dev server-side nodad");
        for (space, net) in [(client, 1), (server, 2)] {
            space.ip(&format!("route add default via 10.93.{net}.1"));
            space.ip(&format!("-6 route add default via 2001:db8:93:{net}::1"));
        }
        router.sysctl(&[
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.netfilter.nf_conntrack_acct=1",
        ]);
        assert_eq!(router.feed("nft", &["-f", "-"], RULES).status, 0);
    }

    /// The kernel's own bridge between client and router.
    pub(crate) fn bridge_by_kernel(&self) {
        for line in [
            "link add br0 type bridge",
            "link set br0 addrgenmode none",
            "link set left master br0",
            "link set right master br0",
            "link set br0 up",
        ] {
            self.between.ip(line);
        }
    }

    fn serve(&mut self) {
        let folder = self.folder.path().to_str().unwrap().to_owned();
        fs::create_dir(format!("{folder}/www")).unwrap();
        fs::write(format!("{folder}/www/file"), "what is served\n").unwrap();
        self.server.must("chmod", &["-R", "a+rX,go-w", &folder]);
        let nginx = format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors; user root;\nevents {{}}\n\
             http {{ access_log off; server {{ listen 80; listen [::]:80; root {folder}/www; }} }}\n"
        );
        let web = format!("{folder}/nginx.conf");
        fs::write(&web, nginx).unwrap();
        self.start("nginx", &["-c", &web]);
        let address = format!("--listen-address={SERVER}");
        let names = [
            "-k",
            "-C",
            "/dev/null",
            "-R",
            "--bind-interfaces",
            "-A/x.test/1.2.3.4",
            &address,
        ];
        self.start("dnsmasq", &names);
        self.start("iperf3", &["-s"]);
        self.wait_for(80);
        self.wait_for(5201);
    }

    /// Has the web server serve a file of so many bytes, `/large`.
    pub(crate) fn serve_large(&self, bytes: usize) {
        fs::write(self.folder.path().join("www/large"), vec![b'x'; bytes]).unwrap();
    }

    fn start(&mut self, program: &str, arguments: &[&str]) {
        let mut command = self.server.command(program, arguments);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.servers.push(child.spawn().unwrap());
    }

    fn wait_for(&self, port: u16) {
        let end = Instant::now() + Duration::from_secs(10);
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        while !self.server.inside(listens) {
            assert!(
                Instant::now() < end,
                "nobody listens on port {port}: is its server installed?"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A web page over both versions of IP. => whether it came.
    pub(crate) fn fetches(&self, address: &str) -> bool {
        let url = format!("http://{address}/file");
        let got = self.client.run("curl", &["-sS", "--max-time", "3", &url]);
        got.out == "what is served\n"
    }

    /// Web pages, a name, pings, a path that ends, and transfers by TCP and UDP.
    pub(crate) fn talk(&self) {
        for address in [SERVER, &format!("[{SERVER6}]")] {
            assert!(self.fetches(address), "{address}");
        }
        let server = format!("@{SERVER}");
        let name = self
            .client
            .must("dig", &["+tries=2", "+time=3", "+short", &server, "x.test"]);
        assert_eq!(name, "1.2.3.4\n");
        for address in [SERVER, SERVER6] {
            self.client
                .must("ping", &["-q", "-c2", "-i0.2", "-W3", address]);
        }
        // Nobody is on that port: an ICMP error about UDP.
        let nobody = ["-c", "echo x >/dev/udp/10.93.2.2/9"];
        self.client.must("bash", &nobody);
        self.client
            .must("iperf3", &["-c", SERVER, "-t", "1", "-b", "20M"]);
        self.client
            .must("iperf3", &["-u", "-c", SERVER, "-t", "1", "-b", "5M"]);
        let address = |text: &str| text.parse().unwrap();
        let ends = Ends {
            client: (&self.client, address(CLIENT)),
            server: (&self.server, address(SERVER)),
        };
        ends.associate();
        ends.tunnel();
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// A pair of interfaces that are up and say nothing by themselves.
fn join((one, here): (&Space, &str), (other, there): (&Space, &str)) {
    one.ip(&format!(
        "link add {here} type veth peer name {there} netns {}",
        other.name()
    ));
    for (space, device) in [(one, here), (other, there)] {
        space.ip(&format!("link set {device} addrgenmode none"));
        // What is on the wire is what was counted: whole frames, with their checksums.
        space.must(
            "ethtool",
            &[
                "-K", device, "tx", "off", "gso", "off", "tso", "off", "gro", "off",
            ],
        );
        space.ip(&format!("link set {device} up"));
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
