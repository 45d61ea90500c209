//! `lab compare`: captures into both, compared after every packet and, as whole tables, at the end.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use ip_conntrack::{Knob, LinkType, Packet};
use ip_conntrack_link::Capture;
use lab::duel::{self, Account, Duel, Found};
use lab::linux::Linux;

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Capture files
    #[arg(required = true, value_name = "CAPTURE")]
    files: Vec<PathBuf>,

    /// Keep the capture's own pace, instead of playing it as fast as it goes
    #[arg(long)]
    real_time: bool,

    /// Longest pause to keep, in seconds
    #[arg(long, default_value_t = 5.0)]
    longest_pause: f64,

    /// Knobs for both
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
}

#[derive(Default)]
struct Totals {
    packets: u64,
    passed_over: u64,
    unclear: u64,
    differences: usize,
}

pub(crate) fn run(arguments: &Compare) -> Result<bool, String> {
    let mut knobs = Vec::new();
    for setting in &arguments.sysctl {
        let (name, value) = setting.split_once('=').ok_or("--sysctl NAME=VALUE")?;
        knobs.push((name.to_owned(), value.to_owned()));
    }
    // A damaged capture is compared as far as it can be read; one that is not there is a mistake.
    for file in &arguments.files {
        std::fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let (mut packets, mut differences) = (0, 0);
    for file in &arguments.files {
        // A namespace for each capture: unfinished fragments of one are not those of the next.
        let mut linux = Linux::new()?;
        linux.listen(true).map_err(|error| error.to_string())?;
        for (name, value) in &knobs {
            linux.set(name, value)?;
        }
        let mut config = duel::config(&knobs).map_err(|error| error.to_string())?;
        config
            .set(Knob::Max, 1_000_000)
            .map_err(|error| error.to_string())?;
        let mut duel = Duel::new(config);
        let mut totals = Totals::default();
        play(arguments, file, &mut duel, &mut linux, &mut totals)?;
        let tables = duel
            .compare_tables(&mut linux)
            .map_err(|error| error.to_string())?;
        tables
            .iter()
            .for_each(|difference| println!("    {difference}"));
        totals.differences += tables.len();
        println!(
            "{}: {} packets, {} passed over, {} unclear, {} differences",
            file.display(),
            totals.packets,
            totals.passed_over,
            totals.unclear,
            totals.differences
        );
        packets += totals.packets;
        differences += totals.differences;
    }
    let files = arguments.files.len();
    println!("{files} captures, {packets} packets, {differences} differences");
    Ok(differences == 0)
}

fn play(
    arguments: &Compare,
    file: &Path,
    duel: &mut Duel,
    linux: &mut Linux,
    totals: &mut Totals,
) -> Result<(), String> {
    let mut capture = match Capture::open(file) {
        Ok(capture) => capture,
        Err(error) => {
            println!("{error}");
            return Ok(());
        }
    };
    let mut last = None;
    loop {
        let frame = match capture.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(error) => {
                println!("{error}");
                return Ok(());
            }
        };
        let pause = frame
            .time_ns
            .saturating_sub(last.replace(frame.time_ns).unwrap_or(u64::MAX));
        if arguments.real_time {
            let longest = Duration::from_secs_f64(arguments.longest_pause);
            sleep(Duration::from_nanos(pause).min(longest));
        }
        while duel.is_too_close() && arguments.real_time {
            sleep(Duration::from_millis(50));
        }
        let link = LinkType::from_number(frame.link_type);
        let parsed = link.map(|link| {
            Packet::parse_cut(link, frame.bytes, frame.wire_len as usize)
                .map(|p| (p.bytes(), p.is_whole()))
        });
        let Some(Ok((bytes, true))) = parsed else {
            totals.passed_over += 1;
            continue;
        };
        totals.packets += 1;
        match duel.play_captured(bytes, linux) {
            Ok(Found::Same) => {}
            Ok(Found::Unclear) => totals.unclear += 1,
            Ok(Found::Different(accounts)) => {
                totals.differences += 1;
                println!("  packet {}:", frame.index);
                show(&accounts);
            }
            // The device refuses what no IP packet can be.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                totals.passed_over += 1;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Prints what the two made of a packet.
pub(crate) fn show(accounts: &[Account; 2]) {
    for (who, account) in [("engine", &accounts[0]), ("kernel", &accounts[1])] {
        println!(
            "    {who}: {} {}",
            account.class,
            account.reason.unwrap_or_default()
        );
        for (entry, same) in account.entries.iter().zip(account.same) {
            let same = match same {
                None => "",
                Some(true) => " same",
                Some(false) => " another",
            };
            entry
                .iter()
                .for_each(|entry| println!("        {entry}{same}"));
        }
        for event in &account.events {
            println!("        {event}");
        }
    }
}
