//! The registry on disk: rows in a store that many masters could share, and the embedded one of today.
//!
//! Decides nothing about agents and frameworks; what a record means is in `record`.

mod embedded;
mod log;
mod open;
mod rows;
mod store;

pub use store::{StoreError, StoreVersion};

pub(crate) use log::RegistryLog;
pub use open::OpenRegistryError;
pub(crate) use open::open_registry;

#[cfg(test)]
mod registry_test;
