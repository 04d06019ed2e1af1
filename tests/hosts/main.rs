//! Clusters over several hosts, as network namespaces that are joined by a bridge: cut, healed, and killed.
//!
//! Real processes, real TCP, real loss of packets. Where namespaces are not permitted, the tests say `SKIP` and why.
//! `cargo build --example ledger && cargo test --test hosts -- --nocapture` shows the figures.

#[cfg(target_os = "linux")]
mod book;
#[cfg(target_os = "linux")]
mod credentials;
#[cfg(target_os = "linux")]
mod five_hosts;
#[cfg(target_os = "linux")]
mod hosts;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod strangers;
#[cfg(target_os = "linux")]
mod three_hosts;
#[cfg(target_os = "linux")]
mod writers;

#[cfg(target_os = "linux")]
#[path = "../cluster/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests of clusters on one host use the rest")]
mod support;

#[cfg(not(target_os = "linux"))]
#[test]
#[ignore = "network namespaces are a thing of Linux"]
fn clusters_over_several_hosts_are_tested_on_linux() {}
