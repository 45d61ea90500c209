//! Every script under `lab/scripts` is a test: the engine does what the script expects.

use std::path::{Path, PathBuf};

use lab::ours;
use lab::script::Script;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no scripts under {}", root.display());
    let trials = files.into_iter().map(|file| {
        let name = file
            .strip_prefix(&root)
            .unwrap_or(&file)
            .display()
            .to_string();
        Trial::test(name, move || play(&file))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
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

fn play(file: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(file)?;
    let name = file.display();
    let script = Script::parse(&text).map_err(|(line, why)| format!("{name}:{line}: {why}"))?;
    if !text.starts_with("# ") {
        return Err("the first line must say what the script shows".into());
    }
    let mismatches = ours::play(&script)?;
    if mismatches.is_empty() {
        return Ok(());
    }
    let mut report = String::new();
    for mismatch in mismatches {
        let source = text.lines().nth(mismatch.line - 1).unwrap_or_default();
        report.push_str(&format!(
            "{name}:{}: {}\n    {}\n    seen: {} {:?} ({})\n",
            mismatch.line,
            mismatch.case,
            source.trim(),
            mismatch.seen.class,
            mismatch.seen.entry,
            mismatch.reason.unwrap_or("no reason"),
        ));
    }
    Err(report.into())
}
