//! Makes certificates: an authority for a cluster, and certificates that it signs.
//!
//! Files and command lines are elsewhere. Keys are drawn from the system's randomness, on the curve P-256.

use super::identity::{IdentityError, PeerIdentity, check_name};
use super::role::PeerRoles;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;

/// Clocks of hosts may differ so much: certificates are valid from so long ago.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// From when until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last moment.
    pub until: SystemTime,
}

impl Validity {
    /// From now on, and a little before, for so many days.
    #[must_use]
    pub fn days(now: SystemTime, days: u32) -> Self {
        Self { from: now - CLOCK_SKEW, until: now + Duration::from_secs(u64::from(days) * 24 * 3600) }
    }
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The name cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// Who has no role may send nothing.
    #[error("a certificate needs a role")]
    NoRole,
    /// Not a host.
    #[error("{host:?} is neither the name nor the address of a host")]
    Host {
        /// What was given.
        host: String,
    },
    /// The key of the authority cannot be used.
    #[error("the key of the authority cannot be used: {0}")]
    Key(String),
    /// Encoding or signing has failed.
    #[error("cannot make the certificate: {0}")]
    Encoding(String),
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// What is to stand in a certificate.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose it is.
    pub name: String,
    /// What its holder may act as.
    pub roles: PeerRoles,
    /// Where its holder is dialled: names and addresses of hosts. The loopback address is always among them.
    pub hosts: Vec<String>,
    /// When it is valid.
    pub validity: Validity,
}

/// A certificate and its key, in PEM form.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub cert_pem: String,
    /// Its key, which is a secret.
    pub key_pem: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// Signs the certificates of a cluster.
pub struct Authority {
    key: KeyPair,
    cert_pem: String,
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// [`IssueError`] if the system gives no randomness.
    pub fn new(validity: Validity) -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let cert_pem = params_of_authority(&key, Some(validity)).self_signed(&key)?.pem();
        Ok(Self { key, cert_pem })
    }

    /// The authority of a key and a certificate that [`new`](Self::new) has made.
    ///
    /// # Errors
    /// [`IssueError::Key`] if the key cannot be read. Whether the certificate is that of the key shows when it is used.
    pub fn from_pem(cert_pem: impl Into<String>, key_pem: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key_pem).map_err(|error| IssueError::Key(error.to_string()))?;
        Ok(Self { key, cert_pem: cert_pem.into() })
    }

    /// The certificate, which every node of the cluster has.
    #[must_use]
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The key, with which anybody can make certificates.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Makes a key and signs a certificate for it.
    ///
    /// # Errors
    /// [`IssueError`] names what cannot stand in a certificate.
    pub fn issue(&self, request: &Request) -> Result<Issued, IssueError> {
        check_name(&request.name)?;
        if !request.roles.meets(PeerRoles::ALL) {
            return Err(IssueError::NoRole);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, request.name.as_str());
        params.subject_alt_names = alternative_names(request)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        within(&mut params, request.validity);
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(params_of_authority(&self.key, None), &self.key);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Issued { cert_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// Its name follows from its key, so that two authorities never have the same.
fn params_of_authority(key: &KeyPair, validity: Option<Validity>) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id: String = params.key_identifier(key).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, format!("odeon authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    validity.into_iter().for_each(|validity| within(&mut params, validity));
    params
}

fn within(params: &mut CertificateParams, Validity { from, until }: Validity) {
    params.not_before = OffsetDateTime::from(from);
    params.not_after = OffsetDateTime::from(until);
}

fn alternative_names(request: &Request) -> Result<Vec<SanType>, IssueError> {
    let identity = PeerIdentity::new(request.name.as_str(), request.roles);
    let mut names = Vec::new();
    for uri in identity.uris() {
        names.push(SanType::URI(uri.try_into()?));
    }
    // Executors and their agent, and the parts of a master, are on one host.
    let loopback = [SanType::IpAddress(Ipv4Addr::LOCALHOST.into()), SanType::IpAddress(Ipv6Addr::LOCALHOST.into())];
    names.extend(loopback);
    let localhost = "localhost".to_owned();
    for host in request.hosts.iter().chain([&localhost]) {
        names.push(host_name(host)?);
    }
    Ok(names)
}

fn host_name(host: &str) -> Result<SanType, IssueError> {
    let wrong = || IssueError::Host { host: host.to_owned() };
    if let Ok(address) = host.parse::<IpAddr>() {
        return if address.is_unspecified() { Err(wrong()) } else { Ok(SanType::IpAddress(address)) };
    }
    rustls::pki_types::DnsName::try_from(host).map_err(|_| wrong())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::super::role::PeerRole;
    use super::*;

    fn request(name: &str, hosts: &[&str]) -> Request {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let validity = Validity::days(SystemTime::now(), 1);
        Request { name: name.into(), roles: PeerRoles::of(&[PeerRole::Agent]), hosts, validity }
    }

    #[test]
    fn what_cannot_stand_in_a_certificate_is_named() {
        let authority = Authority::new(Validity::days(SystemTime::now(), 1)).unwrap();
        for host in ["", "a b", "0.0.0.0", "::", "host:80", "-"] {
            let refused = authority.issue(&request("n", &[host])).unwrap_err();
            assert!(matches!(&refused, IssueError::Host { host: named } if named == host), "{host}: {refused}");
        }
        assert!(matches!(authority.issue(&request("a:b", &[])), Err(IssueError::Name(_))));
        let nobody = Request { roles: PeerRoles::of(&[]), ..request("n", &[]) };
        assert!(matches!(authority.issue(&nobody), Err(IssueError::NoRole)));
        assert!(authority.issue(&request("n", &["10.0.0.1", "fd00::1", "node-7.example.com"])).is_ok());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let authority = Authority::new(Validity::days(SystemTime::now(), 1)).unwrap();
        let issued = authority.issue(&request("n", &[])).unwrap();
        let shown = format!("{authority:?} {issued:?}");
        assert!(shown.contains("CERTIFICATE") && !shown.contains("PRIVATE"), "{shown}");
    }
}
