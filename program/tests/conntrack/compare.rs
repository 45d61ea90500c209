//! Two listings, line by line: everything is to be equal but times, which may be one second apart.

use std::time::{Duration, Instant};

/// Fields whose value is a time.
const TIMES: [&str; 4] = ["delta-time=", "<timeout>", "<deltatime>", "-t "];

/// A line without its times, and the times.
fn parted(line: &str) -> (String, Vec<i64>) {
    let mut times = Vec::new();
    let mut rest = line.to_owned();
    for field in TIMES {
        if let Some((before, after)) = rest.clone().split_once(field) {
            let (number, tail) = leading_number(after);
            times.extend(number);
            rest = format!("{before}{field}#{tail}");
        }
    }
    let mut words: Vec<&str> = rest.split(' ').filter(|word| !word.is_empty()).collect();
    if !line.starts_with(['<', '-'])
        && let Some(place) = timer_place(&words)
    {
        times.extend(words[place].parse::<i64>());
        words[place] = "#";
    }
    (words.join(" "), times)
}

/// Where the timer stands, if the line has one.
fn timer_place(words: &[&str]) -> Option<usize> {
    let is_number = |word: &&str| word.bytes().all(|c| c.is_ascii_digit());
    let numbers = words.iter().take_while(|word| !word.contains('='));
    let places: Vec<usize> = numbers
        .enumerate()
        .filter(|(_, word)| is_number(word))
        .map(|(n, _)| n)
        .collect();
    // Family and protocol have a number each, and so does the time.
    let names = words
        .iter()
        .filter(|word| matches!(**word, "ipv4" | "ipv6"))
        .count();
    match words.get(places.last().copied()? + 1) {
        Some(next) if next.starts_with("proto=") => places.last().copied(),
        _ => places.get(1 + names).copied(),
    }
}

fn leading_number(text: &str) -> (Option<i64>, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}

/// A listing with `#` for every time.
pub(crate) fn without_times(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| parted(line).0).collect();
    lines.join("\n")
}

/// What two programs say of the same moment: both are asked until both answered within a second.
pub(crate) fn at_once<T>(mut ours: impl FnMut() -> T, mut theirs: impl FnMut() -> T) -> (T, T) {
    for _ in 0..20 {
        let begun = Instant::now();
        let both = (ours(), theirs());
        if begun.elapsed() < Duration::from_secs(1) {
            return both;
        }
    }
    panic!("this machine is too slow to compare anything");
}

/// XML without associations: the tool looks up their state among TCP's.
pub(crate) fn without_sctp(text: &str) -> String {
    let is_one = |line: &&str| line.starts_with('<') && line.contains("protonum=\"132\"");
    let lines: Vec<&str> = text.lines().filter(|line| !is_one(line)).collect();
    lines.join("\n")
}

/// Two listings whose lines may come in different orders.
#[track_caller]
pub(crate) fn assert_same_lines(ours: &str, theirs: &str) {
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(parted).collect();
        lines.sort();
        lines
    };
    assert_alike(&sorted(ours), &sorted(theirs));
}

/// Two listings whose lines come in the same order.
#[track_caller]
pub(crate) fn assert_same(ours: &str, theirs: &str) {
    let lines = |text: &str| text.lines().map(parted).collect::<Vec<_>>();
    assert_alike(&lines(ours), &lines(theirs));
}

#[track_caller]
fn assert_alike(ours: &[(String, Vec<i64>)], theirs: &[(String, Vec<i64>)]) {
    let texts = |lines: &[(String, Vec<i64>)]| -> Vec<String> {
        lines.iter().map(|(line, _)| line.clone()).collect()
    };
    let (ours_text, theirs_text) = (texts(ours), texts(theirs));
    let only = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|line| !b.contains(line)).cloned().collect()
    };
    assert!(
        ours_text == theirs_text,
        "{} lines and {}\nonly ours: {:#?}\nonly theirs: {:#?}",
        ours.len(),
        theirs.len(),
        only(&ours_text, &theirs_text),
        only(&theirs_text, &ours_text)
    );
    for ((line, ours), (_, theirs)) in ours.iter().zip(theirs) {
        assert_eq!(ours.len(), theirs.len(), "{line}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() <= 1, "{ours} and {theirs} in {line}");
        }
    }
}

#[test]
fn times_may_differ_by_a_second_and_nothing_else_may() {
    let line = "tcp      6 431999 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 delta-time=7 use=1";
    let (kept, times) = parted(line);
    assert_eq!(times, [7, 431_999]);
    assert!(
        !kept.contains("431999") && kept.contains("tcp 6 #"),
        "{kept}"
    );
    assert_same(line, &line.replace("431999", "431998"));
    let differs = |other: &str| std::panic::catch_unwind(|| assert_same(line, other)).is_err();
    assert!(differs(&line.replace("431999", "431997")));
    assert!(differs(&line.replace("use=1", "use=2")));
    assert!(differs(&line.replace("tcp      6", "tcp      7")));
    let (_, times) = parted("ipv4     2 udp      17 29 src=1.1.1.1 dst=2.2.2.2");
    assert_eq!(times, [29]);
    let (_, times) = parted("299 proto=6 src=1.1.1.1 dst=2.2.2.2 class=0");
    assert_eq!(times, [299]);
    let (_, times) = parted("[DESTROY] udp      17 src=1.1.1.1 dst=2.2.2.2");
    assert!(times.is_empty());
}
