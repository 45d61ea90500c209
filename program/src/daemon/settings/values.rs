//! The types of values in the configuration: how each is read, and what it accepts.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use nix::unistd;
use toml::de::{DeTable, DeValue};
use tracing_subscriber::filter::LevelFilter;

/// A value of the configuration.
pub(super) trait Value: Sized {
    /// What is accepted, to end the phrase "accepts …".
    fn accepts() -> String;

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// What is accepted, or why this is not.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;
}

/// The value of a default, which the tests know to be readable.
pub(super) fn default<T: Value>(text: &str) -> T {
    let line = format!("value = {text}");
    let table = DeTable::parse(&line).ok();
    let value = table
        .as_ref()
        .and_then(|table| table.get_ref().get("value"));
    match value.map(|value| T::read(value.get_ref())) {
        Some(Ok(value)) => value,
        _ => unreachable!("the default {text} is not what its type accepts"),
    }
}

fn wrong<T: Value>() -> String {
    format!("accepts {}", T::accepts())
}

/// A whole number of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Number<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Number<MIN, MAX> {
    pub(crate) const fn get(self) -> usize {
        self.0.unsigned_abs() as usize
    }

    pub(crate) const fn secs(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl<const MIN: i64, const MAX: i64> TryFrom<i64> for Number<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match (MIN..=MAX).contains(&number) {
            true => Ok(Number(number)),
            false => Err(wrong::<Self>()),
        }
    }
}

impl<const MIN: i64, const MAX: i64> Value for Number<MIN, MAX> {
    fn accepts() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        integer(value).ok_or_else(wrong::<Self>)?.try_into()
    }
}

pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

impl Value for bool {
    fn accepts() -> String {
        "true or false".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(wrong::<Self>)
    }
}

impl Value for PathBuf {
    fn accepts() -> String {
        "an absolute path in quotes".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let path = value.as_str().map(PathBuf::from);
        path.filter(|path| path.is_absolute())
            .ok_or_else(wrong::<Self>)
    }
}

impl Value for Option<PathBuf> {
    fn accepts() -> String {
        "an absolute path in quotes, or \"\" for none".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str() {
            Some("") => Ok(None),
            _ => PathBuf::read(value).map(Some).map_err(|_| wrong::<Self>()),
        }
    }
}

impl Value for Option<SocketAddr> {
    fn accepts() -> String {
        "an IP address and a port in quotes, as in \"127.0.0.1:9817\" or \"[::1]:9817\", or \"\" for none".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str() {
            Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| wrong::<Self>()),
            None => Err(wrong::<Self>()),
        }
    }
}

/// Queues of the kernel's: the first and the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Queues {
    first: u16,
    last: u16,
}

impl Queues {
    /// The most queues: one a worker.
    const MOST: u16 = 256;

    pub(crate) fn numbers(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl FromStr for Queues {
    type Err = String;

    fn from_str(text: &str) -> Result<Queues, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last && last - first < Queues::MOST => {
                Ok(Queues { first, last })
            }
            _ => Err("accepts a queue's number from 0 to 65535, or the first and last of at most 256, as in 0-3".to_owned()),
        }
    }
}

impl Value for Option<Queues> {
    fn accepts() -> String {
        "queues in quotes, as in \"0\" or \"0-3\", or \"\" for none".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match (value.as_str(), integer(value)) {
            (Some(""), _) => Ok(None),
            (Some(text), _) => text.parse().map(Some),
            (None, Some(number)) => number.to_string().parse().map(Some),
            (None, None) => Err(wrong::<Self>()),
        }
    }
}

/// The name of a network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Device(pub(crate) String);

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Device, String> {
        let is_good = |byte: u8| byte.is_ascii_graphic() && !b"/:%".contains(&byte);
        match (1..=15).contains(&text.len()) && text.bytes().all(is_good) && !text.starts_with('.')
        {
            true => Ok(Device(text.to_owned())),
            false => Err(wrong::<Option<Device>>()),
        }
    }
}

