//! What the daemon's own code leaves of a thread's rights, tried out from inside. Each test gives rights away on a
//! thread of its own, which has all capabilities of root where the test is about something else: so what is refused
//! is refused by what the test is about.
//!
//! Needs root; is passed over without, unless `IP_CONNTRACK_REQUIRE_KERNEL` is set.

#![cfg(target_os = "linux")]
// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../src/daemon/rights/mod.rs"]
#[allow(dead_code, reason = "the daemon uses the rest")]
mod rights;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use ip_conntrack_link::Interface;
use ip_conntrack_link::sys::bpf::{Instruction, Program};
use rights::{Account, Calls, Place, Plan, keep_only, keep_only_here};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CapabilitySet, capabilities};

/// Root, or no test.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let required = std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some();
    assert!(is_root || !required, "root is needed");
    is_root
}

/// Nothing is changed but what a test asks for.
fn everything() -> Plan {
    Plan {
        user: None,
        sandbox: true,
        capabilities: CapabilitySet::all(),
        writes: Vec::new(),
        clears: Vec::new(),
        reads: Vec::new(),
        calls: Calls::default(),
    }
}

/// Does something with the rights that a plan leaves.
fn with<T: Send + 'static>(plan: Plan, job: impl FnOnce() -> T + Send + 'static) -> T {
    let restricted = move || {
        keep_only_here(&plan).unwrap();
        job()
    };
    thread::spawn(restricted).join().unwrap()
}

fn place(directory: &Path) -> Place {
    Place {
        directory: directory.to_owned(),
        key: "state.path",
    }
}

fn refused<T>(tried: io::Result<T>) -> bool {
    tried.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[test]
fn files_are_closed_but_those_of_its_own() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["state", "run", "etc", "else"] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("old"), "old").unwrap();
    }
    std::os::unix::fs::symlink(path("else/old"), path("etc/link")).unwrap();
    let plan = Plan {
        writes: vec![place(&path("state"))],
        clears: vec![place(&path("run"))],
        reads: vec![path("etc"), "/etc/passwd".into(), path("nowhere")],
        ..everything()
    };
    let root = folder.path().to_owned();
    with(plan, move || {
        let path = |name: &str| root.join(name);
        // The state file: beside the old one, to the disk, in its place.
        fs::write(path("state/new"), "new").unwrap();
        fs::rename(path("state/new"), path("state/old")).unwrap();
        File::open(path("state")).unwrap().sync_all().unwrap();
        assert_eq!(fs::read_to_string(path("state/old")).unwrap(), "new");
        // The socket is taken away, and that is all.
        assert!(refused(fs::read(path("run/old"))));
        assert!(refused(File::create(path("run/new"))));
        fs::remove_file(path("run/old")).unwrap();
        // The configuration is read, and not written; a link does not lead further.
        assert_eq!(fs::read_to_string(path("etc/old")).unwrap(), "old");
        assert!(refused(fs::write(path("etc/old"), "mine")));
        assert!(refused(fs::read(path("etc/link"))));
        fs::read("/etc/passwd").unwrap();
        // Everything else, though root may.
        for other in [
            path("else/old"),
            "/etc/shadow".into(),
            "/proc/self/status".into(),
        ] {
            assert!(refused(File::open(&other)), "{}", other.display());
        }
        assert!(refused(File::create(path("else/new"))));
        assert!(refused(fs::remove_file(path("else/old"))));
        assert!(refused(fs::read_dir(path("else"))));
        assert!(refused(fs::rename(path("else/old"), path("state/stolen"))));
        // A thread that is made later can do no more.
        let later = thread::spawn(move || refused(File::open(root.join("else/old"))));
        assert!(later.join().unwrap());
    });
    assert_eq!(fs::read_to_string(path("else/old")).unwrap(), "old");
}

#[test]
fn no_socket_is_opened_but_unix_ones() {
    if !is_root() {
        return;
    }
    let families = [
        AddressFamily::PACKET,
        AddressFamily::from_raw(44),
        AddressFamily::NETLINK,
        AddressFamily::INET,
        AddressFamily::INET6,
    ];
    let kinds = [SocketType::RAW, SocketType::DGRAM, SocketType::STREAM];
    let open = |family, kind| socket(family, kind, None).map(drop);
    // Without the restrictions, root opens the first of them.
    open(families[0], kinds[0]).unwrap();
    with(everything(), move || {
        for family in families {
            for kind in kinds {
                assert_eq!(open(family, kind), Err(Errno::PERM), "{family:?} {kind:?}");
            }
        }
        open(AddressFamily::UNIX, SocketType::DGRAM).unwrap();
    });
}

