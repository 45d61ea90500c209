//! The configuration file into settings, with every complaint that there is.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ip_conntrack::Config;
use toml::de::{DeTable, DeValue};

use super::network::{Interfaces, Pair};
use super::values::{Device, Group, Mask, Number, Queues, Speed, User};
use super::{KEYS, SECTIONS, Settings};
use crate::cli::Setting;
use crate::daemon::rights::Account;
use crate::daemon::source::marking::Marking;
use crate::knobs;

/// Files that are longer are not read.
const LONGEST: u64 = 1 << 20;

/// What the command line sets; it wins over the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) workers: Option<Number<1, 256>>,
    pub(crate) replay: Option<PathBuf>,
    pub(crate) speed: Option<Speed>,
    pub(crate) repeat: bool,
    pub(crate) queue: Option<Queues>,
    pub(crate) tun: Option<Device>,
    pub(crate) drop_invalid: bool,
    pub(crate) user: Option<Account>,
    pub(crate) no_sandbox: bool,
    pub(crate) mark_mask: Option<Mask>,
    pub(crate) connmark_mask: Option<Mask>,
    pub(crate) fail_open: bool,
    pub(crate) tap: Option<Interfaces>,
    pub(crate) bridge: Option<Pair>,
    /// Keys of section `[bridge]` and their values.
    pub(crate) policy: Vec<(String, String)>,
    pub(crate) control: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) proc: Option<PathBuf>,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) metrics_top: Option<Number<0, 100>>,
    pub(crate) metrics_node_exporter: bool,
    pub(crate) sysctl: Vec<Setting>,
}

impl Overrides {
    fn names_a_source(&self) -> bool {
        self.replay.is_some()
            || self.queue.is_some()
            || self.tun.is_some()
            || self.tap.is_some()
            || self.bridge.is_some()
    }

    fn lay_over(&self, settings: &mut Settings) {
        fn put<T: Clone>(place: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        // The command line names one source, whatever the file says.
        if self.names_a_source() {
            let run = &mut settings.run;
            (run.replay, run.queue, run.tun) = (None, self.queue, self.tun.clone());
            run.tap = self.tap.clone().unwrap_or_default();
            run.bridge = self.bridge.clone().unwrap_or_default();
        }
        put(&mut settings.run.workers, self.workers.as_ref());
        put(&mut settings.run.speed, self.speed.as_ref());
        put(&mut settings.control.path, self.control.as_ref());
        for (place, path) in [
            (&mut settings.run.replay, &self.replay),
            (&mut settings.state.path, &self.state),
            (&mut settings.proc.mount, &self.proc),
        ] {
            if let Some(path) = path {
                *place = Some(path.clone()).filter(|path| !path.as_os_str().is_empty());
            }
        }
        put(&mut settings.queue.mark_mask, self.mark_mask.as_ref());
        put(
            &mut settings.queue.connmark_mask,
            self.connmark_mask.as_ref(),
        );
        put(&mut settings.metrics.top, self.metrics_top.as_ref());
        settings.metrics.address = self.metrics.or(settings.metrics.address);
        settings.metrics.node_exporter |= self.metrics_node_exporter;
        settings.run.drop_invalid |= self.drop_invalid;
        settings.run.sandbox &= !self.no_sandbox;
        if let Some(user) = &self.user {
            settings.run.user = Some(user.clone());
        }
        settings.queue.fail_open |= self.fail_open;
        settings.run.repeat |= self.repeat;
        settings.sysctl.extend(self.sysctl.iter().cloned());
    }
}

/// Something in a file that is not right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Complaint {
    file: String,
    /// 0 if it is about the whole file.
    line: usize,
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint { file, line, text } = self;
        match line {
            0 => write!(f, "{file}: {text}"),
            line => write!(f, "{file}:{line}: {text}"),
        }
    }
}

