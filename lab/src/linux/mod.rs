//! A router of our own inside the running kernel: a network namespace, two TUN devices, a rule set
//! that says what connection tracking made of each packet.
//!
//! *Set-up.* A namespace for this thread only, so nothing is left when the thread or process ends,
//! however it ends. Without root rights that takes a user namespace around it ([`prepare`]).
//! Packets are written to the device `in`; a default route leads to the device `out`, which drops
//! everything it is sent. Writing to a TUN device runs the whole way through the kernel before it
//! returns.
//!
//! *What comes back*, over netlink: log messages from four places of the rule set (seen by the IP
//! layer; classed; forwarded; delivered), events, and whole entries on request.

mod netlink;
mod table;

use std::fs;
use std::io;
use std::io::Write;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::entry::{Ends, Entry};
use netlink::{ACK, Attributes, Message, Netlink};
pub(crate) use table::Table;
pub use table::{Event, EventKind};

/// What the kernel did with one packet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The IP layer handed it to netfilter.
    pub taken: bool,
    /// Class in lower case, and direction.
    pub class: Option<(String, Option<&'static str>)>,
    /// It was forwarded or delivered.
    pub passed: bool,
    /// What happened to the table.
    pub events: Vec<Event>,
    /// Some of that, or of the rest, was lost on the way.
    pub lost: bool,
}

/// The router.
pub struct Linux {
    device: SyncDevice,
    _sink: SyncDevice,
    log: Netlink,
    listener: Netlink,
    table: Table,
    is_host: bool,
}

/// The router's own address, if it has one.
const OWN_ADDRESS: &str = "10.99.0.1/32";

/// Log groups of the rule set.
const TAKEN: u16 = 1;
const CLASSED: u16 = 2;
const PASSED: u16 = 3;

/// Chains at the last priority are registered before any rule mentions conntrack: of two hooks of
/// the same priority the later one runs first, so these run after entries are confirmed. What the
/// kernel itself says about multicast groups seems to come in on the device that it goes out on.
const LAST: &str = "table inet lab {
 chain forwarded { type filter hook postrouting priority 2147483647; policy accept; iifname \"in\" oifname \"out\" log group 3; }
 chain delivered { type filter hook input priority 2147483647; policy accept;
  iifname \"in\" meta nfproto ipv4 log group 3
  iifname \"in\" meta nfproto ipv6 ip6 daddr != ff00::/8 log group 3
 }
}";

const RULES: &str = "table inet lab {
 chain taken { type filter hook prerouting priority -450; policy accept; log group 1; }
 chain raw { type filter hook prerouting priority -300; policy accept;
  ip dscp 1 notrack
  ip dscp 5 ct zone set 5
  ip dscp 6 ct original zone set 6
  ip6 dscp 1 notrack
  ip6 dscp 5 ct zone set 5
  ip6 dscp 6 ct original zone set 6
 }
 chain classed { type filter hook prerouting priority -150; policy accept;
  ct state invalid log prefix \"invalid\" group 2
  ct state untracked log prefix \"untracked\" group 2
  ct state new log prefix \"new\" group 2
  ct state established ct direction original log prefix \"established orig\" group 2
  ct state established ct direction reply log prefix \"established reply\" group 2
  ct state related ct direction original log prefix \"related orig\" group 2
  ct state related ct direction reply log prefix \"related reply\" group 2
 }
 chain own { type filter hook output priority -300; policy accept; notrack; }
}";

