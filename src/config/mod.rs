//! Typed configuration: what each role reads, in which order, and where every value came from.
//!
//! Layers, later ones win: built-in defaults, the file of `--config`, the environment
//! (`ODEON_MASTER__OFFER_TIMEOUT=30s`), flags. `ODEON_TLS__…` means the table `tls` of whichever role reads it. Keys are flat within a role. Tables (`weights`) merge entry by entry.
//! The word `"auto"` stands for "not set" wherever a value is optional.
//!
//! Nothing here reads the process environment or the command line; callers hand both in.
//! `document` is the same checking for any other TOML file, such as a job.

mod agent;
mod auto;
mod byte_size;
mod deployment;
pub mod document;
mod error;
mod fault;
mod file;
mod host_port;
mod human_duration;
mod layer;
mod load;
mod local;
mod master;
mod origin;
mod place;
mod quantity;
mod rate_limit;
mod tls;
mod wording;

pub use agent::AgentConfig;
pub use byte_size::ByteSize;
pub use deployment::DeploymentFile;
pub use document::DocumentError;
pub use error::ConfigError;
pub use fault::Fault;
pub use file::{FILE_BYTES_MAX, ReadError, read_text};
pub use host_port::{HostPort, HostPortError};
pub use human_duration::HumanDuration;
pub use load::{Entry, Loaded, RoleConfig, load};
pub use local::LocalConfig;
pub use master::MasterConfig;
pub use origin::Origin;
pub use place::Place;
pub use quantity::QuantityError;
pub use rate_limit::{RateLimit, RateLimitError};
pub use tls::{AgentTlsConfig, TlsConfig};
pub use wording::nearest;
