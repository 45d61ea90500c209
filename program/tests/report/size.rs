//! `ipct size`.

use super::run::run;

#[test]
fn the_lines_fit_the_memory() {
    let told = run("size --memory 1073741824 --percent 10 --json", b"")
        .exits(0)
        .json();
    let (max, bytes) = (
        told["linux_max"].as_u64().unwrap(),
        told["linux_entry"].as_u64().unwrap(),
    );
    assert!(
        max * bytes <= 107_374_182 && (max + 1_024) * bytes > 107_374_182,
        "{told}"
    );
    assert_eq!(
        told["sysctl"][1],
        format!("net.netfilter.nf_conntrack_max = {max}")
    );
    assert_eq!(told["old_rule"], 65_500);
    assert_eq!(told["our_entry"], serde_json::json!([144, 208]));
}

#[test]
fn this_machine_has_memory() {
    let text = run("size", b"").exits(0).out;
    assert!(
        text.contains("old rule of thumb") && text.contains("options nf_conntrack hashsize="),
        "{text}"
    );
    run("size --percent 0", b"").exits(2);
}