/// Reads the configuration. Without a path, the default one is read if it is there.
///
/// # Errors
///
/// All that is wrong with it.
pub(crate) fn read(path: Option<&Path>, overrides: &Overrides) -> Result<Settings, Vec<Complaint>> {
    let named = path.unwrap_or(Path::new(super::DEFAULT_PATH));
    let mut settings = Settings::default();
    let mut reading = Reading {
        file: named.display().to_string(),
        text: String::new(),
        complaints: Vec::new(),
    };
    match load(named) {
        Ok(text) => reading.text = text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.is_none() => {}
        Err(error) => reading.complain(None, format!("the configuration cannot be read: {error}")),
    }
    reading.take_file(&mut settings);
    overrides.lay_over(&mut settings);
    give_socket(&mut settings);
    reading.take_policy(&mut settings, &overrides.policy);
    if reading.complaints.is_empty() {
        reading.check_knobs(&mut settings);
        reading.check_sources(&settings);
    }
    match reading.complaints.is_empty() {
        true => Ok(settings),
        false => Err(reading.complaints),
    }
}

/// A daemon that becomes another user makes the socket that user's, unless it is somebody else's.
fn give_socket(settings: &mut Settings) {
    let (control, root) = (&mut settings.control, Settings::default().control);
    if let Some(account) = &settings.run.user {
        if control.owner == root.owner {
            control.owner = User(account.user);
        }
        if control.group == root.group {
            control.group = Group(account.group);
        }
    }
}

fn load(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LONGEST {
        let text = format!("it is longer than {LONGEST} bytes");
        return Err(std::io::Error::other(text));
    }
    std::fs::read_to_string(path)
}

struct Reading {
    file: String,
    text: String,
    complaints: Vec<Complaint>,
}

impl Reading {
    fn complain(&mut self, place: Option<Range<usize>>, text: String) {
        let before = place.and_then(|place| self.text.get(..place.start));
        let line = before.map_or(0, |before| before.matches('\n').count() + 1);
        self.complaints.push(Complaint {
            file: self.file.clone(),
            line,
            text,
        });
    }

    fn take_file(&mut self, settings: &mut Settings) {
        let text = std::mem::take(&mut self.text);
        let (table, errors) = DeTable::parse_recoverable(&text);
        self.text.clone_from(&text);
        for error in errors {
            self.complain(error.span(), error.message().to_owned());
        }
        // What comes after a mistake in the form may be read wrongly.
        if self.complaints.is_empty() {
            for (section, value) in table.get_ref().iter() {
                self.take_section(
                    settings,
                    section.get_ref(),
                    &section.span(),
                    value.get_ref(),
                );
            }
            self.complaints.sort_by_key(|complaint| complaint.line);
        }
    }

    fn take_section(
        &mut self,
        settings: &mut Settings,
        section: &str,
        place: &Range<usize>,
        value: &DeValue<'_>,
    ) {
        let known = SECTIONS.iter().any(|(name, _)| *name == section);
        let Some(table) = value.as_table().filter(|_| known || section == "sysctl") else {
            let sections: Vec<_> = SECTIONS
                .iter()
                .map(|(name, _)| format!("[{name}]"))
                .collect();
            let text = match value.as_table() {
                Some(_) => format!("[{section}]: there is no such section"),
                None => format!("{section}: keys stand in sections"),
            };
            let text = format!("{text}; there are {} and [sysctl]", sections.join(", "));
            return self.complain(Some(place.clone()), text);
        };
        if section == "sysctl" {
            return self.take_knobs(settings, "", table);
        }
        for (key, value) in table.iter() {
            let (name, place) = (key.get_ref(), value.span());
            match settings.put(section, name, value.get_ref()) {
                Some(Ok(())) => {}
                Some(Err(why)) => {
                    let given = self.text.get(place.clone()).unwrap_or_default().trim();
                    let text = format!("{section}.{name} = {given}: {why}");
                    self.complain(Some(place), text);
                }
                None => self.unknown(section, name, key.span()),
            }
        }
    }

