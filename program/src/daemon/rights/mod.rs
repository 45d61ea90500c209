//! What the daemon may still do once it runs: what its mode needs, and nothing else.
//!
//! Bytes of strangers go through this process, so it is treated as one that may be taken over some day. Whatever
//! needs rights is done at the start: queues, rings, sockets, programs in the kernel, the mount, the saved table.
//! Then, before there is a second thread, [`keep_only`] gives the rest away, for good. It comes that early because
//! capabilities and Landlock belong to a thread, and a thread has what the one had that made it: there is no moment
//! at which one of them has more than the others.
//!
//! *In this order*, each step while it still may:
//! 1. capabilities that are not kept leave the bounding set, so that no program gives them back;
//! 2. the user and group change (`--user`), and no other groups are left;
//! 3. capabilities are dropped from the other sets ([`capabilities`]);
//! 4. it is looked whether the daemon can still write where it has to ([`places`]): not at its end, when it is too late;
//! 5. `no_new_privs`: executing a set-user-ID program gives nothing;
//! 6. Landlock: files, TCP, signals to others ([`files`]);
//! 7. seccomp: system calls that it never makes are refused with EPERM ([`calls`]).
//!
//! *What remains, and why.*
//!
//! | mode | capability | since |
//! |---|---|---|
//! | `--queue` | `CAP_NET_ADMIN` | the kernel asks for it with every verdict, not only when the queue is opened |
//! | `--tap` | `CAP_BPF` | an interface that comes back has another number, and the filter is made anew; only programs can be loaded, and without other capabilities only socket filters |
//! | root, without `--user` | `CAP_CHOWN` | a reload may give the control socket to another group |
//!
//! `--bridge`, `--tun` and `--replay` need none. With `CAP_NET_ADMIN` interfaces and rules could be changed over a
//! netlink socket or by `ioctl`; no socket but a Unix one can be opened any more, and in that mode `ioctl` knows no
//! interfaces. What cannot be refused is that the queue's own socket speaks to the rest of netfilter.
//!
//! *Root without capabilities* still owns root's files: Landlock keeps it from opening them, but the kernel has
//! nothing that keeps it from changing their modes. `--user` does.
//!
//! *The mount* of the `/proc` files can be taken away with `CAP_SYS_ADMIN` only, and under Landlock by nobody. That
//! is left to a process of its own, which does nothing else (`daemon/proc/helper.rs`).
//!
//! *A deny list.* The C library, FUSE, the log and threads make calls that change from version to version, and a
//! daemon that is refused one of them in the middle of the night helps nobody. So what is refused is named: all that
//! reaches beyond the process, or into parts of the kernel that it has no business with. Landlock and the dropped
//! capabilities do not depend on that list.
//!
//! *An older kernel* may lack Landlock or parts of it; that is said in the log and passed over. `--no-sandbox` leaves
//! all of it out but the change of the user.
//!
//! This module knows nothing of the daemon's settings: those are told as a [`Plan`] (`daemon/needs.rs`), so that its
//! tests can carry it out and then try.

mod calls;
mod capabilities;
mod files;
mod places;

use std::fs;
use std::path::PathBuf;

use rustix::thread::{CapabilitySet, set_no_new_privs};

pub(crate) use places::Place;

/// What is kept.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Whom the process belongs to from then on; `None` if that stays.
    pub(crate) user: Option<Account>,
    /// Whether anything but the user is changed.
    pub(crate) sandbox: bool,
    pub(crate) capabilities: CapabilitySet,
    /// Directories in which files are written.
    pub(crate) writes: Vec<Place>,
    /// Directories from which files are taken away.
    pub(crate) clears: Vec<Place>,
    /// Files and directories that are read.
    pub(crate) reads: Vec<PathBuf>,
    pub(crate) calls: Calls,
}

/// Calls that most modes do not need.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Calls {
    /// Asking about interfaces.
    pub(crate) interfaces: bool,
    /// Loading programs into the kernel.
    pub(crate) programs: bool,
    /// Taking mounts away.
    pub(crate) unmount: bool,
}

/// A user and a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// As it was named.
    pub(crate) name: String,
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// Gives away what is not kept, in the whole process, which must have one thread yet.
///
/// # Errors
///
/// In words: the user cannot be changed, a place cannot be written, or the kernel refuses what it has.
pub(crate) fn keep_only(plan: &Plan) -> Result<(), String> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(format!(
            "rights are given away before threads are started, and there are {threads}"
        ));
    }
    keep_only_here(plan)
}

/// The same for the calling thread, and those that it makes from then on.
///
/// # Errors
///
/// As there.
pub(crate) fn keep_only_here(plan: &Plan) -> Result<(), String> {
    if plan.sandbox {
        capabilities::bound(plan.capabilities);
    }
    if let Some(account) = &plan.user {
        capabilities::change_user(account)?;
    }
    if plan.sandbox || plan.user.is_some() {
        capabilities::keep(plan.capabilities)?;
    }
    for place in plan.writes.iter().chain(&plan.clears) {
        place.check(plan.user.as_ref())?;
    }
    if plan.sandbox {
        set_no_new_privs(true).map_err(|errno| format!("no_new_privs: {errno}"))?;
        files::confine(plan)?;
        calls::refuse(plan.calls)?;
    }
    Ok(())
}
