//! What is shown, and what a key does: without a terminal.

use ip_conntrack_analysis::Report;
use ip_conntrack_analysis::report::{HostLine, PortLine, PrefixLine};
use ip_conntrack_analysis::summary::grouped;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::watcher::Update;
use crate::report::Live;

/// The lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tab {
    Prefixes,
    Sources,
    Destinations,
    Ports,
    Pairs,
    States,
}

impl Tab {
    pub(super) const ALL: [Tab; 6] = [
        Tab::Prefixes,
        Tab::Sources,
        Tab::Destinations,
        Tab::Ports,
        Tab::Pairs,
        Tab::States,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Tab::Prefixes => "prefixes",
            Tab::Sources => "sources",
            Tab::Destinations => "destinations",
            Tab::Ports => "ports",
            Tab::Pairs => "pairs",
            Tab::States => "states",
        }
    }

    pub(super) const fn columns(self) -> &'static [&'static str] {
        match self {
            Tab::Prefixes => &["prefix", "entries", "%", "own"],
            Tab::Sources => &["source", "entries", "%", "targets", "unreplied", "assured"],
            Tab::Destinations => &[
                "destination",
                "entries",
                "%",
                "sources",
                "unreplied",
                "assured",
            ],
            Tab::Ports => &["port", "entries", "%", "sources"],
            Tab::Pairs => &["source -> destination", "entries", "%"],
            Tab::States => &["state", "entries", "%", "unreplied", "assured", "s left"],
        }
    }
}

/// What a line stands for, as conntrack(8) selects it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub(super) title: String,
    pub(super) options: Vec<String>,
}

/// A line of a list.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    /// The first is a name, the others are numbers.
    pub(super) cells: Vec<String>,
    numbers: Vec<f64>,
    pub(super) target: Option<Target>,
}

/// What is to be done about a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Nothing,
    Quit,
    /// Look at the table now.
    Look,
    /// List the entries of a line.
    List(Target),
    /// Delete them; it was asked.
    Delete(Target),
}

/// All that is shown.
pub(super) struct Model {
    live: Option<Live>,
    pub(super) report: Option<Report>,
    waiting: Option<Box<Report>>,
    pub(super) count: Option<(u64, Option<u64>)>,
    pub(super) tab: Tab,
    pub(super) selected: usize,
    /// The column by which lines are sorted.
    pub(super) sort: usize,
    pub(super) filter: String,
    pub(super) is_typing: bool,
    pub(super) is_frozen: bool,
    /// Only those who take part in what was found.
    pub(super) only_guilty: bool,
    pub(super) asked: Option<Target>,
    /// The entries of a line.
    pub(super) entries: Option<Vec<String>>,
    pub(super) message: String,
}

impl Model {
    pub(super) fn new(live: Option<Live>) -> Model {
        Model {
            live,
            report: None,
            waiting: None,
            count: None,
            tab: Tab::Sources,
            selected: 0,
            sort: 1,
            filter: String::new(),
            is_typing: false,
            is_frozen: false,
            only_guilty: false,
            asked: None,
            entries: None,
            message: String::new(),
        }
    }

    pub(super) const fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    pub(super) fn say(&mut self, message: String) {
        self.message = message;
    }

    pub(super) fn list(&mut self, entries: Result<Vec<String>, String>) {
        match entries {
            Ok(entries) => {
                self.selected = 0;
                self.entries = Some(entries);
            }
            Err(error) => self.message = error,
        }
    }

