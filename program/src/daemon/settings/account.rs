//! A user, and perhaps a group, by name or number.

use std::str::FromStr;

use nix::unistd::{Group, User};
use toml::de::DeValue;

use super::values::Value;
use crate::daemon::rights::Account;

const ACCEPTS: &str = "a user in quotes, by name or number, with a group if it is not the user's own, as in \
                       \"ipct\" or \"ipct:adm\", or \"\" for none";

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Account, String> {
        let (name, group) = match text.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (text, None),
        };
        let number: Option<u32> = name.parse().ok();
        let known = match number {
            Some(number) => User::from_uid(number.into()),
            None => User::from_name(name),
        };
        let known = known.ok().flatten();
        let user = known.as_ref().map(|user| user.uid.as_raw()).or(number);
        let user = user.ok_or_else(|| format!("there is no user {name:?}; accepts {ACCEPTS}"))?;
        let group = match group {
            Some(group) => group_of(group),
            None => known.map(|user| user.gid.as_raw()).or(number),
        };
        let group = group.ok_or_else(|| format!("there is no such group; accepts {ACCEPTS}"))?;
        Ok(Account {
            name: name.to_owned(),
            user,
            group,
        })
    }
}

fn group_of(name: &str) -> Option<u32> {
    let by_name = || Some(Group::from_name(name).ok()??.gid.as_raw());
    name.parse().ok().or_else(by_name)
}

impl Value for Option<Account> {
    fn accepts() -> String {
        ACCEPTS.to_owned()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str() {
            Some("") => Ok(None),
            Some(text) => text.parse().map(Some),
            None => Err(format!("accepts {ACCEPTS}")),
        }
    }
}
