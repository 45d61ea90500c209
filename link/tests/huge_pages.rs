//! The allocator of this test program is the one under test.

#![cfg(target_os = "linux")]
#![allow(clippy::panic, clippy::unwrap_used)]

use std::fs;

use ip_conntrack_link::sys::HugePages;

#[global_allocator]
static MEMORY: HugePages = HugePages;

const MIB: usize = 1 << 20;
const HUGE: usize = 2 * MIB;

/// What a byte is, by where it is: neighbouring blocks and pages differ.
fn pattern(at: usize) -> u8 {
    (at ^ at >> 8 ^ at >> 16 ^ at >> 24) as u8
}

fn filled(len: usize) -> Vec<u8> {
    (0..len).map(pattern).collect()
}

fn holds(block: &[u8], len: usize) -> bool {
    (0..len).all(|at| block[at] == pattern(at))
}

#[test]
fn large_blocks_begin_where_huge_pages_do() {
    let lens = [HUGE, HUGE + 1, 3 * MIB, 7 * MIB + 4097];
    let blocks: Vec<Vec<u8>> = lens.map(filled).into();
    for (block, len) in blocks.iter().zip(lens) {
        assert_eq!(block.as_ptr().addr() % HUGE, 0, "{len}");
        assert!(holds(block, len), "{len}");
    }
}

#[test]
fn a_larger_alignment_than_that_of_huge_pages_is_kept() {
    #[repr(align(8388608))]
    #[derive(Clone)]
    struct Wide(u8);
    let mut blocks = [vec![Wide(1)], vec![Wide(2)], vec![Wide(3)]];
    blocks[1].reserve_exact(2);
    for (block, value) in blocks.iter().zip(1..) {
        assert_eq!(block.as_ptr().addr() % (8 * MIB), 0);
        assert_eq!(block[0].0, value);
    }
}

#[test]
fn zeroed_memory_is_not_there_before_it_is_touched() {
    let resident = || {
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    };
    let before = resident();
    let block = vec![0u8; 1024 * MIB];
    assert!(resident() < before + 256 * MIB);
    assert!(block.iter().step_by(64 * MIB + 1).all(|byte| *byte == 0));
}

#[test]
fn memory_that_was_used_before_is_zero_again() {
    for len in [HUGE, 5 * MIB] {
        drop(filled(len));
        assert!(vec![0u8; len].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn contents_survive_growing_and_shrinking_across_the_border() {
    let mut block = filled(MIB);
    let mut kept = MIB;
    for len in [
        HUGE - 1,
        HUGE,
        HUGE + 1,
        9 * MIB,
        40 * MIB,
        41 * MIB + 5,
        3 * MIB,
        HUGE,
        HUGE - 1,
        100,
        6 * MIB,
        0,
        HUGE,
    ] {
        if len > block.capacity() {
            block.reserve_exact(len - block.len());
        } else {
            block.truncate(len);
            block.shrink_to(len);
        }
        kept = kept.min(len);
        assert_eq!(block.capacity(), len);
        assert!(holds(&block, kept), "{len}");
        assert!(
            len < HUGE || block.as_ptr().addr().is_multiple_of(HUGE),
            "{len}"
        );
        block.extend((block.len()..len).map(pattern));
        kept = len;
    }
}

#[test]
fn threads_allocate_grow_and_free_at_once() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..40 {
                    let mut block = filled(HUGE + thread * 70_000 + round);
                    let len = block.len();
                    block.reserve_exact(3 * MIB);
                    assert!(holds(&block, len));
                    block.shrink_to_fit();
                    assert!(holds(&block, len));
                }
            });
        }
    });
}

#[test]
fn touched_memory_is_in_huge_pages() {
    const LEN: usize = 64 * MIB;
    let setting = "/sys/kernel/mm/transparent_hugepage/enabled";
    let setting = fs::read_to_string(setting).unwrap_or_default();
    if !setting.contains("[madvise]") && !setting.contains("[always]") {
        eprintln!("skipped: this machine gives no huge pages");
        return;
    }
    let mut block = vec![0u8; LEN];
    let untouched = huge(block.as_ptr().addr());
    block.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    let touched = huge(block.as_ptr().addr());
    // The machine may be short of them, but not of most.
    assert!(touched >= untouched + LEN / 2, "{untouched}, {touched}");

    // Memory that grew asks for them, too.
    block.reserve_exact(LEN);
    let grown = huge(block.as_ptr().addr());
    block.resize(2 * LEN, 1);
    assert!(huge(block.as_ptr().addr()) >= grown + LEN / 2, "{grown}");
}

/// How many bytes of the mapping around an address are in huge pages.
fn huge(address: usize) -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in maps.lines() {
        let first = line.split(' ').next().unwrap();
        if let Some((start, end)) = first.split_once('-') {
            let [start, end] = [start, end].map(|bound| usize::from_str_radix(bound, 16).unwrap());
            inside = (start..end).contains(&address);
        } else if inside && first == "AnonHugePages:" {
            let size = line.split_whitespace().nth(1).unwrap();
            return size.parse::<usize>().unwrap() * 1024;
        }
    }
    panic!("{address:x} is not mapped");
}
