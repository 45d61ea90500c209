//! What can be set: the sysctls of netfilter's connection tracking, with their names, defaults and
//! bounds.
//!
//! A [`Knob`] is the name of a setting, a [`Config`] a value for each. All knobs are declared in
//! one table (`knobs.rs`), and whatever shows or changes them (help, manual, listings,
//! `--sysctl NAME=VALUE`) asks [`Knob::ALL`] and [`Knob::info`].
//!
//! Invariants:
//!
//! - Every value of a `Config` is within the bounds of its knob, and a low threshold is never above
//!   its high one: there is no way to set it otherwise.
//! - A refused change leaves the `Config` as it was.
//!
//! Names: today's `nf_conntrack_*`, and the `ip_conntrack_*` of Linux 2.4 and 2.6 where there was
//! one; alone, or with their path, with slashes or dots, with or without `/proc/sys`. The old names
//! mean the same values, but for one: `ip_conntrack_tcp_loose` was the number of packets after which
//! a connection under way was believed (3 at first), so through it any value of 1 or more is 1.
//!
//! A changed timeout applies when a timer is next set. A timeout of -1 is legal, as it is in Linux:
//! the entry is expired from birth.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt::{self, Display, Formatter};

mod knobs;
mod nearest;

pub use knobs::Knob;

/// What a knob's number counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    /// A number of things.
    Count,
    /// 0 for no, 1 for yes.
    Flag,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// One of several meanings, which the documentation of the knob lists.
    Choice,
}

/// The description of a knob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnobInfo {
    /// Its name today, without a path.
    pub name: &'static str,
    /// The directory of that name under `/proc/sys`, with slashes.
    pub path: &'static str,
    /// Other names of the same value, each with its path under `/proc/sys`.
    pub old_names: &'static [&'static str],
    /// Its value in a [`Config`] that nobody changed, in `unit`.
    pub default: i64,
    /// The least value that it accepts, in `unit`.
    pub min: i64,
    /// The greatest value that it accepts, in `unit`.
    pub max: i64,
    /// What its value counts.
    pub unit: Unit,
    /// Whether it can only be read.
    pub read_only: bool,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

impl KnobInfo {
    /// The name by which `name` means this knob: today's, or the last part of an old one.
    fn matched(&self, name: &str) -> Option<&'static str> {
        let name = name.strip_prefix("/proc/sys/").unwrap_or(name);
        if is_path(name, self.path, self.name) {
            return Some(self.name);
        }
        let old = self.old_names.iter().filter_map(|old| old.rsplit_once('/'));
        old.filter(|(path, leaf)| is_path(name, path, leaf))
            .map(|(_, leaf)| leaf)
            .next()
    }
}

/// Whether `name` is `leaf`, alone or below `path`, with slashes or dots.
fn is_path(name: &str, path: &str, leaf: &str) -> bool {
    let separators = ['/', '.'];
    match name.rsplit_once(separators) {
        Some((above, last)) => last == leaf && above.split(separators).eq(path.split('/')),
        None => name == leaf,
    }
}

impl Knob {
    /// The description of this knob.
    pub const fn info(self) -> &'static KnobInfo {
        &knobs::TABLE[self as usize]
    }

    /// The knob of that name, today's or an old one; see the [module](self) for the forms.
    pub fn by_name(name: &str) -> Option<Knob> {
        Some(Knob::matched(name)?.0)
    }

    /// The knob of that name, and the name without its path.
    fn matched(name: &str) -> Option<(Knob, &'static str)> {
        let matched = |knob: &Knob| Some((*knob, knob.info().matched(name)?));
        Knob::ALL.iter().find_map(matched)
    }
}

/// Low thresholds with the high ones that they must not pass.
const THRESHOLDS: [(Knob, Knob); 2] = [
    (Knob::Frag6LowThresh, Knob::Frag6HighThresh),
    (Knob::IpfragLowThresh, Knob::IpfragHighThresh),
];

/// A value for every knob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    values: [i64; Knob::ALL.len()],
}

impl Config {
    /// The value of `knob`, in its unit.
    #[inline]
    pub const fn get(&self, knob: Knob) -> i64 {
        self.values[knob as usize]
    }

    /// The value of a knob that is a time: within the bounds of those, it fits.
    #[inline(always)]
    pub(crate) const fn secs(&self, knob: Knob) -> i32 {
        self.get(knob) as i32
    }

    /// Whether `knob` is other than 0.
    #[inline]
    pub const fn flag(&self, knob: Knob) -> bool {
        self.get(knob) != 0
    }

