//! `ipct run` as its users meet it: the real daemon in a directory of its own, asked over its socket and
//! its files, told by signals. Each test is named by the behaviour that it shows.
//!
//! `bench` starts daemons and asks them. What needs root or FUSE says so and passes where it may not, unless
//! `IP_CONNTRACK_REQUIRE_KERNEL` is set.

// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

mod bench;
mod damage;
mod exporter;
mod generate;
mod hostile;
mod journal;
mod kills;
mod knobs;
mod life;
mod metrics;
mod mount;
mod packets;
mod proc;
mod reload;
mod replace;
mod rights;
mod sandbox;
mod settings;
mod state;
mod tables;
#[allow(dead_code, reason = "shared with other test programs")]
mod threads;
