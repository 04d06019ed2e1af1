//! The fabric where both ends prove who they are: the same bodies as in plain text, and who is refused.

#[cfg(test)]
#[path = "../fabric/groups.rs"]
mod groups;
#[cfg(test)]
#[path = "../fabric/order.rs"]
mod order;
#[cfg(test)]
#[path = "../fabric/peers.rs"]
mod peers;
#[cfg(test)]
#[path = "../fabric/probe.rs"]
#[allow(dead_code, reason = "made for more tests than run here")]
mod probe;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod setup;
#[cfg(test)]
#[path = "../fabric/watch.rs"]
mod watch;
