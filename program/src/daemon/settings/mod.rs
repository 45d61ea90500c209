//! What the daemon is told: `/etc/ipct/ipct.conf`, with the command line on top.
//!
//! *Declared once.* Every key stands in the table below: section, name, type, default, whether a reload can
//! change it, and its documentation. The struct, the reader, the sample file and the manual page are made
//! from that. The knobs of section `[sysctl]` are the tracker's own declaration (`ip_conntrack::Knob`).
//!
//! *All or nothing.* A file is read and checked as a whole ([`read()`]) before anything is started or
//! changed: every complaint is told, each with line, key, value and what would be accepted, and if
//! there is one, nothing of the file takes effect.

mod account;
mod describe;
mod network;
mod read;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeValue;

pub(crate) use describe::{manual, sample};
pub(crate) use network::{Fate, Interfaces, Open, Pair};
pub(crate) use read::{Complaint, Overrides, read};
pub(crate) use values::{Device, Group, Level, Mask, Mode, Number, Queues, Speed, Target, User};

use super::rights::Account;
use crate::cli::Setting;
use values::Value;

/// Where the configuration is unless `--config` says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/etc/ipct/ipct.conf";

/// Where the control socket is unless the configuration says otherwise.
pub(crate) const DEFAULT_CONTROL: &str = "/run/ipct/control.sock";

/// When a changed value takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Takes {
    /// When the configuration is read again.
    Reload,
    /// When the daemon is started again.
    Restart,
}

/// The declaration of a key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    /// As it is written in the file.
    pub(crate) default: &'static str,
    pub(crate) accepts: fn() -> String,
    pub(crate) takes: Takes,
    pub(crate) doc: &'static [&'static str],
}

