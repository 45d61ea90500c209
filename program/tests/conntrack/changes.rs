//! Entries made, changed and deleted by one program, and seen by the other.

use crate::compare::assert_same_lines;
use crate::filters::{ENTRIES, filled};
use crate::run::{THEIRS, ours, words};
use crate::space::Space;

fn list(space: &Space, program: &str) -> String {
    let save = space.must(program, &words("-L -o save"));
    format!("{save}{}", space.must(program, &words("-L -o extended")))
}

#[test]
fn what_one_program_makes_the_other_makes_too() {
    let (Some(first), Some(second)) = (filled(ours()), filled(THEIRS)) else {
        return;
    };
    assert_same_lines(&list(&first, THEIRS), &list(&second, THEIRS));
    assert_same_lines(&list(&first, ours()), &list(&first, THEIRS));
    assert_eq!(first.must(THEIRS, &["-C"]), format!("{}\n", ENTRIES.len()));
}

#[test]
fn adding_what_is_there_already_changes_nothing_and_is_no_error() {
    let Some(space) = Space::new() else { return };
    let line = "-A -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 50";
    for (program, added) in [(ours(), 1), (ours(), 0), (THEIRS, 0)] {
        let said = space.run(program, &words(line));
        assert_eq!(
            (said.err.split(": ").nth(1), said.status),
            (
                Some(&*format!("{added} flow entries have been added.\n")),
                0
            )
        );
    }
}

#[test]
fn one_half_of_the_reply_direction_is_completed_from_the_original() {
    let Some(space) = Space::new() else { return };
    space.must(
        ours(),
        &words("-I -s 1.1.1.1 -d 2.2.2.2 -r 3.3.3.3 -p 99 -t 50"),
    );
    let listed = space.must(THEIRS, &["-L"]);
    assert!(listed.contains("src=3.3.3.3 dst=1.1.1.1"), "{listed}");
}

/// Updates that the tool does as well, once it is told the family.
const UPDATES: &[&str] = &[
    "-U -f ipv4 -s 10.1.0.1 -m 9",
    "-U -f ipv4 -m 0xf0/0x0f",
    "-U -f ipv4 -p udp --sport 1004 -t 700",
    "-U -f ipv4 -p tcp --sport 1000 -u SEEN_REPLY",
    "-U -f ipv6 -p tcp -m 3",
    "-U -f ipv4 -s 9.9.9.9 -m 9",
];

#[test]
fn updates_do_what_the_tools_do() {
    let (Some(first), Some(second)) = (filled(THEIRS), filled(THEIRS)) else {
        return;
    };
    // The tool leaves entries in zones as they are.
    for space in [&first, &second] {
        space.must(THEIRS, &words("-D -s 10.1.0.5"));
        space.must(THEIRS, &words("-D -s 10.1.0.6"));
    }
    for line in UPDATES {
        let (ours, theirs) = (
            first.run(ours(), &words(line)),
            second.run(THEIRS, &words(line)),
        );
        println!("{line}");
        // The tool sometimes shows fewer than it changed.
        let shown = theirs.out.lines().count();
        assert!(ours.out.lines().count() >= shown, "{}", ours.out);
        assert_eq!(
            (ours.err, ours.status),
            (theirs.err, theirs.status),
            "{line}"
        );
        assert_same_lines(&list(&first, THEIRS), &list(&second, THEIRS));
    }
}

#[test]
fn a_fixed_timeout_is_named_as_what_refuses() {
    let Some(space) = Space::new() else { return };
    space.must(
        ours(),
        &words("-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 500 -u FIXED_TIMEOUT"),
    );
    let said = space.run(ours(), &words("-U -t 700"));
    assert!(
        said.err.contains("fixed") && said.status == 1,
        "{}",
        said.err
    );
    let said = space.run(ours(), &words("-U -u !FIXED_TIMEOUT"));
    assert!(
        said.err.contains("not taken away") && said.status == 2,
        "{}",
        said.err
    );
}

#[test]
fn an_update_needs_no_family() {
    let Some(space) = filled(THEIRS) else { return };
    let said = space.run(ours(), &words("-U -m 77"));
    let all = ENTRIES.len() - 1;
    // One has a fixed timeout, which says nothing of its mark.
    assert_eq!(
        said.out
            .lines()
            .filter(|line| line.contains("mark=77"))
            .count(),
        all + 1,
        "{said:?}"
    );
    assert_eq!(said.status, 0);
}

