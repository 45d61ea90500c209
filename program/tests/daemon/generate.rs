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
        (
            "ipct-run.1",
            &[
                "SIGHUP",
                "proc",
                "replay",
                "no-sandbox",
                "replace",
                "ipct-rights",
            ],
        ),
        (
            "ipct-rights.7",
            &["CAP_NET_ADMIN", "unmount-behind", "--replace"],
        ),
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

/// What `systemd-analyze` says of the unit with these additions.
fn analyze(bench: &Bench, additions: &[&str], arguments: &[&str]) -> (bool, String) {
    let packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging");
    let folder = bench.path(&format!("units-{}", additions.join("-")));
    let beside = folder.join("ipct.service.d");
    fs::create_dir_all(&beside).unwrap();
    let unit = fs::read_to_string(format!("{packaging}/ipct.service")).unwrap();
    let unit = unit.replace("/usr/bin/ipct", env!("CARGO_BIN_EXE_ipct"));
    fs::write(folder.join("ipct.service"), unit).unwrap();
    for name in additions {
        let name = format!("{name}.conf");
        fs::copy(
            format!("{packaging}/ipct.service.d/{name}"),
            beside.join(&name),
        )
        .unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(folder.join("ipct.service"))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// With each source of packets, and how exposed it is at most by systemd's own reckoning, in tenths.
const UNITS: [(&[&str], u32); 7] = [
    (&[], 14),
    (&["queue"], 20),
    (&["tap"], 21),
    (&["bridge"], 25),
    (&["tun"], 25),
    (&["proc"], 38),
    (&["proc", "queue"], 44),
];

#[test]
fn the_units_are_units_and_let_through_no_more_than_they_should() {
    if !has("systemd-analyze", "unit") {
        return;
    }
    let bench = Bench::new();
    for (additions, most) in UNITS {
        let (is_good, said) = analyze(&bench, additions, &["verify", "--man=no"]);
        assert!(is_good && !said.contains("ipct"), "{additions:?}: {said}");
        let (_, said) = analyze(
            &bench,
            additions,
            &["security", "--offline=yes", "--no-pager"],
        );
        let level = said.split("exposure level for ipct.service: ").nth(1);
        let level = level.and_then(|rest| rest.split(' ').next());
        let level: f64 = level.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
        println!("{additions:?}: exposure {level}");
        assert!(level * 10.0 <= f64::from(most), "{additions:?}: {said}");
    }
}