#[test]
fn nothing_is_executed_traced_mounted_or_loaded() {
    if !is_root() {
        return;
    }
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let process = Pid::from_child(&other);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    with(everything(), move || {
        assert!(refused(
            Command::new("/bin/true").stdin(Stdio::null()).spawn()
        ));
        assert_eq!(nix::sys::ptrace::traceme(), Err(nix::errno::Errno::EPERM));
        let tmpfs = mount("none", &place, "tmpfs", MountFlags::empty(), None);
        assert_eq!(tmpfs, Err(Errno::PERM));
        assert_eq!(unmount(&place, UnmountFlags::DETACH), Err(Errno::PERM));
        let space = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER);
        assert_eq!(space, Err(nix::errno::Errno::EPERM));
        let unload = nix::kmod::delete_module(c"none", nix::kmod::DeleteModuleFlags::empty());
        assert_eq!(unload, Err(nix::errno::Errno::EPERM));
        assert!(refused(Program::socket_filter(&ANSWER)));
        let memory = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::empty());
        assert_eq!(memory.map(drop), Err(Errno::PERM));
        assert_eq!(kill_process(process, Signal::KILL), Err(Errno::PERM));
        let user = rustix::process::Uid::from_raw(1);
        let change = rustix::thread::set_thread_res_uid(user, user, user);
        assert_eq!(change, Err(Errno::PERM));
        // Threads can be made, and the log's and systemd's sockets.
        thread::spawn(|| ()).join().unwrap();
    });
    assert!(other.try_wait().unwrap().is_none(), "it was not killed");
    other.kill().unwrap();
    other.wait().unwrap();
    // The same calls work without.
    Command::new("/bin/true").status().unwrap();
    Program::socket_filter(&ANSWER).unwrap();
}

/// A filter that takes nothing.
const ANSWER: [Instruction; 2] = [
    Instruction {
        code: 0xb7,
        registers: 0,
        offset: 0,
        immediate: 0,
    },
    Instruction {
        code: 0x95,
        registers: 0,
        offset: 0,
        immediate: 0,
    },
];

#[test]
fn what_a_mode_needs_remains() {
    if !is_root() {
        return;
    }
    let tap = Plan {
        capabilities: CapabilitySet::BPF,
        calls: Calls {
            interfaces: true,
            programs: true,
            unmount: false,
        },
        ..everything()
    };
    with(tap, || {
        assert_eq!(capabilities(None).unwrap().effective, CapabilitySet::BPF);
        Program::socket_filter(&ANSWER).unwrap();
        assert!(refused(Program::xdp(&ANSWER)), "CAP_NET_ADMIN is gone");
        assert_eq!(Interface::named("lo").unwrap().name, "lo");
    });
    with(everything(), || {
        assert!(refused(Interface::named("lo")));
    });
}

#[test]
fn a_user_has_its_own_and_nothing_of_roots() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (own, roots) = (folder.path().join("own"), folder.path().join("roots"));
    for directory in [&own, &roots] {
        fs::create_dir(directory).unwrap();
    }
    chown(&own, Some(4711), Some(4712)).unwrap();
    let account = Account {
        name: "somebody".to_owned(),
        user: 4711,
        group: 4712,
    };
    let plan = Plan {
        user: Some(account),
        capabilities: CapabilitySet::NET_ADMIN,
        writes: vec![place(&own)],
        ..everything()
    };
    let file = own.join("state");
    with(plan.clone(), move || {
        fs::write(&file, "mine").unwrap();
        let about = fs::metadata(&file).unwrap();
        assert_eq!((about.uid(), about.gid()), (4711, 4712));
        let groups = rustix::process::getgroups().unwrap();
        assert_eq!(
            groups
                .iter()
                .map(|group| group.as_raw())
                .collect::<Vec<_>>(),
            [4712]
        );
        // It owns nothing that it would give away.
        assert_eq!(
            capabilities(None).unwrap().effective,
            CapabilitySet::NET_ADMIN
        );
    });
    // A directory that is not its own is told before anything goes wrong.
    let plan = Plan {
        writes: vec![place(&roots)],
        ..plan
    };
    let said = thread::spawn(move || keep_only_here(&plan).unwrap_err())
        .join()
        .unwrap();
    for words in [
        roots.to_str().unwrap(),
        "(state.path), and as somebody may not",
        "it belongs to user 0 and group 0, with mode 0755",
        &format!("chown 4711:4712 {}", roots.display()),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_process_of_several_threads_is_refused() {
    // The test's own thread is a second one.
    let said = keep_only(&everything()).unwrap_err();
    assert!(said.contains("before threads are started"), "{said}");
}
