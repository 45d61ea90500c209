//! A second daemon takes the table over from the first.

use std::fs;
use std::process::{Child, Stdio};

use crate::bench::{Bench, wait_until, web};

/// The table, without timers; and those.
fn table(bench: &Bench) -> (Vec<String>, Vec<i64>) {
    let text = bench.asks(&["-L", "-o", "extended"]);
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            let timer: i64 = words.remove(4).parse().unwrap();
            (words.join(" "), timer)
        })
        .collect();
    lines.sort();
    lines.into_iter().unzip()
}

/// Starts another daemon in the place of the one that runs. => it, when it is ready.
fn successor(bench: &Bench, arguments: &[&str]) -> Child {
    let log = fs::File::create(bench.path("second")).unwrap();
    let mut command = bench.command(&[&["--replace"], arguments].concat());
    let mut child = command.stderr(Stdio::from(log)).spawn().unwrap();
    wait_until("the second daemon", || {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{}", bench.text_of("second"));
        bench.text_of("second").contains("ready: ")
    });
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_has_the_same_entries_with_and_without_a_state_file() {
    for state in [&[][..], &["--state", ""]] {
        let bench = Bench::new();
        let replay = ["--replay", &web(), "--speed", "max", "--workers", "2"];
        let mut first = bench.run(&[&replay[..], state].concat());
        wait_until("the table", || bench.asks(&["-C"]) == "11\n");
        let (before, times) = table(&bench);
        let second = successor(&bench, &[&["--workers", "3"], state].concat());
        assert_eq!(first.ends().code(), Some(0), "{}", first.log());
        assert!(
            first.log().contains("11 entries were handed over"),
            "{}",
            first.log()
        );
        let (after, left) = table(&bench);
        assert_eq!(after, before);
        for (before, after) in times.iter().zip(left) {
            assert!(
                (0..3).contains(&(before - after)),
                "{before} became {after}"
            );
        }
        end(second);
    }
}

#[test]
fn with_nobody_to_replace_it_starts_as_always() {
    let bench = Bench::new();
    let second = successor(&bench, &[]);
    assert!(
        bench
            .text_of("second")
            .contains("no daemon there to take over from")
    );
    end(second);
}

#[test]
fn one_whose_configuration_is_wrong_replaces_nobody() {
    let bench = Bench::new();
    let first = bench.run(&[]);
    let wrong = bench.path("wrong.conf");
    fs::write(&wrong, "[run]\nworkers = 0\n").unwrap();
    let (status, _) = bench.fails(&["--replace", "--config", wrong.to_str().unwrap()]);
    assert_eq!(status, Some(2));
    assert_eq!(bench.asks(&["-C"]), "0\n");
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn the_table_of_one_is_saved_whose_successor_cannot_start() {
    let bench = Bench::new();
    let mut first = bench.run(&["--replay", &web(), "--speed", "max"]);
    wait_until("the table", || bench.asks(&["-C"]) == "11\n");
    let (status, text) = bench.fails(&["--replace", "--proc", "/etc/passwd"]);
    assert_eq!(status, Some(1), "{text}");
    assert_eq!(first.ends().code(), Some(1));
    let log = first.log();
    assert!(log.contains("the other daemon has not taken over"), "{log}");
    assert!(log.contains("the table is saved"), "{log}");
    drop(first);
    let third = bench.run(&[]);
    assert!(
        third.log().contains("11 entries were taken back"),
        "{}",
        third.log()
    );
}

#[test]
fn one_stays_whose_successor_names_what_is_not_there() {
    let bench = Bench::new();
    let first = bench.run(&["--replay", &web(), "--speed", "max"]);
    wait_until("the table", || bench.asks(&["-C"]) == "11\n");
    let sources = [
        ["--replay", "/nonexistent", "cannot be opened"],
        ["--replay", "/etc/passwd", "not a capture"],
        ["--tap", "nowhere", "there is no such network interface"],
        [
            "--bridge",
            "lo,nowhere",
            "there is no such network interface",
        ],
    ];
    for [option, name, why] in sources {
        let (status, text) = bench.fails(&["--replace", option, name]);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(bench.asks(&["-C"]), "11\n");
    drop(first);
}

#[test]
fn one_that_cannot_save_stays() {
    let bench = Bench::new();
    let first = bench.run(&[]);
    // What cannot be written over.
    fs::create_dir(bench.path("state")).unwrap();
    fs::create_dir(bench.path("state/full")).unwrap();
    let (status, text) = bench.fails(&["--replace", "--state", ""]);
    assert_eq!(status, Some(1));
    assert!(text.contains("the table cannot be saved"), "{text}");
    assert_eq!(bench.asks(&["-C"]), "0\n");
    drop(first);
}