impl Value for Option<Device> {
    fn accepts() -> String {
        "the name of an interface in quotes, at most 15 characters, or \"\" for none".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str() {
            Some("") => Ok(None),
            Some(text) => text.parse().map(Some),
            None => Err(wrong::<Self>()),
        }
    }
}

/// Bits of a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask(pub(crate) u32);

impl FromStr for Mask {
    type Err = String;

    fn from_str(text: &str) -> Result<Mask, String> {
        let number = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number.map(Mask).map_err(|_| wrong::<Mask>())
    }
}

impl Value for Mask {
    fn accepts() -> String {
        "32 bits in quotes, as in \"0xf0000000\"".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match (value.as_str(), integer(value)) {
            (Some(text), _) => text.parse(),
            (None, Some(number)) => u32::try_from(number).map(Mask).map_err(|_| wrong::<Mask>()),
            (None, None) => Err(wrong::<Self>()),
        }
    }
}

/// How fast a capture is replayed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Speed {
    /// So many times its own pace.
    Times(f64),
    /// Without waiting.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times: f64 = text.parse().map_err(|_| wrong::<Speed>())?;
        match (0.001..=1e6).contains(&times) {
            true => Ok(Speed::Times(times)),
            false => Err(wrong::<Speed>()),
        }
    }
}

impl Value for Speed {
    fn accepts() -> String {
        "a number from 0.001 to 1000000, or \"max\"".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value {
            DeValue::Float(float) => float.as_str().parse(),
            DeValue::Integer(integer) => integer.as_str().parse(),
            DeValue::String(text) => text.parse(),
            _ => Err(wrong::<Self>()),
        }
    }
}

/// Permissions of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mode(pub(crate) u32);

impl Value for Mode {
    fn accepts() -> String {
        "permissions as an octal number in quotes, as in \"0660\"".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let mode = value
            .as_str()
            .and_then(|text| u32::from_str_radix(text, 8).ok());
        let mode = mode.filter(|mode| *mode <= 0o777).map(Mode);
        mode.ok_or_else(wrong::<Self>)
    }
}

/// A user's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct User(pub(crate) u32);

impl Value for User {
    fn accepts() -> String {
        "a user's name in quotes, or number".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        account(value, |name| {
            let user = unistd::User::from_name(name).ok().flatten()?;
            Some(user.uid.as_raw())
        })
        .map(User)
        .ok_or_else(|| format!("there is no such user; {}", wrong::<Self>()))
    }
}

/// A group's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group(pub(crate) u32);

impl Value for Group {
    fn accepts() -> String {
        "a group's name in quotes, or number".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        account(value, |name| {
            let group = unistd::Group::from_name(name).ok().flatten()?;
            Some(group.gid.as_raw())
        })
        .map(Group)
        .ok_or_else(|| format!("there is no such group; {}", wrong::<Self>()))
    }
}

fn account(value: &DeValue<'_>, by_name: impl Fn(&str) -> Option<u32>) -> Option<u32> {
    match value.as_str() {
        None => u32::try_from(integer(value)?).ok(),
        // Known without asking, also where nothing can be asked any more.
        Some("root") => Some(0),
        Some(name) => by_name(name).or_else(|| name.parse().ok()),
    }
}

/// How much is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Level(pub(crate) LevelFilter);

impl Value for Level {
    fn accepts() -> String {
        "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        Ok(Level(match value.as_str() {
            Some("error") => LevelFilter::ERROR,
            Some("warn") => LevelFilter::WARN,
            Some("info") => LevelFilter::INFO,
            Some("debug") => LevelFilter::DEBUG,
            Some("trace") => LevelFilter::TRACE,
            _ => return Err(wrong::<Self>()),
        }))
    }
}

/// Where the log goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// The journal if stderr goes there.
    Auto,
    Stderr,
    Journal,
}

impl Value for Target {
    fn accepts() -> String {
        "\"auto\", \"stderr\" or \"journal\"".to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        Ok(match value.as_str() {
            Some("auto") => Target::Auto,
            Some("stderr") => Target::Stderr,
            Some("journal") => Target::Journal,
            _ => return Err(wrong::<Self>()),
        })
    }
}
