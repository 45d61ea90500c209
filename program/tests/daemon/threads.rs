//! The rights of each thread of a process, as the kernel says them.

use std::fs;

/// `CAP_CHOWN`.
pub(crate) const CHOWN: u64 = 1;
/// `CAP_NET_ADMIN`.
pub(crate) const NET_ADMIN: u64 = 1 << 12;
/// `CAP_SYS_ADMIN`.
pub(crate) const SYS_ADMIN: u64 = 1 << 21;
/// `CAP_BPF`.
pub(crate) const BPF: u64 = 1 << 39;

/// Holds every thread's rights against what they should be: these capabilities and no others, no new ones, and
/// refused system calls. => how many threads there are.
#[track_caller]
pub(crate) fn assert_only(process: u32, capabilities: u64) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut count = 0;
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.strip_prefix(':')).unwrap().trim()
        };
        let kept = format!("{capabilities:016x}");
        for name in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(field(name), kept, "{name}: {status}");
        }
        for name in ["CapInh", "CapAmb"] {
            assert_eq!(field(name), "0000000000000000", "{name}: {status}");
        }
        assert_eq!(field("NoNewPrivs"), "1", "{status}");
        assert_eq!(field("Seccomp"), "2", "{status}");
        count += 1;
    }
    count
}

/// The numbers of the processes that a process has started.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let text = fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        children.extend(
            text.split_whitespace()
                .map(|word| word.parse::<u32>().unwrap()),
        );
    }
    children
}
