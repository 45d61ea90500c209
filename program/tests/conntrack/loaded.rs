//! `-o save` and `-R`: a table that is written down and made again.

use crate::compare::{assert_same_lines, without_times};
use crate::filters::filled;
use crate::run::{THEIRS, ours, words};
use crate::space::Space;

#[test]
fn what_one_program_saves_the_other_loads() {
    let Some(space) = filled(THEIRS) else { return };
    // DCCP's state is not in the table, so no command can make such an entry again.
    space.must(THEIRS, &words("-D -p dccp"));
    let table = || without_times(&space.must(THEIRS, &words("-L -o extended")));
    let before = table()
        .replace(" mark=21", " mark=0")
        .replace(" mark=5", " mark=0");
    for (saver, loader) in [(ours(), ours()), (THEIRS, ours()), (ours(), THEIRS)] {
        let saved = space.must(saver, &words("-L -o save"));
        space.must(THEIRS, &["-F"]);
        let said = space.feed(loader, &["-R", "-"], &saved);
        assert_eq!(
            (said.out.as_str(), said.err.as_str(), said.status),
            ("", "", 0)
        );
        // The tool does not give translated ports to the kernel, which then chooses others.
        let (now, before) = match loader == THEIRS {
            true => (without_ports(&table()), without_ports(&before)),
            false => (table(), before.clone()),
        };
        assert_same_lines(&now, &before);
    }
}

/// Without the ports of translated replies.
fn without_ports(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.contains("src=10.9.0.2") {
            true => line.split(" src=10.9.0.2").next().unwrap_or_default(),
            false => line,
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn remarks_quotes_and_blanks_are_understood_and_the_first_error_ends_it() {
    let Some(space) = Space::new() else { return };
    let commands = "# a remark\n\n   -I -s 1.1.1.1 -d \"2.2.2.2\" -p 99 -t 500\n\
                    -D -p 98\n\
                    -I -s 1.1.1.1 -d 2.2.2.2 -p 99 -t 500\n\
                    -I -s 1.1.1.1 -d 2.2.2.2 -p 97 -t 500\n";
    for program in [ours(), THEIRS] {
        space.must(THEIRS, &["-F"]);
        let said = space.feed(program, &["-R", "-"], commands);
        assert!(
            said.err
                .ends_with("Operation failed: Such conntrack exists, try -U to update\n"),
            "{said:?}"
        );
        assert_eq!(
            (said.status, space.must(THEIRS, &["-C"]).as_str()),
            (1, "1\n")
        );
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "-D\n-I -s 1.1.1.1 -d 2.2.2.2 -p 97 -t 500\n").unwrap();
    let said = space.run(ours(), &["-R", file.path().to_str().unwrap()]);
    assert_eq!((said.err.as_str(), said.status), ("", 0));
    assert!(said.out.starts_with("unknown  99"), "{}", said.out);
}

#[test]
fn commands_that_change_nothing_cannot_be_loaded() {
    let Some(space) = Space::new() else { return };
    let (ours, theirs) = (
        space.feed(ours(), &["-R", "-"], "-L\n"),
        space.feed(THEIRS, &["-R", "-"], "-L\n"),
    );
    assert_eq!(ours, theirs);
    assert_eq!(ours.status, 2);
    assert!(
        ours.err
            .contains("Cannot use command `-L' with --load-file"),
        "{}",
        ours.err
    );
}