    /// Sets `knob` to `value`, in its unit.
    ///
    /// # Errors
    ///
    /// The knob is read only, or the value is out of its bounds or on the wrong side of its
    /// threshold; then nothing is changed.
    pub fn set(&mut self, knob: Knob, value: i64) -> Result<(), ConfigError> {
        let &KnobInfo {
            name,
            min,
            max,
            read_only,
            ..
        } = knob.info();
        if read_only {
            return Err(ConfigError::ReadOnly { name });
        }
        if !(min..=max).contains(&value) {
            return Err(ConfigError::OutOfBounds {
                name,
                value,
                min,
                max,
            });
        }
        self.check_order(knob, value)?;
        self.values[knob as usize] = value;
        Ok(())
    }

    /// Refuses a low threshold above its high one.
    fn check_order(&self, knob: Knob, value: i64) -> Result<(), ConfigError> {
        for (low, high) in THRESHOLDS {
            let above = knob == low && value > self.get(high);
            let below = knob == high && value < self.get(low);
            if above || below {
                let other = if above { high } else { low };
                return Err(ConfigError::ThresholdOrder {
                    name: knob.info().name,
                    value,
                    other: other.info().name,
                    other_value: self.get(other),
                });
            }
        }
        Ok(())
    }

    /// Sets the knob called `name`, in any form that [`Knob::by_name`] knows, to the number that
    /// `value` spells, and says which knob it was.
    ///
    /// # Errors
    ///
    /// There is no such knob, `value` is not a whole number, or [`Config::set`] refuses it.
    pub fn set_by_name(&mut self, name: &str, value: &str) -> Result<Knob, ConfigError> {
        let Some((knob, matched)) = Knob::matched(name) else {
            return Err(ConfigError::UnknownKnob {
                name: name.to_owned(),
                nearest: nearest::nearest(name),
            });
        };
        let &KnobInfo {
            name,
            min,
            max,
            read_only,
            ..
        } = knob.info();
        match value.trim().parse::<i64>() {
            _ if read_only => return Err(ConfigError::ReadOnly { name }),
            Ok(number) if matched == "ip_conntrack_tcp_loose" => self.set(knob, number.min(1))?,
            Ok(number) => self.set(knob, number)?,
            Err(_) => {
                let value = value.to_owned();
                return Err(ConfigError::NotANumber {
                    name,
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(knob)
    }
}

/// Why a setting was refused. The text names the knob, the value and what is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// No knob has that name.
    UnknownKnob {
        /// The name as given.
        name: String,
        /// The knob that was probably meant.
        nearest: Option<&'static str>,
    },
    /// The value is not a whole number, or one beyond 64 bits.
    NotANumber {
        /// The knob.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The least value accepted.
        min: i64,
        /// The greatest value accepted.
        max: i64,
    },
    /// The value is less or greater than the knob accepts.
    OutOfBounds {
        /// The knob.
        name: &'static str,
        /// The value as given.
        value: i64,
        /// The least value accepted.
        min: i64,
        /// The greatest value accepted.
        max: i64,
    },
    /// The knob can only be read.
    ReadOnly {
        /// The knob.
        name: &'static str,
    },
    /// The value would put a low threshold above its high one.
    ThresholdOrder {
        /// The knob.
        name: &'static str,
        /// The value as given, in bytes.
        value: i64,
        /// The other threshold.
        other: &'static str,
        /// What the other threshold is now, in bytes.
        other_value: i64,
    },
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKnob {
                name,
                nearest: None,
            } => write!(f, "{name}: no such knob"),
            ConfigError::UnknownKnob {
                name,
                nearest: Some(nearest),
            } => {
                write!(f, "{name}: no such knob; did you mean {nearest}?")
            }
            ConfigError::NotANumber {
                name,
                value,
                min,
                max,
            } => {
                write!(
                    f,
                    "{name}={value}: accepts a whole number, {}",
                    Bounds(*min, *max)
                )
            }
            ConfigError::OutOfBounds {
                name,
                value,
                min,
                max,
            } => {
                write!(f, "{name}={value}: accepts {}", Bounds(*min, *max))
            }
            ConfigError::ReadOnly { name } => {
                write!(f, "{name}: accepts no value, it can only be read")
            }
            ConfigError::ThresholdOrder {
                name,
                value,
                other,
                other_value,
            } => {
                let side = if value > other_value {
                    "at most"
                } else {
                    "at least"
                };
                write!(
                    f,
                    "{name}={value}: accepts {side} {other_value}, which is {other}"
                )
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// The values from the first to the second, as a phrase.
struct Bounds(i64, i64);

impl Display for Bounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Bounds(min, i64::MAX) => write!(f, "{min} or more"),
            Bounds(min, max) => write!(f, "{min} to {max}"),
        }
    }
}
