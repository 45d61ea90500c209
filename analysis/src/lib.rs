//! Who fills a connection table, how fast, and what to do about it.
//!
//! Entries go in one at a time ([`Census::push`]), from wherever they come; what is told of them comes
//! out as data. No I/O, no clock: times are arguments. The memory is bounded ([`rows::MOST`] entries are
//! kept, at most), the time is that of a few sorts.
//!
//! - [`census`], [`rows`]: what is in the table;
//! - [`who`]: the top lists, and the prefixes that explain most of it ([`prefix`]);
//! - [`mod@classify`]: what it looks like, with the evidence;
//! - [`mod@forecast`]: when it will be full;
//! - [`advice`]: what could be done, and what that would free, by trying it on the entries;
//! - [`limits`]: every threshold, with where it comes from.

#![forbid(unsafe_code)]

pub mod advice;
pub mod census;
pub mod change;
pub mod classify;
pub mod flow;
pub mod forecast;
pub mod limits;
pub mod listing;
mod picked;
pub mod prefix;
mod rank;
pub mod report;
pub mod rows;
pub mod size;
pub mod strays;
pub mod summary;
pub mod timeline;
pub mod who;

pub use advice::{Advice, Circumstances};
pub use census::Census;
pub use change::Look;
pub use classify::{Class, Finding, classify};
pub use flow::{Flow, Host, Origin};
pub use forecast::{Fading, Forecast, Moment, forecast};
pub use report::{Report, Source, Subject, Traffic};
pub use rows::{Rows, Side};
pub use strays::Strays;
pub use timeline::Timeline;
pub use who::Who;
