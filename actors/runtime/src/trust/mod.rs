//! Who is at the other end: certificates of one authority, the roles they carry, and the transport that checks them.
//!
//! Which roles may send which message is said where an actor is exported. Revocation is not here: certificates are short.

mod authority;
mod credentials;
mod identity;
mod role;
mod tls;
mod wording;

pub use authority::{Authority, IssueError, Issued, Request, Validity};
pub use credentials::{CredentialFiles, Credentials, CredentialsError};
pub use identity::{IdentityError, NAME_BYTES_MAX, PeerIdentity, check_name};
pub use role::{PeerRole, PeerRoles, UnknownRole};
pub use tls::Tls;
