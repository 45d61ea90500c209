//! Numbers for Prometheus: `GET /metrics` on an address of the operator's choice.
//!
//! *Two kinds of numbers.* What is counted already (entries, counters, reasons) is asked of the workers at each
//! scrape, one short request each. What has to be found out by looking at every entry (states, who, what it looks
//! like) comes from a look that is kept ([`look`]): looks are at least [`look::LEAST_AGE`] apart, and take at most a
//! twentieth of the time. They walk the table by cursor, as a listing does, so no packet waits for a scrape.
//!
//! *Bounded.* At most [`http::MOST`] connections are served, each by a thread with a deadline; a request may be 8 KiB
//! long. Series are bounded, too: top lists have as many lines as was asked for, the rest is known beforehand.
//! All threads of it yield to the workers (nice 10).
//!
//! *Text by hand.* Every value is read when it is asked for, and none lives in between, so a library of registered
//! counters would have nothing to keep; the text format is four lines ([`text`]).
//!
//! Source: Prometheus, "Exposition formats", text format 0.0.4; the names behind `node_exporter = true` are those of
//! node_exporter's collector `conntrack`.

mod http;
mod look;
mod page;
mod text;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tracing::{info, warn};

use super::settings;
use super::tracker::Tracker;
use look::Looks;
use page::Page;

/// The server.
pub(super) struct Metrics {
    shared: Arc<http::Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The address, taken before rights are given away.
pub(super) struct Place {
    address: SocketAddr,
    listener: TcpListener,
}

impl Place {
    /// Takes it, if one was given.
    ///
    /// # Errors
    ///
    /// It cannot be used, in words.
    pub(super) fn take(settings: &settings::Metrics) -> Result<Option<Place>, String> {
        let Some(address) = settings.address else {
            return Ok(None);
        };
        let said = |error| format!("metrics.address = \"{address}\": {error}");
        let listener = TcpListener::bind(address).map_err(said)?;
        listener.set_nonblocking(true).map_err(said)?;
        // Port 0 is one of the system's choice.
        let address = listener.local_addr().map_err(said)?;
        Ok(Some(Place { address, listener }))
    }

    /// Serves there.
    ///
    /// # Errors
    ///
    /// The system gives no thread, in words.
    pub(super) fn serve(
        self,
        settings: &settings::Metrics,
        tracker: &Arc<Tracker>,
    ) -> Result<Metrics, String> {
        let Place { address, listener } = self;
        let said = |error| format!("metrics.address = \"{address}\": {error}");
        let page = Page {
            looks: Looks::new(Arc::clone(tracker), settings.top.get()),
            tracker: Arc::clone(tracker),
            has_nodes_names: settings.node_exporter,
        };
        let shared = Arc::new(http::Shared::new(page).map_err(said)?);
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new().name("metrics".to_owned());
        let thread = thread
            .spawn(move || {
                // Threads inherit it. Who may not be nicer is as he was.
                let _ = rustix::process::setpriority_process(None, NICENESS);
                http::serve(&serving, &listener);
            })
            .map_err(said)?;
        tell(address);
        Ok(Metrics {
            shared,
            thread: Some(thread),
        })
    }
}

impl Metrics {
    /// Ends all connections.
    pub(super) fn close(mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.shared.wait();
    }
}

/// Of the threads of metrics.
const NICENESS: i32 = 10;

fn tell(address: SocketAddr) {
    info!("metrics: http://{address}/metrics");
    if !address.ip().is_loopback() {
        warn!(
            "metrics.address = \"{address}\": whoever reaches it can read who is in the table; there is no password"
        );
    }
}
