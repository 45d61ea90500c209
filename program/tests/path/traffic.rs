//! Traffic of real programs.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use crate::raw::Ends;
use crate::road::{NOBODY, Road, SERVER};

/// Servers, which end with the value.
pub(crate) struct Servers {
    children: Vec<Child>,
    _folder: tempfile::TempDir,
}

impl Servers {
    /// nginx with a file of a megabyte, a name server, and iperf3.
    pub(crate) fn start(road: &Road) -> Servers {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        fs::write(folder.path().join("file"), vec![b'x'; 1 << 20]).unwrap();
        let configuration = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error; events {{}}
             http {{ access_log off; server {{ listen 80; listen [::]:80; root {path}; }} }}"
        );
        fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        let nginx = ["-c", &format!("{path}/nginx.conf")];
        let dnsmasq = [
            "-k",
            "-C",
            "/dev/null",
            "-h",
            "-R",
            "-u",
            "root",
            "--address=/x.test/10.9.9.9",
        ];
        let children = vec![
            road.server.start("nginx", &nginx),
            road.server.start("dnsmasq", &dnsmasq),
            road.server.start("iperf3", &["-s"]),
        ];
        sleep(Duration::from_millis(500));
        Servers {
            children,
            _folder: folder,
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Everything once: TCP, UDP and ICMP, of both families, in fragments, with errors, and without an answer.
pub(crate) fn all_kinds(road: &Road) {
    let client = &road.client;
    // Neighbours get to know each other.
    for server in [SERVER, "fd03::2"] {
        client.must("ping", &["-q", "-c2", "-i0.2", "-W3", server]);
    }
    let size = [
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{size_download}",
        "-m",
        "20",
    ];
    for url in ["http://10.3.0.2/file", "http://[fd03::2]/file"] {
        let said = client.must("curl", &[&size[..], &[url]].concat());
        assert_eq!(said, (1 << 20).to_string(), "{url}");
    }
    for server in ["@10.3.0.2", "@10.3.0.3", "@10.3.0.4", "@fd03::2"] {
        for more in ["+notcp", "+tcp"] {
            let said = client.must(
                "dig",
                &["+short", "+time=3", "+tries=1", more, server, "x.test"],
            );
            assert_eq!(said, "10.9.9.9\n", "{server} {more}");
        }
    }
    for server in [SERVER, "10.3.0.5", "fd03::2"] {
        for size in ["56", "4000"] {
            client.must("ping", &["-q", "-c2", "-i0.2", "-W3", "-s", size, server]);
        }
    }
    for server in ["@10.3.0.5", "@10.3.0.6", "@fd03::2"] {
        // Refused: an ICMP error comes back.
        let said = client.run(
            "dig",
            &["+time=1", "+tries=1", "-p", "5353", server, "x.test"],
        );
        assert_ne!(said.status, 0, "{server}");
    }
    // Not more than all on the way can take: what is lost between two trackers, only one of them has seen.
    client.must("iperf3", &["-c", SERVER, "-t", "1", "-b", "100M"]);
    let ends = Ends {
        client: (client, Ipv4Addr::new(10, 1, 0, 2)),
        server: (&road.server, Ipv4Addr::new(10, 3, 0, 2)),
    };
    ends.associate();
    ends.tunnel();
    let said = client.run("curl", &["-s", "-m", "1", &format!("http://{NOBODY}/")]);
    assert_ne!(said.status, 0);
}
