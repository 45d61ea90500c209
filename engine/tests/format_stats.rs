//! Counters as `conntrack -S` and the `/proc/net/stat` files print them.

mod format_builder;

use format_builder::written;
use ip_conntrack::format::stats::{self, CpuStats};

/// Every counter different, so that a column in the wrong place shows.
fn numbered() -> CpuStats {
    CpuStats {
        entries: 31,
        found: 1,
        invalid: 2,
        insert: 3,
        insert_failed: 4,
        drop: 5,
        early_drop: 6,
        error: 7,
        search_restart: 8,
        clash_resolve: 9,
        chaintoolong: 10,
        expect_new: 11,
        expect_create: 12,
        expect_delete: 0x1_ffff_fffe,
    }
}

#[test]
fn the_tool_prints_a_line_for_a_cpu() {
    assert_eq!(
        written(|out| stats::cpu(out, 0, &CpuStats::default())),
        "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 \n"
    );
    assert_eq!(
        written(|out| stats::cpu(out, 12345, &numbered())),
        "cpu=12345\tfound=1 invalid=2 insert=3 insert_failed=4 drop=5 early_drop=6 error=7 search_restart=8 clash_resolve=9 chaintoolong=10 \n"
    );
}

#[test]
fn the_tool_prints_expectations_apart() {
    assert_eq!(
        written(|out| stats::cpu_expect(out, 0, &CpuStats::default())),
        "cpu=0   \texpect_new=0 expect_create=0 expect_delete=0 \n"
    );
}

#[test]
fn proc_has_a_head_and_a_line_for_each_cpu() {
    let idle = CpuStats {
        entries: 31,
        ..CpuStats::default()
    };
    assert_eq!(
        written(|out| stats::nf_conntrack(out, &[idle, numbered()])),
        "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n\
         0000001f  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000  00000000 00000000 00000000 00000000\n\
         0000001f  00000009 00000001 00000000 00000002 00000000 00000000 0000000a 00000003 00000004 00000005 00000006 00000007  0000000b 0000000c fffffffe 00000008\n"
    );
}

#[test]
fn the_historic_file_has_its_own_columns() {
    assert_eq!(
        written(|out| stats::ip_conntrack(out, &[numbered()])),
        "entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete\n\
         0000001f  00000000 00000001 00000000 00000002 00000000 00000000 00000000 00000003 00000004 00000005 00000006 00000007  0000000b 0000000c fffffffe\n"
    );
}

#[test]
fn what_the_file_says_is_read_back() {
    let counted = CpuStats {
        entries: 7,
        found: 1,
        invalid: 2,
        insert: 3,
        insert_failed: 4,
        drop: 5,
        early_drop: 6,
        error: 8,
        search_restart: 9,
        clash_resolve: 10,
        chaintoolong: 11,
        expect_new: 12,
        expect_create: 13,
        expect_delete: 14,
    };
    let mut file = Vec::new();
    stats::nf_conntrack(&mut file, &[counted, CpuStats::default()]);
    let text = String::from_utf8(file).unwrap();
    assert_eq!(stats::read(&text), [counted, CpuStats::default()]);
    assert_eq!(stats::read("drop\nzz\n\n"), [CpuStats::default(); 2]);
    assert_eq!(stats::read(""), []);
}