    fn unknown(&mut self, section: &str, name: &str, place: Range<usize>) {
        let keys = KEYS.iter().filter(|key| key.section == section);
        let keys: Vec<_> = keys.map(|key| key.name).collect();
        let keys = keys.join(", ");
        self.complain(
            Some(place),
            format!("{section}.{name}: there is no such key; [{section}] has {keys}"),
        );
    }

    /// Knobs may be written with their path, whose dots TOML takes for tables in each other.
    fn take_knobs(&mut self, settings: &mut Settings, path: &str, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            let name = match path {
                "" => key.get_ref().to_string(),
                path => format!("{path}.{}", key.get_ref()),
            };
            let place = value.span();
            let number = match value.get_ref() {
                DeValue::Table(inner) => {
                    self.take_knobs(settings, &name, inner);
                    continue;
                }
                DeValue::String(text) => text.to_string(),
                _ => self
                    .text
                    .get(place.clone())
                    .unwrap_or_default()
                    .replace('_', ""),
            };
            match Config::default().set_by_name(&name, &number) {
                Ok(_) | Err(ip_conntrack::ConfigError::ThresholdOrder { .. }) => {
                    settings.sysctl.push(Setting {
                        name,
                        value: number,
                    });
                }
                Err(error) => self.complain(Some(place), format!("sysctl.{error}")),
            }
        }
    }

    /// The policy on the command line: keys and values of `[bridge]`, without the quotes.
    fn take_policy(&mut self, settings: &mut Settings, policy: &[(String, String)]) {
        for (key, text) in policy {
            let value = match text.parse::<i64>() {
                Ok(_) => format!("value = {text}"),
                Err(_) => format!("value = {text:?}"),
            };
            let table = DeTable::parse(&value).ok();
            let value = table
                .as_ref()
                .and_then(|table| table.get_ref().get("value"));
            let put = value.and_then(|value| settings.put("bridge", key, value.get_ref()));
            let why = match put {
                Some(Ok(())) => continue,
                Some(Err(why)) => why,
                None => {
                    let keys = KEYS.iter().filter(|key| key.section == "bridge");
                    let keys: Vec<_> = keys.map(|key| key.name).collect();
                    format!("there is no such key; there are {}", keys.join(", "))
                }
            };
            self.complaints.push(Complaint {
                file: "--policy".to_owned(),
                line: 0,
                text: format!("{key}={text}: {why}"),
            });
        }
    }

    /// Knobs that bound each other can only be checked together.
    fn check_knobs(&mut self, settings: &mut Settings) {
        let mut config = crate::cli::default_config();
        match knobs::set_all(&mut config, &settings.sysctl) {
            Ok(ordered) => settings.sysctl = ordered,
            Err(error) => self.complain(None, format!("[sysctl]: {error}")),
        }
    }

    /// Packets come from one place, and the number of workers may follow from that.
    fn check_sources(&mut self, settings: &Settings) {
        let run = &settings.run;
        let named = [
            ("replay", run.replay.is_some()),
            ("queue", run.queue.is_some()),
            ("tun", run.tun.is_some()),
            ("tap", !run.tap.is_none()),
            ("bridge", run.bridge.0.is_some()),
        ];
        let named: Vec<_> = named
            .iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| *name)
            .collect();
        if named.len() > 1 {
            self.complain(
                None,
                format!(
                    "[run]: packets come from one place, not from {}",
                    named.join(" and ")
                ),
            );
        }
        let queues = run.queue.map_or(1, |queues| queues.numbers().len());
        let workers = run.workers.get();
        let follows = run.queue.is_some() || run.tun.is_some();
        if follows && workers != 1 && workers != queues {
            let text = format!(
                "[run]: workers = {workers}: there is one for each queue or device, so {queues}; leave it out"
            );
            self.complain(None, text);
        }
        if let Err(why) = Marking::new(settings.queue.mark_mask.0, settings.queue.connmark_mask.0) {
            self.complain(
                None,
                format!("[queue], or --mark-mask and --connmark-mask: {why}"),
            );
        }
    }
}
