//! The rules in the documents are rules.

use crate::space::Space;

const DOCUMENT: &str = include_str!("../../docs/queue.md");

/// The example that begins with that.
fn example(begins: &str) -> &str {
    let from = DOCUMENT.find(&format!("```\n{begins}")).unwrap() + 4;
    let rest = &DOCUMENT[from..];
    &rest[..rest.find("```").unwrap()]
}

#[test]
fn those_for_iptables_load() {
    let Some(space) = Space::new() else { return };
    let said = space.feed("sh", &["-e"], example("iptables"));
    assert_eq!(said.status, 0, "{}", said.err);
    let rules = space.must("iptables", &["-S"]);
    assert_eq!(rules.matches("/0x70000000 -j ACCEPT").count(), 8, "{rules}");
}

#[test]
fn those_for_nftables_load_where_the_kernel_has_their_parts() {
    let Some(space) = Space::new() else { return };
    let rules = example("table inet ipct");
    let said = space.feed("nft", &["-f", "-"], rules);
    if said.status == 0 {
        return;
    }
    // A kernel without nft's own queue statement refuses that one, and must take all others.
    let refused = "queue flags bypass,fanout to 0-3";
    assert!(
        said.err.contains("No such file or directory") && said.err.contains(refused),
        "{}",
        said.err
    );
    assert!(!said.err.contains("syntax error"), "{}", said.err);
    let lines = rules.lines().filter(|line| !line.contains(refused));
    let rest: String = lines.flat_map(|line| [line, "\n"]).collect();
    let said = space.feed("nft", &["-f", "-"], &rest);
    assert_eq!(said.status, 0, "{}", said.err);
}
