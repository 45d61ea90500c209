//! The longest time during which nothing came through.

use std::process::Child;
use std::time::Duration;

use crate::space::Space;

/// Seconds between two echo requests.
const INTERVAL: &str = "0.002";

/// Echo requests in quick succession.
pub(crate) struct Pings(Child);

/// What became of them.
pub(crate) struct Answers {
    pub(crate) sent: usize,
    pub(crate) received: usize,
    /// The longest time between two answers.
    pub(crate) gap: Duration,
}

impl Pings {
    /// Begins to send so many.
    pub(crate) fn start(space: &Space, to: &str, count: usize) -> Pings {
        let count = count.to_string();
        Pings(space.start("ping", &["-D", "-i", INTERVAL, "-c", &count, "-W", "1", to]))
    }

    /// Waits for the last one.
    pub(crate) fn answers(self) -> Answers {
        let said = self.0.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let time = |line: &str| {
            let time = line.strip_prefix('[')?.split(']').next()?;
            line.contains("bytes from")
                .then(|| time.parse::<f64>().unwrap())
        };
        let times: Vec<f64> = said.lines().filter_map(time).collect();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        let gap = gaps.fold(0.0, f64::max);
        let summary = said
            .lines()
            .find(|line| line.contains(" packets transmitted"));
        let sent = summary.unwrap().split(' ').next().unwrap();
        Answers {
            sent: sent.parse().unwrap(),
            received: times.len(),
            gap: Duration::from_secs_f64(gap),
        }
    }
}
