//! Where bodies find their nodes that run over several transports: here on a network in memory, in plain text.

pub(crate) use odeon_runtime::testkit::{TwoNodes, near_and_far};
