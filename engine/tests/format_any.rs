//! Whatever the entry, every form is well formed.

mod any;
mod format_builder;

use any::{any_connection, any_event};
use format_builder::written;
use ip_conntrack::format::{Options, json, line, xml};
use proptest::prelude::*;

const NAMES: &[(u8, &str)] = &[(0, "zero"), (1, "one two"), (2, ""), (127, "last\n")];

prop_compose! {
    fn any_options()(
        [extended, id, timestamp, ktimestamp, labels] in any::<[bool; 5]>(),
    ) -> Options<'static> {
        Options {
            extended,
            id,
            timestamp,
            ktimestamp,
            labels: labels.then_some(NAMES),
            utc_offset: |_| -3600,
        }
    }
}

/// One line; single blanks, but for the padding of names and of `asctime`'s day; none at the end.
fn check_line(text: &str) -> Result<(), TestCaseError> {
    prop_assert!(text.ends_with('\n'));
    prop_assert_eq!(text.lines().count(), 1, "{:?}", text);
    prop_assert!(!text.ends_with(" \n"));
    let Some((_, fields)) = text.split_once("src=") else {
        return Err(TestCaseError::fail("no tuple"));
    };
    for piece in fields.split("  ").skip(1) {
        let day = piece.split(' ').next().unwrap_or_default();
        prop_assert!(day.len() == 1, "double blank in {:?}", text);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_entry_is_one_line_of_single_blanks(c in any_connection(), options in any_options()) {
        check_line(&written(|out| line::ip_conntrack(out, &c)))?;
        check_line(&written(|out| line::nf_conntrack(out, &c)))?;
        check_line(&written(|out| line::list(out, &c, &options)))?;
    }

    #[test]
    fn any_event_is_one_line_of_single_blanks(event in any_event(), options in any_options()) {
        check_line(&written(|out| line::event(out, &event, &options)))?;
    }

    #[test]
    fn any_entry_or_event_is_one_object(event in any_event(), options in any_options()) {
        for text in [
            written(|out| json::entry(out, &event.connection, &options)),
            written(|out| json::event(out, &event, &options)),
        ] {
            prop_assert_eq!(text.find('\n'), Some(text.len() - 1));
            let value: serde_json::Value = serde_json::from_str(&text)?;
            prop_assert_eq!(value["id"].as_u64(), Some(event.connection.id.into()));
            if let Some(helper) = &event.connection.helper {
                prop_assert_eq!(value["helper"].as_str(), Some(helper.as_str()));
            }
        }
    }

    #[test]
    fn any_flow_closes_what_it_opens(event in any_event(), options in any_options()) {
        for text in [
            written(|out| xml::entry(out, &event.connection, &options)),
            written(|out| xml::event(out, &event, &options)),
        ] {
            prop_assert_eq!(text.find('\n'), Some(text.len() - 1));
            let mut open = Vec::new();
            for tag in text.split('<').skip(1) {
                let (tag, _) = tag.split_once('>').unwrap();
                if let Some(name) = tag.strip_prefix('/') {
                    prop_assert_eq!(open.pop(), Some(name));
                } else if !tag.ends_with('/') {
                    open.push(tag.split(' ').next().unwrap());
                }
            }
            prop_assert!(open.is_empty());
        }
    }
}