    /// Takes in what was seen. While frozen, it waits.
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Count(entries, max) => self.count = Some((entries, max)),
            Update::Report(report) if self.is_frozen => self.waiting = Some(report),
            Update::Report(report) => self.report = Some(*report),
            Update::Failed(error) => self.message = error,
        }
    }

    /// The lines of the list that is shown, filtered and sorted.
    pub(super) fn lines(&self) -> Vec<Line> {
        let Some(report) = &self.report else {
            return Vec::new();
        };
        let mut lines = self.all_lines(report);
        lines.retain(|line| line.cells[0].contains(&self.filter));
        let column = self.sort.saturating_sub(1);
        let key = |line: &Line| line.numbers.get(column).copied().unwrap_or(0.0);
        lines.sort_by(|a, b| key(b).total_cmp(&key(a)));
        lines
    }

    fn all_lines(&self, report: &Report) -> Vec<Line> {
        let guilty = report.culprits.as_ref().filter(|_| self.only_guilty);
        match self.tab {
            Tab::Prefixes => {
                let lines = guilty.map_or(&report.top_prefixes, |guilty| &guilty.top_prefixes);
                lines.iter().map(prefix_line).collect()
            }
            Tab::Sources => {
                let lines = guilty.map_or(&report.top_sources, |guilty| &guilty.top_sources);
                lines.iter().map(|line| host_line(line, "-s")).collect()
            }
            Tab::Destinations => {
                let lines =
                    guilty.map_or(&report.top_destinations, |guilty| &guilty.top_destinations);
                lines.iter().map(|line| host_line(line, "-d")).collect()
            }
            Tab::Ports => {
                let lines = guilty.map_or(&report.top_ports, |guilty| &guilty.top_ports);
                lines.iter().map(port_line).collect()
            }
            Tab::Pairs => report
                .top_pairs
                .iter()
                .map(|line| {
                    let name = format!("{} -> {}", line.source, line.destination);
                    let options = ["-s", &line.source, "-d", &line.destination];
                    Line::new(
                        name,
                        &[line.entries as f64, line.share * 100.0],
                        Some(&options),
                    )
                })
                .collect(),
            Tab::States => states(report),
        }
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyCode, modifiers: KeyModifiers) -> Action {
        if key == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL) {
            return Action::Quit;
        }
        if self.is_typing {
            self.type_filter(key);
            return Action::Nothing;
        }
        if let Some(target) = self.asked.take() {
            return match key {
                KeyCode::Char('y' | 'Y') => Action::Delete(target),
                _ => {
                    self.message = "nothing was deleted".to_owned();
                    Action::Nothing
                }
            };
        }
        self.message.clear();
        self.command(key)
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filter.len() < 64 => self.filter.push(c),
            _ => {}
        }
        self.selected = 0;
    }

    fn command(&mut self, key: KeyCode) -> Action {
        match key {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Esc if self.entries.is_none() => return Action::Quit,
            KeyCode::Esc => self.entries = None,
            KeyCode::Char('r') => return Action::Look,
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Tab::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.move_to(self.selected.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.move_to(self.selected.saturating_sub(1)),
            KeyCode::PageDown => self.move_to(self.selected.saturating_add(10)),
            KeyCode::PageUp => self.move_to(self.selected.saturating_sub(10)),
            KeyCode::Home => self.move_to(0),
            KeyCode::End => self.move_to(usize::MAX),
            KeyCode::Char('s') => self.sort = self.sort % (self.tab.columns().len() - 1) + 1,
            KeyCode::Char('f') => self.fold(),
            KeyCode::Char('c') => self.only_guilty = !self.only_guilty,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char(' ') => self.freeze(),
            KeyCode::Enter => return self.with_selected(Action::List),
            KeyCode::Char('d') => self.ask(),
            _ => {}
        }
        Action::Nothing
    }

    fn turn(&mut self, by: usize) {
        let place = Tab::ALL
            .iter()
            .position(|tab| *tab == self.tab)
            .unwrap_or(0);
        self.tab = Tab::ALL[(place + by) % Tab::ALL.len()];
        (self.selected, self.sort, self.entries) = (0, 1, None);
    }

    /// Sources as prefixes, and back.
    fn fold(&mut self) {
        self.tab = match self.tab {
            Tab::Prefixes => Tab::Sources,
            _ => Tab::Prefixes,
        };
        (self.selected, self.sort, self.entries) = (0, 1, None);
    }

    fn move_to(&mut self, place: usize) {
        let lines = self
            .entries
            .as_ref()
            .map_or_else(|| self.lines().len(), Vec::len);
        self.selected = place.min(lines.saturating_sub(1));
    }

    fn freeze(&mut self) {
        self.is_frozen = !self.is_frozen;
        if let (false, Some(report)) = (self.is_frozen, self.waiting.take()) {
            self.report = Some(*report);
        }
    }

    fn with_selected(&mut self, action: impl FnOnce(Target) -> Action) -> Action {
        if self.entries.is_some() {
            return Action::Nothing;
        }
        let line = self.lines().into_iter().nth(self.selected);
        line.and_then(|line| line.target)
            .map_or(Action::Nothing, action)
    }

    fn ask(&mut self) {
        if self.live.is_none() {
            self.message = "a file's entries cannot be deleted".to_owned();
            return;
        }
        let line = self.lines().into_iter().nth(self.selected);
        self.asked = line
            .and_then(|line| line.target)
            .filter(|_| self.entries.is_none());
        if self.asked.is_none() {
            self.message = "this line cannot be deleted as such".to_owned();
        }
    }
}

