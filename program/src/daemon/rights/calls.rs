//! System calls that are refused: those by which a process reaches beyond itself.
//!
//! Each answers EPERM, so a library that tries goes on without. New processes cannot be made, only threads; of
//! `clone3`, whose arguments a filter cannot see, it is said that there is none (ENOSYS), and the C library takes
//! `clone`. A call of another architecture ends the process. x86-64 has a second set of numbers (x32) for the same
//! calls: those are refused, too.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};
use tracing::{debug, info};

use super::Calls;

/// Refused in every case.
#[rustfmt::skip]
const REFUSED: &[i64] = &[
    // Programs.
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_memfd_create, libc::SYS_personality,
    // Other processes.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd, libc::SYS_pidfd_open, libc::SYS_kcmp,
    // Mounts and namespaces.
    libc::SYS_mount, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_fsopen, libc::SYS_fsconfig,
    libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_mount_setattr,
    libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_quotactl, libc::SYS_setns, libc::SYS_unshare,
    // Files by other ways than their names.
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at, libc::SYS_fanotify_init, libc::SYS_mknodat,
    // Users and capabilities.
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_setresuid,
    libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid, libc::SYS_setgroups, libc::SYS_capset,
    // Keys.
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    // Parts of the kernel with large doors; io_uring opens sockets that this filter does not see.
    libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // The machine.
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load,
    libc::SYS_reboot, libc::SYS_syslog, libc::SYS_acct, libc::SYS_settimeofday, libc::SYS_clock_settime,
    libc::SYS_adjtimex, libc::SYS_clock_adjtime, libc::SYS_sethostname, libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// Refused where they exist.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const REFUSED_HERE: &[i64] = &[
    libc::SYS_fork, libc::SYS_vfork, libc::SYS_mknod, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refuses these calls from now on.
pub(super) fn refuse(calls: Calls) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| format!("seccomp: {error}");
    if TargetArch::try_from(ARCH).is_err() {
        info!("seccomp: filters for {ARCH} cannot be made, and no system call is refused");
        return Ok(());
    }
    let refused = rules(calls).map_err(|error| said(&error))?;
    let absent: Rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    for (rules, errno) in [(absent, libc::ENOSYS), (refused, libc::EPERM)] {
        let program = program(rules, errno).map_err(|error| said(&error))?;
        match apply_filter(&program) {
            Ok(()) => {}
            Err(Error::Prctl(error) | Error::Seccomp(error))
                if error.raw_os_error() == Some(libc::EINVAL) =>
            {
                info!("seccomp: this kernel has no filters of system calls, and none is refused");
                return Ok(());
            }
            Err(error) => return Err(said(&error)),
        }
    }
    debug!("seccomp: system calls are refused");
    Ok(())
}

fn program(rules: Rules, errno: i32) -> Result<BpfProgram, Error> {
    let refused = SeccompAction::Errno(errno.unsigned_abs());
    let target = ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, target)?;
    Ok(filter.try_into()?)
}

fn rules(calls: Calls) -> Result<Rules, seccompiler::BackendError> {
    let always = REFUSED.iter().chain(REFUSED_HERE);
    let mut rules: Rules = always.map(|call| (*call, Vec::new())).collect();
    if !calls.unmount {
        rules.insert(libc::SYS_umount2, Vec::new());
    }
    const LOADS: u64 = 5;
    let bpf = match calls.programs {
        true => vec![rule(&[is(0, SeccompCmpOp::Ne, LOADS)?])?],
        false => Vec::new(),
    };
    rules.insert(libc::SYS_bpf, bpf);
    // All but a thread of this process.
    let thread = libc::CLONE_THREAD as u64;
    let process = is(0, SeccompCmpOp::MaskedEq(thread), 0)?;
    rules.insert(libc::SYS_clone, vec![rule(&[process])?]);
    // The journal and systemd are asked over Unix sockets, and so are interfaces.
    let other = is(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
    rules.insert(libc::SYS_socket, vec![rule(&[other])?]);
    rules.insert(libc::SYS_ioctl, ioctls(calls)?);
    with_x32(&mut rules);
    Ok(rules)
}

/// Words put into a terminal's mouth (`TIOCSTI`, `TIOCLINUX`), and interfaces unless they are asked about.
fn ioctls(calls: Calls) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    const TERMINAL: [u64; 2] = [0x5412, 0x541c];
    const INTERFACES: [u64; 2] = [0x8900, 0x8aff];
    let mut refused = Vec::new();
    for command in TERMINAL {
        refused.push(rule(&[is(1, SeccompCmpOp::Eq, command)?])?);
    }
    if !calls.interfaces {
        let [first, last] = INTERFACES;
        refused.push(rule(&[
            is(1, SeccompCmpOp::Ge, first)?,
            is(1, SeccompCmpOp::Le, last)?,
        ])?);
    }
    Ok(refused)
}

/// The numbers of x32: the same with a bit, and some of their own, all of which are refused.
fn with_x32(rules: &mut Rules) {
    const X32: i64 = 0x4000_0000;
    if cfg!(target_arch = "x86_64") {
        let same: Vec<_> = rules
            .iter()
            .map(|(call, rules)| (call | X32, rules.clone()))
            .collect();
        rules.extend(same);
        rules.extend((512..=547).map(|call| (call | X32, Vec::new())));
    }
}

/// A rule that holds if all of these do.
fn rule(conditions: &[SeccompCondition]) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.to_vec())
}

/// About the lower half of an argument, which is all that these calls look at.
fn is(
    argument: u8,
    holds: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, holds, value)
}
