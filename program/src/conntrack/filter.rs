//! Which entries are meant.