impl Line {
    /// A line of a name and numbers, the second of which is in percent; and what selects it.
    fn new(name: String, numbers: &[f64], options: Option<&[&str]>) -> Line {
        let shown = numbers.iter().enumerate().map(|(n, number)| match n {
            1 => format!("{number:.1}"),
            _ => grouped(*number as u64),
        });
        let target = options.map(|options| Target {
            title: name.clone(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        });
        Line {
            cells: std::iter::once(name).chain(shown).collect(),
            numbers: numbers.to_vec(),
            target,
        }
    }
}

fn prefix_line(line: &PrefixLine) -> Line {
    let numbers = [line.entries as f64, line.share * 100.0, line.own as f64];
    // Everybody is no selection.
    let is_all = line.prefix.ends_with("/0");
    let options = ["-s", line.prefix.as_str()];
    Line::new(
        line.prefix.clone(),
        &numbers,
        (!is_all).then_some(&options[..]),
    )
}

fn host_line(line: &HostLine, option: &str) -> Line {
    let numbers = [line.entries, line.peers, line.unreplied, line.assured].map(|n| n as f64);
    let [entries, peers, unreplied, assured] = numbers;
    let numbers = [entries, line.share * 100.0, peers, unreplied, assured];
    Line::new(
        line.address.clone(),
        &numbers,
        Some(&[option, &line.address]),
    )
}

fn port_line(line: &PortLine) -> Line {
    let name = match line.amplifier {
        Some(service) => format!("{} {} ({service})", line.protocol, line.port),
        None => format!("{} {}", line.protocol, line.port),
    };
    let numbers = [line.entries as f64, line.share * 100.0, line.sources as f64];
    let port = line.port.to_string();
    Line::new(
        name,
        &numbers,
        Some(&["-p", line.protocol, "--dport", &port]),
    )
}

fn states(report: &Report) -> Vec<Line> {
    let lines = report.states.iter().map(|line| {
        let tally = &line.tally;
        let share = 100.0 * tally.entries as f64 / report.entries.max(1) as f64;
        let numbers = [
            tally.entries as f64,
            share,
            tally.unreplied as f64,
            tally.assured as f64,
            tally.remaining.mean() as f64,
        ];
        match line.state {
            Some(state) if line.protocol == "tcp" => Line::new(
                format!("tcp {state}"),
                &numbers,
                Some(&["-p", "tcp", "--state", state]),
            ),
            Some(state) => Line::new(format!("{} {state}", line.protocol), &numbers, None),
            None if line.protocol == "unknown" => {
                Line::new(format!("protocol {}", line.number), &numbers, None)
            }
            None => Line::new(
                line.protocol.to_owned(),
                &numbers,
                Some(&["-p", line.protocol]),
            ),
        }
    });
    lines.collect()
}
