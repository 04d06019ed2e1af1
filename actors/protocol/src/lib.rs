//! Domain types and typed messages of the cluster.
//!
//! Deliberately absent: IO, clocks, randomness, and any decision. Everything here is data.

pub mod agent;
pub mod batch;
pub mod binary;
pub mod block;
pub mod codec;
pub mod deployment;
pub mod executor;
pub mod framework;
pub mod id;
pub mod lease;
pub mod messages;
pub mod moment;
pub mod offer;
pub mod resources;
pub mod restart;
pub mod role;
pub mod schema;
pub mod task;
pub mod update;
pub mod wire;

pub use actix;