/// `/proc/sys` settings of a router that forwards anything.
const SETTINGS: &[(&str, &str)] = &[
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/ip_early_demux", "0"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv6/conf/in/forwarding", "1"),
    ("net/ipv6/conf/out/forwarding", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/in/rp_filter", "0"),
    ("net/ipv4/conf/all/accept_local", "1"),
    ("net/ipv4/conf/in/accept_local", "1"),
    ("net/ipv4/conf/in/route_localnet", "1"),
    ("net/ipv4/conf/out/route_localnet", "1"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/in/send_redirects", "0"),
    ("net/ipv4/conf/all/accept_source_route", "1"),
    ("net/ipv4/conf/in/accept_source_route", "1"),
    ("net/ipv6/conf/in/accept_source_route", "1"),
    // Unfinished datagrams of one test must not stand in the way of the next.
    ("net/ipv4/ipfrag_high_thresh", "268435456"),
    ("net/netfilter/nf_conntrack_frag6_high_thresh", "268435456"),
    ("net/netfilter/nf_conntrack_acct", "1"),
    ("net/netfilter/nf_conntrack_events", "1"),
];

impl Linux {
    /// Sets everything up for the calling thread, which is in the new namespace from then on.
    ///
    /// # Errors
    ///
    /// What this system does not allow or does not have, in words.
    pub fn new() -> Result<Linux, String> {
        enter()?;
        let device = tun("in")?;
        let sink = tun("out")?;
        for (name, value) in SETTINGS {
            set(name, value)?;
        }
        run("ip", &["route", "add", "default", "dev", "out"], "")?;
        run("ip", &["-6", "route", "add", "default", "dev", "out"], "")?;
        run("nft", &["-f", "-"], LAST)?;
        run("nft", &["-f", "-"], RULES)?;
        let said = |what: &str| format!("{what} over netlink");
        Ok(Linux {
            device,
            _sink: sink,
            log: log().map_err(|error| format!("{}: {error}", said("the log")))?,
            listener: Netlink::listener(&[1, 2, 3])
                .map_err(|error| format!("{}: {error}", said("events")))?,
            is_host: false,
            table: Table::new().map_err(|error| format!("{}: {error}", said("the table")))?,
        })
    }

    /// Gives the router an address of its own, 10.99.0.1: what is sent there is delivered. Without one it
    /// takes no part in multicast, and forwards or drops whatever a capture holds.
    ///
    /// # Errors
    ///
    /// The address cannot be set.
    pub fn be_a_host(&mut self) -> Result<(), String> {
        if !std::mem::replace(&mut self.is_host, true) {
            run("ip", &["address", "add", OWN_ADDRESS, "dev", "in"], "")?;
        }
        Ok(())
    }

    /// Sets a knob of connection tracking, by its name without path.
    ///
    /// # Errors
    ///
    /// The kernel does not accept it.
    pub fn set(&self, name: &str, value: &str) -> Result<(), String> {
        set(&format!("net/netfilter/{name}"), value)
    }

    /// The value of a knob of connection tracking.
    ///
    /// # Errors
    ///
    /// The kernel does not have it.
    pub fn knob(&self, name: &str) -> Result<String, String> {
        let file = format!("/proc/sys/net/netfilter/{name}");
        let value = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        Ok(value.trim().to_owned())
    }

    /// Writes one IP packet and reads back what became of it.
    ///
    /// # Errors
    ///
    /// The device or a netlink socket failed.
    pub fn send(&mut self, packet: &[u8]) -> io::Result<Outcome> {
        self.device.send(packet)?;
        let mut outcome = Outcome::default();
        let whole_log = self.log.drain(|message| {
            let mut prefix = "";
            for (kind, value) in Attributes(message.attributes) {
                const PREFIX: u16 = 10;
                if kind == PREFIX {
                    prefix = std::str::from_utf8(value)
                        .unwrap_or("")
                        .trim_end_matches('\0');
                }
            }
            match message.group {
                TAKEN => outcome.taken = true,
                CLASSED => outcome.class = Some(class(prefix)),
                PASSED => outcome.passed = true,
                _ => {}
            }
        })?;
        let events = &mut outcome.events;
        let whole = self
            .listener
            .drain(|message| events.extend(table::event(message)))?;
        outcome.lost = !(whole && whole_log);
        Ok(outcome)
    }

    /// The entry with this original tuple.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn get(&mut self, original: Ends, zone: u16) -> io::Result<Option<Entry>> {
        self.table.get(original, zone)
    }

    /// Deletes the entry with this original tuple.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn delete(&mut self, original: Ends, zone: u16) -> io::Result<()> {
        self.table.delete(original, zone)
    }

    /// Empties the table, and forgets the events of that.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.table.flush()?;
        self.forget_events()
    }

    /// Reads away events that nobody is interested in.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn forget_events(&mut self) -> io::Result<()> {
        self.listener.drain(|_| ()).map(|_| ())
    }

    /// All entries.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn dump(&mut self) -> io::Result<Vec<Entry>> {
        self.table.dump()
    }

    /// Counters by the number of their ctnetlink attribute, summed over all CPUs.
    ///
    /// # Errors
    ///
    /// The netlink socket failed.
    pub fn stats(&mut self) -> io::Result<[u64; 16]> {
        self.table.stats()
    }
}

