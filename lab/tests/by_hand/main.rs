//! What ctnetlink does when it is asked by hand, by Linux and by the engine.
//!
//! Each request is one message, the same bytes for both: to the kernel over its socket, in a namespace of its
//! own, and to the engine through its codec. Then are compared: the error number; the events, byte for
//! byte; and after each group of requests the whole listing, byte for byte. So this is the test of the codec
//! against real messages, and of the rules for changes by hand against the real ones.
//!
//! Left out of the comparison are the id, which is each table's own, a second more or less to live, and the
//! empty `SYNPROXY` that Linux puts into entries made by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod both;
mod entries;
mod expectations;
mod packets;
mod real;

use libtest_mimic::{Arguments, Failed, Trial};

use both::Both;

fn main() {
    let _ = lab::linux::prepare();
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        (
            "entries_made_by_hand",
            entries::made_by_hand as fn(&mut Both),
        ),
        ("entries_changed_by_hand", entries::changed_by_hand),
        ("entries_deleted_by_hand", entries::deleted_by_hand),
        ("expectations_made_by_hand", expectations::made_by_hand),
        ("expectations_fulfilled", expectations::fulfilled),
        ("packets_of_entries_made_by_hand", packets::that_follow),
        (
            "the_first_packet_ends_gre_made_by_hand_in_linux_only",
            packets::of_gre,
        ),
        (
            "real_messages_are_written_as_they_were_read",
            real::messages,
        ),
    ]
    .into_iter()
    .map(|(name, test)| Trial::test(name, move || run(test)))
    .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Each in a thread, and so in a namespace, of its own.
fn run(test: fn(&mut Both)) -> Result<(), Failed> {
    let thread = std::thread::spawn(move || match Both::new() {
        Ok(mut both) => {
            test(&mut both);
            Ok(())
        }
        Err(why) => skip(&why),
    });
    thread.join().unwrap_or_else(|_| Err("it panicked".into()))
}

fn skip(why: &str) -> Result<(), Failed> {
    if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some() {
        return Err(why.into());
    }
    println!("not compared with the kernel: {why}");
    Ok(())
}
