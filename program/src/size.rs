//! `ipct size`: what limits this machine's memory allows, and the lines that set them.

use std::fs;
use std::io::{self, Write};

use clap::Args;
use ip_conntrack_analysis::size::{self, Size};
use ip_conntrack_analysis::summary::grouped;
use serde::Serialize;

use crate::say;

const PAGE: u64 = 4096;

/// What `ipct size` can be told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The part of the memory that the table may take, in percent
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: u8,

    /// Bytes of memory, for another machine than this one
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<u64>,

    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What the machine says of itself, where it does.
#[derive(Serialize)]
struct Present {
    max: Option<u64>,
    buckets: Option<u64>,
    entries: Option<u64>,
    /// Whether bytes of an entry were read from the slab, or are those of usual kernels.
    slab_measured: bool,
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    size: Size,
    percent: u8,
    present: Present,
    sysctl: [String; 2],
    modprobe: String,
}

fn bytes(text: &str) -> Result<u64, String> {
    let wrong = |_| "accepts a whole number of bytes, as in 8589934592 for 8 GiB".to_owned();
    text.parse().map_err(wrong)
}

/// Returns whether this machine's memory could be told.
///
/// # Errors
///
/// Standard output could not be written to.
pub(crate) fn run(arguments: &Arguments) -> io::Result<bool> {
    let Some(memory) = arguments.memory.or_else(memory) else {
        say(format_args!(
            "/proc/meminfo: no MemTotal; give the memory in bytes by --memory"
        ));
        return Ok(false);
    };
    let slab = slab();
    let size = Size::of(memory, arguments.percent, slab);
    let told = Told {
        size,
        percent: arguments.percent,
        present: Present {
            max: knob("max"),
            buckets: knob("buckets"),
            entries: knob("count"),
            slab_measured: slab.is_some(),
        },
        sysctl: size.sysctl_lines(),
        modprobe: size.modprobe_line(),
    };
    let mut out = io::stdout().lock();
    match arguments.json {
        true => {
            serde_json::to_writer_pretty(&mut out, &told)?;
            writeln!(out)?;
        }
        false => write(&mut out, &told)?,
    }
    out.flush()?;
    Ok(true)
}

fn write(out: &mut impl Write, told: &Told) -> io::Result<()> {
    let size = &told.size;
    let mib = |bytes: u64| grouped(bytes >> 20);
    writeln!(
        out,
        "memory {} MiB, {} % of it for the table: {} MiB\n",
        mib(size.memory),
        told.percent,
        mib(size.budget)
    )?;
    let how = match told.present.slab_measured {
        true => "its slab, as measured here, extensions and a bucket",
        false => "as usual; /proc/slabinfo cannot be read",
    };
    let line = |name: &str, entries: u64, bytes: u64| {
        format!(
            "  {name:<22}{:>14} entries of {bytes} bytes",
            grouped(entries)
        )
    };
    writeln!(
        out,
        "{} ({how})",
        line("Linux", size.linux_max, size.linux_entry)
    )?;
    writeln!(
        out,
        "{}",
        line("ipct, IPv4", size.our_max[0], size.our_entry[0])
    )?;
    writeln!(
        out,
        "{}",
        line("ipct, IPv6", size.our_max[1], size.our_entry[1])
    )?;
    writeln!(
        out,
        "  {:<22}{:>14} entries (65,500 for each GiB)",
        "old rule of thumb",
        grouped(size.old_rule)
    )?;
    let now = |number: Option<u64>| number.map_or("unknown".to_owned(), grouped);
    let present = &told.present;
    writeln!(
        out,
        "  {:<22}{:>14} entries, {} buckets, {} entries in use",
        "Linux, as it is set",
        now(present.max),
        now(present.buckets),
        now(present.entries)
    )?;
    writeln!(out, "\nat once:")?;
    for line in &told.sysctl {
        writeln!(out, "  sysctl -w {}", line.replace(" = ", "="))?;
    }
    writeln!(
        out,
        "\nin /etc/sysctl.d/90-conntrack.conf, for the next boot:"
    )?;
    for line in &told.sysctl {
        writeln!(out, "  {line}")?;
    }
    writeln!(
        out,
        "\nin /etc/modprobe.d/conntrack.conf, where nf_conntrack is a module that is loaded after sysctl.d:"
    )?;
    writeln!(out, "  {}", told.modprobe)
}

fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Bytes that the slab takes for an entry, if it may be looked at.
fn slab() -> Option<u64> {
    let text = fs::read_to_string("/proc/slabinfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("nf_conntrack "))?;
    size::slab_object(line, PAGE)
}

/// A number of the running kernel's table.
pub(crate) fn knob(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Entries that a tenth of this machine's memory holds, of Linux's table or of ours.
pub(crate) fn affordable(kernel: bool) -> Option<u64> {
    let size = Size::of(memory()?, 10, slab());
    let [ours, _] = size.our_max;
    Some(if kernel { size.linux_max } else { ours })
}
