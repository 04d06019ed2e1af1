//! An address as an operator writes it: `host:port`, not yet resolved.
//!
//! Does not look up names and does not ask whether anyone listens.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A host name or IP address and a port that is not 0. IPv6 addresses stand in brackets: `[::1]:5050`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Why a text is not a `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPortError {
    /// There is no colon that ends the host.
    #[error("`{0}` has no port, write HOST:PORT")]
    NoPort(String),
    /// What follows the last colon is not a port.
    #[error("`{0}` ends in a port that is not a number from 1 to 65535")]
    BadPort(String),
    /// The host is empty, holds characters no host name has, or is IPv6 without brackets.
    #[error("`{0}` starts with a host that is neither a name nor an address (write IPv6 in brackets)")]
    BadHost(String),
}

impl HostPort {
    /// `127.0.0.1` at `port`, which must not be 0.
    pub(super) fn loopback(port: u16) -> Self {
        assert_ne!(port, 0, "port 0 is no address");
        Self { host: "127.0.0.1".to_owned(), port }
    }

    /// The host, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let no_port = || HostPortError::NoPort(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        let host = host_of(host).ok_or_else(|| HostPortError::BadHost(text.to_owned()))?;
        let only_digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse::<u16>().ok().filter(|port| only_digits && *port != 0);
        let port = port.ok_or_else(|| HostPortError::BadPort(text.to_owned()))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

fn host_of(text: &str) -> Option<&str> {
    if let Some(bracketed) = text.strip_prefix('[') {
        return bracketed.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!text.is_empty() && text.bytes().all(allowed)).then_some(text)
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(formatter, "[{}]:{}", self.host, self.port);
        }
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AddressVisitor)
    }
}

struct AddressVisitor;

impl de::Visitor<'_> for AddressVisitor {
    type Value = HostPort;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an address such as \"10.0.0.1:5050\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HostPort, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_read_and_print_alike() {
        for text in ["127.0.0.1:5050", "node-1.example:1", "[::1]:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:80".parse::<HostPort>().unwrap().host(), "::1");
    }

    #[test]
    fn what_is_not_host_and_port_is_refused_by_its_part() {
        let refusal = |text: &str| text.parse::<HostPort>().unwrap_err();
        assert_eq!(refusal("localhost"), HostPortError::NoPort("localhost".to_owned()));
        for text in ["h:0", "h:", "h:+1", "h:65536"] {
            assert_eq!(refusal(text), HostPortError::BadPort(text.to_owned()));
        }
        for text in [":5050", "::1:80", "a b:80", "[h]:80", "http://h:80"] {
            assert_eq!(refusal(text), HostPortError::BadHost(text.to_owned()));
        }
    }
}