/// `CLASS [DIRECTION]`.
fn class(prefix: &str) -> (String, Option<&'static str>) {
    let (class, direction) = prefix.split_once(' ').unwrap_or((prefix, ""));
    let direction = match direction {
        "orig" => Some("orig"),
        "reply" => Some("reply"),
        _ => None,
    };
    (class.to_owned(), direction)
}

/// Gives a process without root rights a user namespace, in which it may have network namespaces. To
/// be called before there are threads; does nothing for root.
///
/// # Errors
///
/// This system does not allow it.
pub fn prepare() -> Result<(), String> {
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| format!("no user namespace: {error}"))?;
    // Without it, an unprivileged user may not write the group map.
    let _ = fs::write("/proc/self/setgroups", "deny");
    let map = |file: &str, id: String| {
        fs::write(file, id).map_err(|error| format!("no user namespace: {file}: {error}"))
    };
    map("/proc/self/uid_map", format!("0 {uid} 1"))?;
    map("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Puts the calling thread into a network namespace of its own.
pub(crate) fn enter() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespace: {error}"))
}

fn tun(name: &str) -> Result<SyncDevice, String> {
    let device = DeviceBuilder::new()
        .name(name)
        .layer(Layer::L3)
        .mtu(65_535)
        .enable(false)
        .build_sync()
        .map_err(|error| format!("no TUN device {name}: {error}"))?;
    // Without addresses of its own, the kernel sends nothing on its own account.
    run("ip", &["link", "set", name, "addrgenmode", "none"], "")?;
    run("ip", &["link", "set", name, "up"], "")?;
    Ok(device)
}

pub(crate) fn set(name: &str, value: &str) -> Result<(), String> {
    let file = format!("/proc/sys/{name}");
    fs::write(&file, value).map_err(|error| format!("{file}: {error}"))
}

pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> Result<(), String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program} (package iproute2 or nftables): {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input.as_bytes())
            .map_err(|error| format!("{program}: {error}"))?;
    }
    let output = child
        .wait_with_output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", arguments.join(" "), why.trim()))
}

/// A socket that gets the log messages of the three groups, each at once and without the packet.
fn log() -> io::Result<Netlink> {
    const CONFIG: u16 = 4 << 8 | 1;
    const COMMAND: u16 = 1;
    const MODE: u16 = 2;
    const THRESHOLD: u16 = 5;
    const BIND: u8 = 1;
    const COPY_META: u8 = 1;
    let mut netlink = Netlink::requester()?;
    for group in [TAKEN, CLASSED, PASSED] {
        let mut configure = |kind, payload: &[u8]| {
            let mut message = Message::new(CONFIG, ACK, 0, group);
            message.attribute(kind, payload);
            netlink.request(&mut message, |_| ())
        };
        configure(COMMAND, &[BIND])?;
        configure(MODE, &[0, 0, 0, 0, COPY_META, 0])?;
        configure(THRESHOLD, &1u32.to_be_bytes())?;
    }
    netlink.listen()?;
    Ok(netlink)
}
