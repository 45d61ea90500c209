//! Scripts about a full table, into the engine and into the running kernel.
//!
//! `nf_conntrack_max` and `nf_conntrack_buckets` are the kernel's own, not the namespace's: this runs
//! only as root, alone (cargo runs one test binary after the other), one script at a time, and a helper
//! process puts the values back when this one ends, however it ends. Where that is not possible, it says
//! so and passes, unless `IP_CONNTRACK_REQUIRE_KERNEL=1`.

use std::cell::RefCell;

use lab::linux::{Globals, Linux};
use lab::theirs::Theirs;
use libtest_mimic::{Arguments, Trial};

mod support;

thread_local! {
    /// Belongs to the thread that is in its namespace.
    static KERNEL: RefCell<Result<Theirs, String>> = RefCell::new(start());
}

fn start() -> Result<Theirs, String> {
    let globals = Globals::open()?;
    Ok(Theirs::new(Linux::new()?, Some(globals)))
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    for (name, file) in support::scripts(true) {
        let engine = file.clone();
        let ours = move || support::play_ours(&engine).map(|_| ());
        let theirs = move || {
            KERNEL.with_borrow_mut(|kernel| match kernel {
                Ok(kernel) => support::play_theirs(&file, kernel),
                Err(why) => support::skip(why),
            })
        };
        trials.push(Trial::test(name.clone(), ours).with_kind("engine"));
        trials.push(Trial::test(name, theirs).with_kind("kernel"));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The values are put back when the helper sees the end of its input, also after `exit`.
    KERNEL.with_borrow_mut(|kernel| *kernel = Err("over".to_owned()));
    conclusion.exit();
}
