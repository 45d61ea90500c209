//! Looks at every entry, now and then, and what is told of them until the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ip_conntrack::Knob;
use ip_conntrack_analysis::forecast::MOMENTS;
use ip_conntrack_analysis::{
    Census, Circumstances, Fading, Flow, Look, Moment, Report, Source, Subject, Traffic, forecast,
};

use crate::daemon::tracker::{Tracker, Walk};
use crate::daemon::worker::{Gone, SLOTS_AT_ONCE};

/// So old is a look at least before the next one.
pub(super) const LEAST_AGE: Duration = Duration::from_secs(5);

/// And so many times as long as it took. A look keeps two cores busy at most, so all looks together take a twentieth of
/// one.
const RARER: u32 = 40;

/// What was seen.
pub(super) struct Seen {
    pub(super) report: Report,
    pub(super) at: Instant,
    /// How long it took.
    pub(super) took: Duration,
}

impl Seen {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < LEAST_AGE.max(RARER * self.took)
    }
}

/// Looks at a tracker's table.
pub(super) struct Looks {
    tracker: Arc<Tracker>,
    /// Lines of each list.
    most: usize,
    began: Instant,
    /// How many entries there were, a second apart.
    moments: Mutex<VecDeque<Moment>>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    seen: Option<Arc<Seen>>,
    /// The entries of the last look, to know which are new in the next, and when it began.
    look: Option<(Look, Instant)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Looks {
    pub(super) fn new(tracker: Arc<Tracker>, most: usize) -> Looks {
        Looks {
            tracker,
            most,
            began: Instant::now(),
            moments: Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// Notes how many entries there are.
    pub(super) fn tick(&self) {
        let Ok(entries) = self.tracker.len() else {
            return;
        };
        let mut moments = locked(&self.moments);
        if moments.len() == MOMENTS {
            moments.pop_front();
        }
        moments.push_back(Moment {
            at: self.began.elapsed().as_secs_f64(),
            entries: entries as f64,
        });
    }

    /// What was seen last, or now if that is too long ago.
    ///
    /// # Errors
    ///
    /// A worker is gone.
    pub(super) fn seen(&self) -> Result<Arc<Seen>, Gone> {
        // Who comes while somebody looks waits for that.
        let mut last = locked(&self.last);
        if let Some(seen) = last.seen.as_ref().filter(|seen| seen.is_fresh()) {
            return Ok(Arc::clone(seen));
        }
        let seen = Arc::new(self.look(&mut last)?);
        last.seen = Some(Arc::clone(&seen));
        Ok(seen)
    }

    fn look(&self, last: &mut Last) -> Result<Seen, Gone> {
        let began = Instant::now();
        let (census, look) = self.walk()?;
        let before = last.look.replace((look.clone(), began));
        let traffic = before.map(|(before, then)| before.until(look, (began - then).as_secs_f64()));
        let report = Report::of(self.subject(&census, traffic)?);
        Ok(Seen {
            report,
            at: Instant::now(),
            took: began.elapsed(),
        })
    }

    /// Goes through the table, a step of some thousand places at a time.
    fn walk(&self) -> Result<(Census, Look), Gone> {
        let (mut census, mut look) = (Census::default(), Look::default());
        let mut walk = Walk::default();
        loop {
            let step = walk.step(&self.tracker, |shard, cursor| {
                let mut flows = Vec::new();
                let each = |connection| flows.push(Flow::from(&connection));
                let next = shard
                    .conntrack
                    .connections_from(cursor, SLOTS_AT_ONCE, each);
                (flows, next)
            })?;
            let Some(flows) = step else {
                return Ok((census, look));
            };
            for flow in &flows {
                census.push(flow);
                look.push(flow);
            }
        }
    }

    fn subject<'a>(
        &self,
        table: &'a Census,
        traffic: Option<Traffic>,
    ) -> Result<Subject<'a>, Gone> {
        let max = u64::from(self.tracker.max());
        let moments: Vec<Moment> = locked(&self.moments).iter().copied().collect();
        let fading = Fading::of(&table.rows);
        let forecast = (max > 0)
            .then(|| forecast(&moments, max, Some(&fading)))
            .flatten();
        Ok(Subject {
            source: Source {
                kind: "ipct",
                ..Source::default()
            },
            table,
            whole: None,
            strays: None,
            traffic,
            timeline: None,
            forecast,
            max: Some(max),
            buckets: u64::try_from(self.tracker.knob(Knob::Buckets)?).ok(),
            circumstances: Circumstances {
                is_daemon: true,
                ..Circumstances::default()
            },
            most: self.most,
        })
    }
}
