//! conntrack(8)'s command line, beside the installed tool.
//!
//! What needs the kernel runs in network namespaces of its own, which takes root and iproute2; without them
//! those tests pass over it and say so, unless `IP_CONNTRACK_REQUIRE_KERNEL` is set. Servers and clients are real
//! ones: nginx-light, curl, dnsutils, dnsmasq-base, iputils-ping, vsftpd.

#![cfg(target_os = "linux")]
// A test fails by panicking, and so do the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod both;
mod changes;
mod compare;
mod daemon;
mod events;
mod expectations;
mod filters;
mod forms;
mod legality;
mod loaded;
mod lost;
mod messages;
mod raw;
mod run;
mod space;
mod traffic;
