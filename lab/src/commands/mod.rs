//! What the laboratory can be told to do.

pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod listing;
pub(crate) mod live;
pub(crate) mod random;
pub(crate) mod report_cost;
pub(crate) mod script;
