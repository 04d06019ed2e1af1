//! The whole binary as a user meets it: real processes, loopback sockets, signals and files.
//!
//! Every test has a stage of its own (ports, directories, processes), so they run side by side and in any order.
//! What a function call can show is tested beside the code instead; nothing here looks inside a role.

#[cfg(target_os = "linux")]
mod agent_recovery;
#[cfg(target_os = "linux")]
mod bad_input;
#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod deploy;
#[cfg(target_os = "linux")]
mod docs;
#[cfg(target_os = "linux")]
mod faults;
mod find;
#[cfg(target_os = "linux")]
mod health;
#[cfg(target_os = "linux")]
mod listings;
#[cfg(target_os = "linux")]
mod models;
#[cfg(target_os = "linux")]
mod operations;
#[cfg(target_os = "linux")]
mod own_models;
#[cfg(target_os = "linux")]
mod priorities;
#[cfg(target_os = "linux")]
mod quota;
#[cfg(target_os = "linux")]
mod reservations;
#[cfg(target_os = "linux")]
mod resume;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod separate_roles;
#[cfg(target_os = "linux")]
mod ship;
#[cfg(target_os = "linux")]
mod stopping;
#[cfg(target_os = "linux")]
mod support;
#[cfg(target_os = "linux")]
mod train;
#[cfg(test)]
mod trust;

#[cfg(not(target_os = "linux"))]
#[test]
#[ignore = "the processes of a cluster are watched through /proc, which only Linux has"]
fn the_whole_binary_is_tested_on_linux() {}
