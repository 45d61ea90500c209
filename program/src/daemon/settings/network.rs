//! Values about networks: interfaces, and the policy between two of them.

use toml::de::DeValue;

use super::values::Value;

/// The longest name of an interface, in bytes.
const LONGEST: usize = 15;

/// Names of interfaces; none is none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Interfaces(pub(crate) Vec<String>);

impl Interfaces {
    const ACCEPTS: &'static str =
        "names of network interfaces in quotes, separated by commas, or \"\" for none";

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::str::FromStr for Interfaces {
    type Err = String;

    fn from_str(text: &str) -> Result<Interfaces, String> {
        if text.is_empty() {
            return Ok(Interfaces::default());
        }
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let is_name = |name: &String| {
            let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
            (1..=LONGEST).contains(&name.len()) && !name.contains(odd)
        };
        let is_new = |(at, name): (usize, &String)| !names[..at].contains(name);
        if !names.iter().all(is_name) || !names.iter().enumerate().all(is_new) {
            return Err(format!("accepts {}", Interfaces::ACCEPTS));
        }
        Ok(Interfaces(names))
    }
}

impl Value for Interfaces {
    fn accepts() -> String {
        Interfaces::ACCEPTS.to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Interfaces, String> {
        let text = value
            .as_str()
            .ok_or_else(|| format!("accepts {}", Interfaces::ACCEPTS))?;
        text.parse()
    }
}

/// Two interfaces, or none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pair(pub(crate) Option<[String; 2]>);

impl Pair {
    const ACCEPTS: &'static str =
        "the names of two network interfaces in quotes, with a comma between, or \"\" for none";
}

impl std::str::FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Pair, String> {
        let wrong = || format!("accepts {}", Pair::ACCEPTS);
        let Interfaces(names) = text.parse().map_err(|_| wrong())?;
        match names.is_empty() {
            true => Ok(Pair(None)),
            false => names
                .try_into()
                .map(|names| Pair(Some(names)))
                .map_err(|_| wrong()),
        }
    }
}

impl Value for Pair {
    fn accepts() -> String {
        Pair::ACCEPTS.to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Pair, String> {
        let text = value
            .as_str()
            .ok_or_else(|| format!("accepts {}", Pair::ACCEPTS))?;
        text.parse()
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $type:ident { $($(#[$about:meta])* $choice:ident $name:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub(crate) enum $type {
                $($(#[$about])* $choice,)*
            }

            impl $type {
                const NAMES: &'static [(&'static str, $type)] = &[$(($name, $type::$choice)),*];
            }

            impl std::str::FromStr for $type {
                type Err = String;

                fn from_str(text: &str) -> Result<$type, String> {
                    let found = $type::NAMES.iter().find(|(name, _)| *name == text);
                    let wrong = || format!("accepts {}", <$type as Value>::accepts());
                    found.map(|(_, choice)| *choice).ok_or_else(wrong)
                }
            }

            impl Value for $type {
                fn accepts() -> String {
                    let names: Vec<_> = $type::NAMES.iter().map(|(name, _)| format!("{name:?}")).collect();
                    names.join(" or ")
                }

                fn read(value: &DeValue<'_>) -> Result<$type, String> {
                    value.as_str().unwrap_or_default().parse()
                }
            }
        )*
    };
}

choices! {
    /// From where connections may be opened.
    Open {
        Both "both",
        First "first",
        Second "second",
        Neither "neither",
    }
    /// What becomes of a packet.
    Fate {
        Pass "pass",
        Drop "drop",
    }
}
