//! How the router comes to be: namespaces, devices, settings, rules.

use std::fs;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::netlink::{ACK, Message, Netlink};
use super::queue::let_all_wait;
use super::{CLASSED, PASSED, TAKEN};
use crate::rule::Rule;

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

/// What is said of each packet, and the rules that packets ask for.
fn rules() -> String {
    let said = "table inet lab {
 chain taken { type filter hook prerouting priority -450; policy accept; log group 1; }
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
";
    said.to_owned() + &Rule::chains() + "}"
}

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

/// Devices, settings and rules in the namespace of the calling thread; returns the device that packets
/// are written to and the one that swallows them.
pub(super) fn build() -> Result<(SyncDevice, SyncDevice), String> {
    let device = tun("in")?;
    let sink = tun("out")?;
    for (name, value) in SETTINGS {
        set(name, value)?;
    }
    run("ip", &["route", "add", "default", "dev", "out"], "")?;
    run("ip", &["-6", "route", "add", "default", "dev", "out"], "")?;
    run("nft", &["-f", "-"], LAST)?;
    run("nft", &["-f", "-"], &rules())?;
    let_all_wait("lab", "wait").or_else(|error| {
        let words = ["add", "rule", "inet", "lab", "wait", "queue", "to", "0"];
        run("nft", &words, "").map_err(|why| format!("no NFQUEUE: {error}; {why}"))
    })?;
    Ok((device, sink))
}

/// Puts the calling thread into a network namespace of its own.
pub(crate) fn enter() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespace: {error}"))
}

pub(super) fn tun(name: &str) -> Result<SyncDevice, String> {
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
pub(super) fn log() -> io::Result<Netlink> {
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
