//! Every script under `lab/scripts` is a test, or two: the engine does what the script expects, and
//! so does the running kernel, where namespaces are allowed. `IP_CONNTRACK_REQUIRE_KERNEL=1` makes it
//! a failure that they are not. Scripts that need the kernel for themselves are in `alone.rs`.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use lab::linux::Linux;
use lab::theirs::Theirs;
use libtest_mimic::{Arguments, Failed, Trial};

mod support;

/// Kernels that scripts are played into side by side; most of the time they wait.
const KERNELS: usize = 8;

fn main() {
    // What is not allowed here will be said by the first script.
    let _ = lab::linux::prepare();
    let mut arguments = Arguments::from_args();
    let kernels = Arc::new(Kernels::start());
    let mut trials = Vec::new();
    for (name, file) in support::scripts(false) {
        let (engine, kernel) = (file.clone(), file);
        let kernels = Arc::clone(&kernels);
        let ours = move || support::play_ours(&engine).map(|_| ());
        trials.push(Trial::test(name.clone(), ours).with_kind("engine"));
        trials.push(Trial::test(name, move || kernels.play(kernel)).with_kind("kernel"));
    }
    trials.push(Trial::test("DIFFERENCES.md", differences_are_shown));
    arguments.test_threads.get_or_insert(KERNELS);
    libtest_mimic::run(&arguments, trials).exit();
}

/// Routers inside the kernel, each with a thread of its own, since a namespace belongs to a thread.
struct Kernels {
    jobs: Vec<Mutex<Sender<Job>>>,
    unavailable: Option<String>,
}

type Job = (PathBuf, Sender<Result<(), Failed>>);

impl Kernels {
    fn start() -> Kernels {
        let mut kernels = Kernels {
            jobs: Vec::new(),
            unavailable: None,
        };
        for _ in 0..KERNELS {
            let (ready, started) = channel();
            let (jobs, waiting) = channel::<Job>();
            std::thread::spawn(move || {
                let linux = Linux::new();
                let _ = ready.send(linux.as_ref().err().cloned());
                let Ok(linux) = linux else { return };
                let mut kernel = Theirs::new(linux, None);
                for (file, done) in waiting {
                    let _ = done.send(support::play_theirs(&file, &mut kernel));
                }
            });
            match started.recv() {
                Ok(None) => kernels.jobs.push(Mutex::new(jobs)),
                Ok(Some(why)) => kernels.unavailable = Some(why),
                Err(_) => kernels.unavailable = Some("the thread ended".to_owned()),
            }
        }
        kernels
    }

    fn play(&self, file: PathBuf) -> Result<(), Failed> {
        if let Some(why) = &self.unavailable {
            return support::skip(why);
        }
        let (done, result) = channel();
        let free = self.jobs.iter().find_map(|jobs| jobs.try_lock().ok());
        let jobs = match free {
            Some(jobs) => jobs,
            None => self.jobs[0]
                .lock()
                .map_err(|_| "a kernel thread panicked")?,
        };
        jobs.send((file, done))?;
        result.recv()?
    }
}

/// DIFFERENCES.md names every script of the folder `differences`, and names no script or test that is not
/// there.
fn differences_are_shown() -> Result<(), Failed> {
    let project = support::root().join("../..");
    let text = std::fs::read_to_string(project.join("DIFFERENCES.md"))?;
    let mut files = Vec::new();
    support::collect(&support::root().join("differences"), &mut files);
    for file in &files {
        let name = file.file_name().unwrap_or_default().display().to_string();
        if !text.contains(&format!("`{name}`")) {
            return Err(format!("DIFFERENCES.md does not name {name}").into());
        }
    }
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter(|word| word.ends_with(".trace") || word.ends_with(".rs"));
    for name in named {
        let places = [
            "",
            "lab",
            "lab/scripts/differences",
            "program/tests/conntrack",
        ];
        if !places
            .iter()
            .any(|place| project.join(place).join(name).is_file())
        {
            return Err(format!("DIFFERENCES.md names {name}, which is not there").into());
        }
    }
    Ok(())
}
