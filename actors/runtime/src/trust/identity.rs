//! Who a peer is, as its certificate says: a name, and roles. Pure.
//!
//! A certificate carries an URI for each role, `odeon://ROLE/NAME`, among its alternative names.

use super::role::{PeerRole, PeerRoles, UnknownRole};
use crate::name::NodeId;
use rustls::pki_types::CertificateDer;

/// The longest name in a certificate, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// What an URI of ours begins with.
const SCHEME: &str = "odeon://";
/// Between what a node calls itself and the name of its certificate.
const SEPARATOR: char = ':';

/// Who is at the other end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The name in its certificate; none without one.
    name: Option<String>,
    roles: PeerRoles,
}

/// Why a certificate names no peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not a certificate.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A certificate, but not of a peer.
    #[error("it names no role of a cluster, odeon://ROLE/NAME")]
    NoRole,
    /// An URI of ours that means nothing.
    #[error("{uri:?} is not of the form odeon://ROLE/NAME")]
    Form {
        /// The URI.
        uri: String,
    },
    /// A role of another version.
    #[error(transparent)]
    Role(#[from] UnknownRole),
    /// A name that cannot be one.
    #[error("the name {0:?} is not 1 to {NAME_BYTES_MAX} letters, digits, dots, hyphens and underscores")]
    Name(String),
    /// The roles belong to different names.
    #[error("it has two names, {0:?} and {1:?}")]
    TwoNames(String, String),
}

/// Checks what is to be the name in a certificate.
///
/// # Errors
/// [`IdentityError::Name`].
pub fn check_name(name: &str) -> Result<(), IdentityError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_plain);
    if is_name { Ok(()) } else { Err(IdentityError::Name(name.to_owned())) }
}

impl PeerIdentity {
    /// Whoever reaches a node over a transport that asks for no certificate: it may send anything.
    #[must_use]
    pub const fn unproven() -> Self {
        Self { name: None, roles: PeerRoles::ALL }
    }

    /// A peer with a certificate.
    pub(super) fn new(name: impl Into<String>, roles: PeerRoles) -> Self {
        Self { name: Some(name.into()), roles }
    }

    /// The name in the certificate; none if there was none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the peer may act as.
    #[must_use]
    pub fn roles(&self) -> PeerRoles {
        self.roles
    }

    /// Reads it from a certificate, whose signature and dates are checked elsewhere.
    pub(super) fn of_certificate(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let unreadable = |error: webpki::Error| IdentityError::Unreadable(error.to_string());
        let certificate = webpki::EndEntityCert::try_from(der).map_err(unreadable)?;
        Self::of_uris(certificate.valid_uri_names())
    }

    fn of_uris<'a>(uris: impl Iterator<Item = &'a str>) -> Result<Self, IdentityError> {
        let mut found: Option<Self> = None;
        for uri in uris.filter(|uri| uri.starts_with(SCHEME)) {
            let form = || IdentityError::Form { uri: uri.to_owned() };
            let (role, name) = uri.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')).ok_or_else(form)?;
            let role: PeerRole = role.parse()?;
            check_name(name)?;
            let earlier = found.take().unwrap_or_else(|| Self::new(name, PeerRoles::of(&[])));
            if let Some(other) = earlier.name.as_deref().filter(|other| *other != name) {
                return Err(IdentityError::TwoNames(other.to_owned(), name.to_owned()));
            }
            found = Some(Self { roles: earlier.roles.with(role), ..earlier });
        }
        found.ok_or(IdentityError::NoRole)
    }

    /// The URIs that say this in a certificate.
    pub(super) fn uris(&self) -> Vec<String> {
        let name = self.name.as_deref().unwrap_or_default();
        self.roles.iter().map(|role| format!("{SCHEME}{role}/{name}")).collect()
    }

    /// What a node of this peer is called: no other peer can give itself the same name.
    pub(crate) fn node_name(&self, own: &str) -> String {
        self.name.as_ref().map_or_else(|| own.to_owned(), |name| format!("{own}{SEPARATOR}{name}"))
    }

    /// Whether a node that calls itself so can be one of this peer.
    pub(crate) fn may_be(&self, node: &NodeId) -> bool {
        let last = node.name.rsplit_once(SEPARATOR).map(|(_, name)| name);
        self.name.is_none() || last == self.name.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uris: &[&str]) -> Result<PeerIdentity, IdentityError> {
        PeerIdentity::of_uris(uris.iter().copied())
    }

    #[test]
    fn roles_and_name_are_read_as_they_are_written() {
        let both = PeerIdentity::new("node-7", PeerRoles::of(&[PeerRole::Agent, PeerRole::Master]));
        let uris = both.uris();
        assert_eq!(uris, ["odeon://agent/node-7", "odeon://master/node-7"]);
        assert_eq!(of(&["spiffe://elsewhere", &uris[0], &uris[1]]), Ok(both));
    }

    #[test]
    fn what_names_no_peer_or_two_is_refused() {
        assert_eq!(of(&["https://example.com"]), Err(IdentityError::NoRole));
        assert!(matches!(of(&["odeon://agent"]), Err(IdentityError::Form { .. })));
        assert!(matches!(of(&["odeon://king/a"]), Err(IdentityError::Role(_))));
        for name in ["", "a:b", "a/b", "ü", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(matches!(of(&[&format!("odeon://agent/{name}")]), Err(IdentityError::Name(_))), "{name}");
        }
        let two = of(&["odeon://agent/a", "odeon://master/b"]);
        assert_eq!(two, Err(IdentityError::TwoNames("a".into(), "b".into())));
    }

    #[test]
    fn a_node_bears_the_name_of_its_certificate_and_no_other() {
        let named = |name: &str| NodeId { name: name.into(), incarnation: 1 };
        let peer = PeerIdentity::new("b", PeerRoles::ALL);
        assert_eq!(peer.node_name("agent"), "agent:b");
        for good in ["agent:b", ":b", "x:a:b"] {
            assert!(peer.may_be(&named(good)), "{good}");
        }
        for bad in ["b", "agent:a.b", "agent:b:a", "agent"] {
            assert!(!peer.may_be(&named(bad)), "{bad}");
        }
        assert!(PeerIdentity::unproven().may_be(&named("anything")));
    }
}
