//! What a node proves who it is with, and what it checks others against.
//!
//! Read once: a new certificate is taken up by the next start. Both ends present one, and no session is resumed, so that
//! every link is checked.

use super::identity::{IdentityError, PeerIdentity};
use super::wording;
use crate::name::Endpoint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    ServerConfig, SignatureScheme,
};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file of a certificate or key, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFiles {
    /// The certificate of the authority.
    pub ca: PathBuf,
    /// The certificate of the node.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("there is no {wanted} in {}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// Certificate and key do not belong together.
    #[error("the key in {} is not that of the certificate in {}", key.display(), cert.display())]
    Pair {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        cert: PathBuf,
    },
    /// The certificate is not good.
    #[error("the certificate in {} {fault}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

/// Credentials that have been checked.
#[derive(Clone)]
pub struct Credentials {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
    identity: PeerIdentity,
    chain: Vec<CertificateDer<'static>>,
    servers: Arc<WebPkiServerVerifier>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The contents of the three files.
struct Material {
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Credentials {
    /// Reads and checks credentials: that they belong together, are valid now, and are of this authority.
    ///
    /// # Errors
    /// [`CredentialsError`] names the file at fault.
    pub fn load(files: &CredentialFiles) -> Result<Self, CredentialsError> {
        let [ca, cert, key] = [read(&files.ca)?, read(&files.cert)?, read(&files.key)?];
        Self::from_pem(files, &ca, &cert, &key)
    }

    /// As [`load`](Self::load), from the contents of the files, which are only named in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_pem(files: &CredentialFiles, ca: &[u8], cert: &[u8], key: &[u8]) -> Result<Self, CredentialsError> {
        let material = material(files, ca, cert, key)?;
        let provider = Arc::new(provider());
        let identity = identity(files, &material, &provider)?;
        let pair = |_| CredentialsError::Pair { key: files.key.clone(), cert: files.cert.clone() };
        let content = |_| CredentialsError::Content { path: files.ca.clone(), wanted: "certificate of an authority" };
        let servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(&material.roots), Arc::clone(&provider));
        let servers = servers.build().map_err(content)?;
        let of_peers = Arc::new(OfPeers(Arc::clone(&servers)));
        let clients = Arc::new(OfPeers(clients(&material, &provider).map_err(content)?));
        let Material { chain, key, .. } = material;
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(VERSIONS)
            .map_err(pair)?
            .dangerous()
            .with_custom_certificate_verifier(of_peers)
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(pair)?;
        client.resumption = Resumption::disabled();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(pair)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.clone(), key)
            .map_err(pair)?;
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server), identity, chain, servers })
    }

    /// Who the node is with them.
    #[must_use]
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Whether others who dial the endpoint will take these credentials for those of its host.
    ///
    /// # Errors
    /// What is wrong with the certificate, said of it.
    pub fn check_host(&self, endpoint: &Endpoint) -> Result<(), String> {
        let name = server_name(endpoint).map_err(|error| format!("cannot be for a host: {error}"))?;
        let (own, between) = self.chain.split_first().expect("a chain has a certificate");
        let checked = self.servers.verify_server_cert(own, between, &name, &[], UnixTime::now());
        checked.map(drop).map_err(|error| match &error {
            Error::InvalidCertificate(fault) => wording::certificate(fault),
            _ => format!("cannot be checked: {error}"),
        })
    }
}

/// What the certificate of whoever listens there must be for.
pub(super) fn server_name(endpoint: &Endpoint) -> io::Result<ServerName<'static>> {
    let host = endpoint.as_str().rsplit_once(':').map_or(endpoint.as_str(), |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|_| {
        let cause = format!("{host:?} is neither the name nor the address of a host");
        io::Error::new(io::ErrorKind::InvalidInput, cause)
    })
}

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// AES with 128 bits first: it is the fastest where the processor helps, and no weaker link of the chain.
fn provider() -> CryptoProvider {
    let suites = [
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    CryptoProvider { cipher_suites: suites.to_vec(), ..ring::default_provider() }
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| CredentialsError::File { path: path.to_owned(), source })?;
    Ok(bytes)
}

fn material(files: &CredentialFiles, ca: &[u8], cert: &[u8], key: &[u8]) -> Result<Material, CredentialsError> {
    let content = |path: &Path, wanted| CredentialsError::Content { path: path.to_owned(), wanted };
    let mut roots = RootCertStore::empty();
    for authority in certificates(ca).ok_or_else(|| content(&files.ca, "certificate"))? {
        roots.add(authority).map_err(|_| content(&files.ca, "certificate of an authority"))?;
    }
    let chain = certificates(cert).ok_or_else(|| content(&files.cert, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| content(&files.key, "private key"))?;
    Ok(Material { roots: Arc::new(roots), chain, key })
}

/// All certificates of a PEM text; none if there is none, or one cannot be read.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|certificates| !certificates.is_empty())
}

fn clients(
    material: &Material,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::server::VerifierBuilderError> {
    WebPkiClientVerifier::builder_with_provider(Arc::clone(&material.roots), Arc::clone(provider)).build()
}

/// Checks the own certificate as others will, so that a bad one is told at the start.
fn identity(
    files: &CredentialFiles,
    material: &Material,
    provider: &Arc<CryptoProvider>,
) -> Result<PeerIdentity, CredentialsError> {
    let bad = |fault: String| CredentialsError::Certificate { path: files.cert.clone(), fault };
    let (own, between) = material.chain.split_first().expect("a chain has a certificate");
    let verifier = clients(material, provider).map_err(|error| bad(format!("cannot be checked: {error}")))?;
    verifier.verify_client_cert(own, between, UnixTime::now()).map_err(|error| match &error {
        Error::InvalidCertificate(fault) => bad(wording::certificate(fault)),
        _ => bad(format!("cannot be checked: {error}")),
    })?;
    PeerIdentity::of_certificate(own).map_err(|error| bad(format!("does not name a peer: {error}")))
}

/// A verifier that also wants to know who the peer is: whom this does not tell is refused within the handshake.
#[derive(Debug)]
struct OfPeers<V>(V);

fn named(certificate: &CertificateDer<'_>) -> Result<(), Error> {
    let other = |error: IdentityError| CertificateError::Other(OtherError(Arc::new(error)));
    PeerIdentity::of_certificate(certificate).map(drop).map_err(|error| Error::InvalidCertificate(other(error)))
}

impl ServerCertVerifier for OfPeers<Arc<WebPkiServerVerifier>> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        named(end_entity).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ClientCertVerifier for OfPeers<Arc<dyn ClientCertVerifier>> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        named(end_entity).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
