//! Odeon: an actor-based cluster runtime. This crate is the facade: what users of the library need, and the binary's
//! command line as a function.
//!
//! A binary of one's own is [`app()`] plus its task types; see `examples/`. The roles live in `actors/`.

pub mod app;
pub mod cluster;
pub mod config;
pub mod deployments;
pub mod estimators;
pub mod exit;
pub mod failure;
pub mod logging;
pub mod output;
pub mod prelude;
pub mod roles;
pub mod signals;

mod cli;
mod scenario;
mod shipped;

pub use app::app;
pub use odeon_learning::trainable;
pub use odeon_protocol::{interface, remote_message};
