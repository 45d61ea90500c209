//! Scripts that need the kernel for themselves, into the engine and into the running kernel.
//!
//! `nf_conntrack_max` and `nf_conntrack_buckets` are the kernel's own, not the namespace's, and so is, in
//! effect, whether anybody listens to events. These scripts run one at a time and alone: cargo runs one test
//! binary after the other. The two knobs only root may set; a helper process puts them back when this one
//! ends, however it ends. Where that is not possible, it says so and passes, unless
//! `IP_CONNTRACK_REQUIRE_KERNEL=1`.
//!
//! Scripts in which a full table drops packets come last: for up to a minute after that, the kernel's
//! collector evicts whatever is not ASSURED from any table that is nearly full.

use std::cell::RefCell;
use std::path::Path;

use lab::linux::{Globals, Linux};
use lab::script::{Action, Script};
use lab::theirs::Theirs;
use libtest_mimic::{Arguments, Failed, Trial};

use support::{play_ours, play_theirs, skip};

mod support;

thread_local! {
    /// Belongs to the thread that is in its namespace.
    static KERNEL: RefCell<Result<Kernel, String>> = RefCell::new(start());
}

struct Kernel {
    side: Theirs,
    /// Why the knobs of the whole kernel cannot be set.
    no_globals: Option<String>,
}

fn start() -> Result<Kernel, String> {
    let (globals, no_globals) = match Globals::open() {
        Ok(globals) => (Some(globals), None),
        Err(why) => (None, Some(why)),
    };
    Ok(Kernel {
        side: Theirs::new(Linux::new()?, globals),
        no_globals,
    })
}

fn main() {
    let _ = lab::linux::prepare();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut scripts = support::scripts(true);
    scripts.sort_by_key(|(_, file)| support::read(file).is_ok_and(|(_, script)| drops(&script)));
    let mut trials = Vec::new();
    for (name, file) in scripts {
        let engine = file.clone();
        let ours = move || play_ours(&engine).map(|_| ());
        trials.push(Trial::test(name.clone(), ours).with_kind("engine"));
        trials.push(Trial::test(name, move || play_there(&file)).with_kind("kernel"));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Here and not at exit: the knobs are put back before the next test begins.
    KERNEL.with_borrow_mut(|kernel| *kernel = Err("over".to_owned()));
    conclusion.exit();
}

/// Whether a full table drops packets in the script.
fn drops(script: &Script) -> bool {
    script.steps().any(|step| match &step.action {
        Action::Send(send) => send.expected.linux.class == "dropped",
        _ => false,
    })
}

fn play_there(file: &Path) -> Result<(), Failed> {
    let (_, script) = support::read(file)?;
    KERNEL.with_borrow_mut(|kernel| match kernel {
        Err(why) => skip(why),
        Ok(Kernel {
            no_globals: Some(why),
            ..
        }) if script.is_global() => skip(why),
        Ok(kernel) => play_theirs(file, &mut kernel.side),
    })
}
