//! Where the daemon's log goes: stderr, or the journal with all fields.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use super::settings::{Log, Target};

/// Changes how much is logged.
pub(crate) struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    pub(crate) fn set(&self, log: &Log) {
        // The log lives as long as the program.
        let _ = self.0.reload(log.level.0);
    }
}

/// Starts logging.
///
/// # Errors
///
/// The journal is wanted and is not there.
pub(crate) fn start(log: &Log) -> io::Result<Level> {
    let (filter, handle) = reload::Layer::new(log.level.0);
    let target: Box<dyn Layer<_> + Send + Sync> = match log.target {
        Target::Journal => journal()?.boxed(),
        Target::Auto if goes_to_journal() => match journal() {
            Ok(journal) => journal.boxed(),
            Err(_) => stderr(),
        },
        Target::Auto | Target::Stderr => stderr(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(target);
    subscriber.try_init().map_err(io::Error::other)?;
    Ok(Level(handle))
}

fn journal() -> io::Result<tracing_journald::Layer> {
    let layer = tracing_journald::layer().map_err(|error| {
        let text = format!("log.target = \"journal\": the journal cannot be reached: {error}");
        io::Error::new(error.kind(), text)
    })?;
    Ok(layer
        .with_field_prefix(None)
        .with_syslog_identifier("ipct".to_owned()))
}

fn stderr<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(io::stderr).with_target(false);
    layer.with_ansi(io::stderr().is_terminal()).boxed()
}

/// Whether stderr is the journal's, as systemd says it.
fn goes_to_journal() -> bool {
    let Ok(told) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stat = rustix::fs::fstat(io::stderr());
    stat.is_ok_and(|stat| told == format!("{}:{}", stat.st_dev, stat.st_ino))
}