macro_rules! settings {
    ($($(#[doc = $about:literal])* $section:ident $struct:ident {
        $($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:literal, $takes:ident;)*
    })*) => {
        $($(#[doc = $about])*
        #[derive(Clone, PartialEq, Debug)]
        pub(crate) struct $struct {
            $($(#[doc = $doc])* pub(crate) $name: $type,)*
        })*

        /// A value for every key.
        #[derive(Clone, PartialEq, Debug)]
        pub(crate) struct Settings {
            $($(#[doc = $about])* pub(crate) $section: $struct,)*
            /// Knobs that the file or the command line sets, in the order in which they can be set.
            pub(crate) sysctl: Vec<Setting>,
        }

        /// Every section and what it is about, in the order of the sample file.
        pub(crate) const SECTIONS: &[(&str, &[&str])] = &[$((stringify!($section), &[$($about),*])),*];

        /// Every key, in the order of the sample file.
        pub(crate) const KEYS: &[Key] = &[$($(Key {
            section: stringify!($section),
            name: stringify!($name),
            default: $default,
            accepts: <$type as Value>::accepts,
            takes: Takes::$takes,
            doc: &[$($doc),*],
        }),*),*];

        impl Settings {
            /// Takes a value for a key. => `None` if there is no such key, or why it is not taken.
            fn put(&mut self, section: &str, key: &str, value: &DeValue<'_>) -> Option<Result<(), String>> {
                Some(match (section, key) {
                    $($((stringify!($section), stringify!($name)) => {
                        <$type as Value>::read(value).map(|value| self.$section.$name = value)
                    })*)*
                    _ => return None,
                })
            }

            /// The keys that have another value in `other`.
            pub(crate) fn changed(&self, other: &Settings) -> Vec<&'static Key> {
                let same = [$($(self.$section.$name == other.$section.$name),*),*];
                let keys = KEYS.iter().zip(same);
                keys.filter(|(_, same)| !same).map(|(key, _)| key).collect()
            }
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings {
                    $($section: $struct { $($name: values::default($default)),* },)*
                    sysctl: Vec::new(),
                }
            }
        }
    };
}

settings! {
    /// Threads, and where the packets come from.
    run Run {
        /// Threads that track, each with its own part of the table.
        workers: Number<1, 256> = "1", Restart;
        /// A capture whose packets are tracked; none if empty.
        replay: Option<PathBuf> = "\"\"", Restart;
        /// How fast the capture is replayed: 1 is its own pace, 10 ten times as fast, "max" without waiting.
        speed: Speed = "1", Restart;
        /// Whether the capture begins again when it is over. Time goes on.
        repeat: bool = "false", Restart;
        /// Queues of the kernel's whose packets are tracked, one worker each: "0", "0-3", or "" for none.
        queue: Option<Queues> = "\"\"", Restart;
        /// A TUN device: what is routed into it is tracked and comes out of it again. None if empty.
        tun: Option<Device> = "\"\"", Restart;
        /// Interfaces that are listened on, as in "eth0,eth1"; none if empty.
        tap: Interfaces = "\"\"", Restart;
        /// Two interfaces between which packets pass through the tracker, as in "eth0,eth1"; none if empty.
        bridge: Pair = "\"\"", Restart;
        /// Whether packets that are INVALID are dropped. If not, they pass, and rules may match on their mark.
        drop_invalid: bool = "false", Restart;
        /// Whom the daemon belongs to once all is open, as in "ipct" or "ipct:ipct"; nothing changes if empty. The
        /// directories of the state file and of the control socket must be that user's, and the socket is unless
        /// control.owner says otherwise.
        user: Option<Account> = "\"\"", Restart;
        /// Whether rights are given away that are not needed once all is open: capabilities, files, system calls.
        sandbox: bool = "true", Restart;
    }
    /// How the kernel's queues are used.
    queue Queue {
        /// Bits of the packet mark that carry state and direction, four neighbours or more, as in "0xf0000000";
        /// "0" leaves marks alone.
        mark_mask: Mask = "\"0xf0000000\"", Restart;
        /// Bits of the packet mark that take over those of the connection's mark.
        connmark_mask: Mask = "\"0\"", Restart;
        /// Whether packets pass unseen for which a queue has no room. If not, they are dropped.
        fail_open: bool = "false", Restart;
        /// Packets that may wait in each queue.
        length: Number<1, 1_048_576> = "4096", Restart;
        /// Bytes of each packet that are looked at: enough for its headers. The checksum of a longer one is not
        /// checked.
        copy: Number<64, 65_535> = "512", Restart;
        /// Bytes of each queue's socket buffer.
        buffer: Number<65_536, 1_073_741_824> = "8388608", Restart;
    }
    /// Listening on interfaces.
    tap Tap {
        /// Bytes taken of each packet. Headers have to fit; a checksum is verified only of packets that fit
        /// whole.
        snap: Number<128, 65_535> = "2048", Restart;
        /// Megabytes of memory, for each worker, in which packets wait for it.
        ring: Number<1, 4096> = "64", Restart;
        /// Whether the interfaces receive packets for others, too.
        promiscuous: bool = "true", Restart;
    }
    /// What may pass between two interfaces.
    bridge Bridge {
        /// From where connections may be opened: "both" sides, the "first" interface's, the "second"'s, or
        /// "neither".
        open: Open = "\"both\"", Restart;
        /// Packets that belong to no connection and open none (INVALID): "pass" or "drop", as they are in any case
        /// with run.drop_invalid.
        invalid: Fate = "\"pass\"", Restart;
        /// Packets that would open a connection and find the table full: "drop", or "pass" untracked.
        full: Fate = "\"drop\"", Restart;
        /// The most entries that one source address may have; 0 is no limit.
        per_source: Number<0, 4_294_967_295> = "0", Restart;
    }
    /// The socket over which the daemon is asked.
    control Control {
        /// Where the socket is made. Its directory must be there.
        path: PathBuf = "\"/run/ipct/control.sock\"", Restart;
        /// Who owns the socket: a name or a number.
        owner: User = "\"root\"", Reload;
        /// The group that may read over the socket: a name or a number. Changing anything takes root or the
        /// daemon's own user.
        group: Group = "\"root\"", Reload;
        /// The permissions of the socket, octal. Who may write to it may read the table.
        mode: Mode = "\"0660\"", Reload;
        /// Connections at a time. Eight more are kept for root.
        connections: Number<1, 4096> = "64", Reload;
        /// Seconds after which a connection is closed that asks nothing, does not finish a request, or does
        /// not take its answer. Listeners for events may be silent for ever.
        timeout: Number<1, 86_400> = "300", Reload;
        /// Bytes of events that wait for each listener; what does not fit is lost, and the listener is told.
        event_buffer: Number<4096, 1_073_741_824> = "1048576", Reload;
    }
    /// The file in which the table outlives the daemon.
    state State {
        /// Where the table is saved; nowhere if empty. Its directory must be there and be writable.
        path: Option<PathBuf> = "\"/var/lib/ipct/state\"", Restart;
        /// Seconds between two saves while it runs; 0 saves only at the end.
        interval: Number<0, 86_400> = "60", Reload;
    }
    /// What the daemon says, and where.
    log Log {
        /// How much: "error", "warn", "info", "debug" or "trace".
        level: Level = "\"info\"", Reload;
        /// "stderr", "journal", or "auto": the journal if that is where stderr goes.
        target: Target = "\"auto\"", Restart;
    }
    /// Numbers for Prometheus, over HTTP.
    metrics Metrics {
        /// The address and port on which GET /metrics is answered; none if empty. There is no password: whoever
        /// reaches it can read who is in the table.
        address: Option<SocketAddr> = "\"\"", Restart;
        /// Lines of each top list: sources, destinations, ports, prefixes. Each is a series while it is one of
        /// the first.
        top: Number<0, 100> = "10", Restart;
        /// Whether there are series by the names of node_exporter, too.
        node_exporter: bool = "false", Restart;
    }
    /// The files of /proc, made with FUSE.
    proc Proc {
        /// An empty directory on which they are mounted; nowhere if empty.
        mount: Option<PathBuf> = "\"\"", Restart;
    }
}
