//! Every script under `lab/scripts` is a test, or two: the engine does what the script expects, and
//! so does the running kernel, where namespaces are allowed. `IP_CONNTRACK_REQUIRE_KERNEL=1` makes it
//! a failure that they are not.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lab::linux::Linux;
use lab::script::Script;
use lab::{Mismatch, ours, theirs};
use libtest_mimic::{Arguments, Failed, Trial};

/// Kernels that scripts are played into side by side; most of the time they wait.
const KERNELS: usize = 8;

fn main() {
    // What is not allowed here will be said by the first script.
    let _ = lab::linux::prepare();
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no scripts under {}", root.display());
    let kernels = Arc::new(Kernels::start());
    let mut trials = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(&root)
            .unwrap_or(&file)
            .display()
            .to_string();
        let (engine, kernel) = (file.clone(), file);
        let kernels = Arc::clone(&kernels);
        trials.push(Trial::test(name.clone(), move || play_ours(&engine)).with_kind("engine"));
        trials.push(Trial::test(name, move || kernels.play(kernel)).with_kind("kernel"));
    }
    let mut arguments = arguments;
    arguments.test_threads.get_or_insert(KERNELS);
    libtest_mimic::run(&arguments, trials).exit();
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "trace")
        {
            files.push(path);
        }
    }
}

fn read(file: &Path) -> Result<(String, Script), Failed> {
    let text = std::fs::read_to_string(file)?;
    let name = file.display();
    let script = Script::parse(&text).map_err(|(line, why)| format!("{name}:{line}: {why}"))?;
    if !text.starts_with("# ") {
        return Err("the first line must say what the script shows".into());
    }
    let mut steps = script.cases.iter().flat_map(|case| &case.steps);
    let differs = steps.any(|step| step.ours.is_some());
    let is_among_differences = file
        .components()
        .any(|part| part.as_os_str() == "differences");
    if differs != is_among_differences {
        return Err("differences from Linux are in the folder `differences`, and only they".into());
    }
    Ok((text, script))
}

fn play_ours(file: &Path) -> Result<(), Failed> {
    let (text, script) = read(file)?;
    report(file, &text, &ours::play(&script)?)
}

fn play_theirs(file: &Path, linux: &mut Linux) -> Result<(), Failed> {
    let (text, script) = read(file)?;
    report(file, &text, &theirs::play(&script, linux)?)
}

fn report(file: &Path, text: &str, mismatches: &[Mismatch]) -> Result<(), Failed> {
    if mismatches.is_empty() {
        return Ok(());
    }
    let mut report = String::new();
    for mismatch in mismatches {
        let source = text.lines().nth(mismatch.line - 1).unwrap_or_default();
        let entry = mismatch.seen.entry.as_ref().map(ToString::to_string);
        report.push_str(&format!(
            "{}:{}: {}\n    {}\n    seen: {} {} ({})\n",
            file.display(),
            mismatch.line,
            mismatch.case,
            source.trim(),
            mismatch.seen.class,
            entry.as_deref().unwrap_or("no entry"),
            mismatch.reason.unwrap_or("no reason"),
        ));
    }
    Err(report.into())
}

/// Routers inside the kernel, each with a thread of its own, since a namespace belongs to a thread.
struct Kernels {
    jobs: Vec<Mutex<std::sync::mpsc::Sender<Job>>>,
    unavailable: Option<String>,
}

type Job = (PathBuf, std::sync::mpsc::Sender<Result<(), Failed>>);

impl Kernels {
    fn start() -> Kernels {
        let mut kernels = Kernels {
            jobs: Vec::new(),
            unavailable: None,
        };
        for _ in 0..KERNELS {
            let (ready, started) = std::sync::mpsc::channel();
            let (jobs, waiting) = std::sync::mpsc::channel::<Job>();
            std::thread::spawn(move || {
                let linux = Linux::new();
                let _ = ready.send(linux.as_ref().err().cloned());
                let Ok(mut linux) = linux else { return };
                for (file, done) in waiting {
                    let _ = done.send(play_theirs(&file, &mut linux));
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
            if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some() {
                return Err(format!("the kernel is required, but: {why}").into());
            }
            eprintln!("skipped: {why}");
            return Ok(());
        }
        let (done, result) = std::sync::mpsc::channel();
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