const DELETIONS: &[&str] = &[
    "-D -p tcp --sport 1000",
    "-D -s 10.1.0.3 -o extended,id",
    "-D -m 5 -o xml",
    "-D -w 5",
    "-D -p icmp -o save",
    "-D -f ipv6",
    "-D -s 9.9.9.9",
    "-D",
];

#[test]
fn deletions_do_what_the_tools_do() {
    let (Some(first), Some(second)) = (filled(THEIRS), filled(THEIRS)) else {
        return;
    };
    let without_ids = |text: &str| {
        let lines = text.lines().map(|line| {
            let words = line.split(' ').filter(|word| !word.starts_with("id="));
            words.collect::<Vec<_>>().join(" ")
        });
        let lines: Vec<String> = lines.collect();
        let text = lines.join("\n");
        match text.split_once("<id>") {
            Some(_) => String::new(),
            None => text,
        }
    };
    for line in DELETIONS {
        println!("{line}");
        let (ours, theirs) = (
            first.run(ours(), &words(line)),
            second.run(THEIRS, &words(line)),
        );
        assert_same_lines(&without_ids(&ours.out), &without_ids(&theirs.out));
        assert_eq!(
            (ours.err, ours.status),
            (theirs.err, theirs.status),
            "{line}"
        );
        assert_same_lines(&list(&first, THEIRS), &list(&second, THEIRS));
    }
    assert_eq!(first.must(THEIRS, &["-C"]), "0\n");
}

#[test]
fn an_entry_is_deleted_by_its_timeout_or_its_id() {
    let Some(space) = Space::new() else { return };
    for port in [1, 2] {
        let line = format!("-I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport {port} --dport 5 -t {port}000");
        space.must(ours(), &words(&line));
    }
    assert_eq!(space.run(ours(), &words("-D -t 5")).status, 1);
    let listed = space.must(ours(), &words("-L -p udp --sport 2 -o id"));
    let id = listed.trim().rsplit_once("id=").unwrap().1.to_owned();
    let said = space.run(ours(), &["-D", "-i", &id]);
    assert!(said.out.contains("sport=2") && said.status == 0, "{said:?}");
    assert_eq!(space.must(THEIRS, &["-C"]), "1\n");
}

#[test]
fn flushing_one_family_leaves_the_other() {
    let Some(space) = filled(ours()) else { return };
    let said = space.run(ours(), &words("-F -f ipv6"));
    assert!(
        said.err
            .ends_with("connection tracking table has been emptied.\n"),
        "{}",
        said.err
    );
    let left = space.must(THEIRS, &words("-L -o extended"));
    assert!(left.lines().all(|line| line.starts_with("ipv4")), "{left}");
    assert_eq!(
        left.lines().count(),
        ENTRIES.iter().filter(|line| !line.contains("::")).count()
    );
}

#[test]
fn labels_are_given_and_taken_away() {
    let Some(space) = Space::new() else { return };
    // Room for labels is made for entries that begin while a rule speaks of labels.
    let rules = "table inet t {\n chain c {\n  type filter hook input priority 0;\n  ct label 1 accept\n }\n}\n";
    assert_eq!(space.feed("nft", &["-f", "-"], rules).status, 0);
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names");
    std::fs::write(&names, "1 voip\n100 far\n").unwrap();
    let names = names.to_str().unwrap();
    space.must(ours(), &words("-I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 500"));
    let update = |line: &str| {
        let line = format!("-U -M {names} {line} -o labels");
        space.must(ours(), &words(&line)).trim_end().to_owned()
    };
    let ends = |line: &str, tail: &str| assert!(line.ends_with(tail), "{line}");
    ends(&update("--label-add voip"), "labels=voip");
    ends(&update("--label-add far"), "labels=voip,far");
    let list = |line: &str| space.must(ours(), &words(&format!("-L -M {names} {line}")));
    assert_eq!(list("-l far,voip").lines().count(), 1);
    ends(
        list("-o save").trim_end(),
        "--label-add voip --label-add far",
    );
    ends(&update("--label-del voip"), "labels=far");
    assert_eq!(list("-l voip").lines().count(), 0);
    ends(&update("--label-del"), "use=2");
    let said = space.run(ours(), &words(&format!("-L -M {names} -l nobody")));
    assert!(
        said.err.contains("unknown label 'nobody'") && said.status == 2,
        "{}",
        said.err
    );
}
