//! What is made from the declarations: manual pages, completions, the sample configuration.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, has};

#[test]
fn the_sample_configuration_is_a_configuration_also_with_every_key_in_it() {
    let bench = Bench::new();
    generate(&bench);
    let sample = fs::read_to_string(bench.path("made/ipct.conf")).unwrap();
    for text in [sample.clone(), uncommented(&sample)] {
        fs::write(bench.path("ipct.conf"), &text).unwrap();
        let output = bench.command(&["--check"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert!(uncommented(&sample).contains("nf_conntrack_max = 262144\n"));
}

fn generate(bench: &Bench) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipct"));
    let status = command.arg("generate").arg(bench.path("made")).status();
    assert!(status.unwrap().success());
}

/// Lines like `#key = value` without their sign.
fn uncommented(sample: &str) -> String {
    let lines = sample.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') && rest.contains(" = ") => rest,
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_manual_names_every_key_and_every_option() {
    let bench = Bench::new();
    generate(&bench);
    let page = fs::read_to_string(bench.path("made/ipct.conf.5")).unwrap();
    let sample = fs::read_to_string(bench.path("made/ipct.conf")).unwrap();
    for line in uncommented(&sample)
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'))
    {
        let key = line.split(" = ").next().unwrap();
        assert!(page.contains(key), "{key}");
    }
    for (page, words) in [
        (
            "ipct.1",
            &["replay", "sysctl", "reply-src", "dump", "EXIT STATUS"][..],
        ),
        ("ipct-run.1", &["SIGHUP", "proc", "replay"]),
        ("ipct-sysctl.1", &["NAME"]),
    ] {
        let text = fs::read_to_string(bench.path("made").join(page))
            .unwrap()
            .replace('\\', "");
        words
            .iter()
            .for_each(|word| assert!(text.contains(word), "{page}: {word}"));
    }
    for script in ["ipct.bash", "_ipct", "ipct.fish"] {
        let text = fs::read_to_string(bench.path("made").join(script)).unwrap();
        assert!(
            text.contains("sysctl") && text.contains("dump") && text.contains("reply-src"),
            "{script}"
        );
    }
}

#[test]
fn the_unit_is_one() {
    if !has("systemd-analyze", "unit") {
        return;
    }
    let bench = Bench::new();
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/ipct.service");
    let text = fs::read_to_string(unit)
        .unwrap()
        .replace("/usr/bin/ipct", env!("CARGO_BIN_EXE_ipct"));
    let place = bench.path("ipct.service");
    fs::write(&place, text).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&place)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && !said.contains("ipct.service"),
        "{said}"
    );
}
