//! What keys do, without a terminal.

use ip_conntrack::Protocol;
use ip_conntrack_analysis::{Census, Circumstances, Flow, Report, Source, Subject};
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use std::net::IpAddr;

use super::model::{Action, Model, Tab};
use super::watcher::Update;
use crate::report::Live;

fn report(entries: u16) -> Update {
    let mut table = Census::default();
    for n in 0..entries {
        let src = IpAddr::from([203, 0, 113, (n % 7) as u8]).into();
        let dst = IpAddr::from([198, 51, 100, 80]).into();
        table.push(&Flow::new(src, dst, Protocol::UDP, 1024 + n, 53));
    }
    let subject = Subject {
        source: Source::default(),
        table: &table,
        whole: None,
        strays: None,
        traffic: None,
        timeline: None,
        max: Some(100),
        buckets: None,
        forecast: None,
        circumstances: Circumstances::default(),
        most: 10,
    };
    Update::Report(Box::new(Report::of(subject)))
}

fn model() -> Model {
    let live = Live {
        kernel: true,
        socket: "".into(),
        max: None,
        buckets: None,
        most: 10,
    };
    let mut model = Model::new(Some(live));
    model.take(report(20));
    model
}

fn press(model: &mut Model, keys: &str) -> Action {
    let mut last = Action::Nothing;
    for c in keys.chars() {
        let key = match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            'v' => KeyCode::Down,
            c => KeyCode::Char(c),
        };
        last = model.key(key, KeyModifiers::NONE);
    }
    last
}

#[test]
fn a_line_is_listed_by_its_own_options() {
    let mut model = model();
    let Action::List(target) = press(&mut model, "v\n") else {
        panic!()
    };
    assert_eq!(target.options, ["-s", "203.0.113.1"]);
    let Action::List(target) = press(&mut model, "\t\t\n") else {
        panic!()
    };
    assert_eq!(target.options, ["-p", "udp", "--dport", "53"]);
}

#[test]
fn nothing_is_deleted_without_a_yes() {
    let mut model = model();
    assert_eq!(press(&mut model, "d"), Action::Nothing);
    assert!(model.asked.is_some());
    assert_eq!(press(&mut model, "n"), Action::Nothing);
    assert!(model.asked.is_none());
    assert!(matches!(press(&mut model, "dy"), Action::Delete(target) if target.options[0] == "-s"));
    // A y by itself is none.
    assert_eq!(press(&mut model, "y"), Action::Nothing);
}

#[test]
fn frozen_means_that_nothing_moves_until_it_thaws() {
    let mut model = model();
    press(&mut model, " ");
    model.take(report(50));
    assert_eq!(model.report.as_ref().unwrap().entries, 20);
    press(&mut model, " ");
    assert_eq!(model.report.as_ref().unwrap().entries, 50);
}

#[test]
fn a_filter_keeps_what_has_it_and_the_selection_stays_within() {
    let mut model = model();
    press(&mut model, "vvvvvvvvvv");
    assert_eq!(model.selected, 6);
    press(&mut model, "/113.3\n");
    assert_eq!(model.lines().len(), 1);
    assert_eq!(model.selected, 0);
    assert_eq!(press(&mut model, "q"), Action::Quit);
}

#[test]
fn sorting_and_folding_go_round() {
    let mut model = model();
    for _ in 0..model.tab.columns().len() - 1 {
        press(&mut model, "s");
    }
    assert_eq!(model.sort, 1);
    press(&mut model, "f");
    assert_eq!(model.tab, Tab::Prefixes);
    press(&mut model, "f");
    assert_eq!(model.tab, Tab::Sources);
}
