//! Binaries that agents fetch: which one, by the SHA-256 of its bytes, and from where.
//!
//! Neither fetches nor hashes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The most bytes of a binary.
pub const BINARY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The most bytes of the URI of a binary.
pub const URI_BYTES_MAX: usize = 2048;
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// The SHA-256 of the bytes of a file, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a text is not a SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256: that has 64 hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// Takes a digest; upper-case digits are as good.
    ///
    /// # Errors
    /// [`DigestError`] if it is none.
    pub fn new(text: &str) -> Result<Self, DigestError> {
        match text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(DigestError(text.chars().take(2 * DIGITS).collect())),
        }
    }

    /// The digest that these bytes are.
    #[must_use]
    pub fn of_hash(hash: [u8; 32]) -> Self {
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// All digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits: enough for people to tell binaries apart.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::new(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A binary that agents fetch, keep by its digest, and start as an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// What it must be.
    pub sha256: Digest,
    /// Where it is; at the master if not given.
    #[serde(default)]
    pub uri: Option<String>,
}

/// Where a URI leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of the agent's host, by its absolute path.
    File(String),
    /// `http://host:port/path`.
    Http {
        /// The host, a name or an address.
        host: String,
        /// The port.
        port: u16,
        /// What to ask for, from the slash on.
        path: String,
    },
}

/// Why a URI is none from which a binary is fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{uri}: {rule}")]
pub struct UriError {
    /// The URI, without what may be secret in it.
    pub uri: String,
    /// What it breaks.
    pub rule: &'static str,
}

impl Location {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`UriError`] if it is not `file:///path` or `http://host[:port]/path`.
    pub fn of(uri: &str) -> Result<Self, UriError> {
        let refused = |rule| UriError { uri: masked(uri), rule };
        if uri.len() > URI_BYTES_MAX {
            return Err(refused("it is too long"));
        }
        if uri.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(refused("it has blanks or control characters"));
        }
        match uri.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(path.to_owned())),
            Some(("file", _)) => Err(refused("the path of a file is absolute, as in file:///opt/counter")),
            Some(("http", rest)) => http(rest).map_err(refused),
            _ => Err(refused("a binary is fetched from file:// or http://")),
        }
    }
}

fn http(rest: &str) -> Result<Location, &'static str> {
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    if authority.contains('@') {
        return Err("a user and a password have no place in it");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| "its port is none")?),
        _ => (authority, 80),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("it has no host");
    }
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Location::Http { host: host.to_owned(), port, path: format!("{slash}{path}") })
}

/// A URI for people: what stands before an `@` may be a password, what stands behind a `?` a key.
#[must_use]
pub fn masked(uri: &str) -> String {
    let shown: String = uri.split('?').next().unwrap_or_default().chars().take(URI_BYTES_MAX).collect();
    match shown.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://{rest}"),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_64_hexadecimal_digits() {
        let digest = Digest::of_hash([0xab; 32]);
        assert_eq!(digest.as_str(), "ab".repeat(32));
        assert_eq!(Digest::new(&"AB".repeat(32)), Ok(digest.clone()));
        assert_eq!(digest.short(), "abababababab");
        for text in ["", "ab", &"xy".repeat(32), &"ab".repeat(33), "../../../etc/passwd"] {
            assert!(Digest::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_uri_is_a_file_or_an_address_without_secrets() {
        assert_eq!(Location::of("file:///opt/counter"), Ok(Location::File("/opt/counter".into())));
        let http = |host: &str, port, path: &str| Ok(Location::Http { host: host.into(), port, path: path.into() });
        assert_eq!(Location::of("http://h.example/a/b?c=1#d"), http("h.example", 80, "/a/b?c=1"));
        assert_eq!(Location::of("http://127.0.0.1:8000"), http("127.0.0.1", 8000, "/"));
        assert_eq!(Location::of("http://[::1]:8000/x"), http("::1", 8000, "/x"));
        assert_eq!(Location::of("http://[::1]/x"), http("::1", 80, "/x"));
        for uri in
            ["", "counter", "file://counter", "https://h/x", "ftp://h/x", "http://", "http://h:x/", "http://h/a b"]
        {
            assert!(Location::of(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_repeated() {
        let error = Location::of("http://me:hunter2@h/x?key=k3y").unwrap_err().to_string();
        assert!(error.starts_with("http://h/x: ") && !error.contains("hunter2") && !error.contains("k3y"), "{error}");
    }
}
