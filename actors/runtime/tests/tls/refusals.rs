//! Who is refused, what each end is told, and that nothing is read of whoever has not proved who it is.

use crate::probe::{Echo, Note, Probe, ProbeApi};
use crate::setup::{TwoNodes, node, own_authority};
use odeon_protocol::{interface, remote_message};
use odeon_runtime::testkit::{credentials, credentials_of, node_on, node_over, today};
use odeon_runtime::transport::Connection;
use odeon_runtime::trust::{
    Authority, CredentialFiles, Credentials, CredentialsError, PeerRole, PeerRoles, Request, Tls, Validity,
};
use odeon_runtime::{FabricLimits, ListenError, Node, PROTOCOL_VERSION, Peer, PeerError};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A note whose body is none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NoteOfText(pub(crate) String);
remote_message!(NoteOfText => (), "probe.v1.Note");
interface! {
    pub(crate) WrongShapeApi: NoteOfText
}

/// An authority that signs whatever a test wants, and has a home that trusts it.
struct Maker(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
type Pair = (String, String);

impl Maker {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Two authorities have two names.
        params.distinguished_name.push(DnType::CommonName, format!("{:x?}", params.key_identifier(&key)));
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn issue(&self, uri: &str, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn credentials(&self, (cert, key): &Pair) -> Result<Credentials, CredentialsError> {
        Credentials::from_pem(&files(), self.0.pem().as_bytes(), cert.as_bytes(), key.as_bytes())
    }

    /// A node that listens, with its authority the only one it trusts.
    async fn home(&self) -> (odeon_runtime::InMemoryNetwork, Node) {
        let network = odeon_runtime::InMemoryNetwork::new(1);
        let credentials = self.credentials(&self.issue("odeon://master/home", "home", |_| {})).unwrap();
        let tls = Tls::over(network.host("home"), credentials);
        let home = node_over(Arc::new(tls), "home", 1, FabricLimits::DEFAULT).await;
        home.listen(TwoNodes::HOME).await.unwrap();
        home.export("actor", Probe::exported());
        (network, home)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// What a dialler hears that presents this certificate, or none, and then waits.
    async fn heard_by(&self, network: &odeon_runtime::InMemoryNetwork, pair: Option<&Pair>) -> String {
        match self.dial(network, pair).await {
            Err(error) => error.to_string(),
            Ok(mut stream) => stream.read_u8().await.unwrap_err().to_string(),
        }
    }

    async fn dial(
        &self,
        network: &odeon_runtime::InMemoryNetwork,
        pair: Option<&Pair>,
    ) -> std::io::Result<TlsStream<Connection>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(self.roots());
        let config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (chain, key) = ders(pair);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let connection = network.host("stranger").dial(&TwoNodes::HOME.into()).await.unwrap();
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("home").unwrap(), connection).await
    }
}

fn ders((cert, key): &Pair) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    (chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

fn files() -> CredentialFiles {
    CredentialFiles { ca: "ca.pem".into(), cert: "cert.pem".into(), key: "key.pem".into() }
}

fn long_ago(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
}

fn not_yet(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2090, 1, 1), rcgen::date_time_ymd(2091, 1, 1));
}

/// The cause of a refusal for want of trust.
#[track_caller]
fn distrust<T: std::fmt::Debug>(refused: Result<T, PeerError>) -> String {
    let Err(PeerError::Untrusted { cause, .. }) = refused else { panic!("{refused:?}") };
    cause
}

/// Waits until a node has counted so many peers that it did not trust, or that did not trust it.
async fn distrusts(node: &Node, count: u64) {
    for _ in 0..10_000 {
        if node.counters().peers_distrusted == count {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("not {count} peers: {:?}", node.counters());
}

async fn ask(node: &Node, endpoint: &str) -> Result<String, PeerError> {
    let peer: Peer<ProbeApi> = node.peer_at(&endpoint.into(), "actor");
    peer.send(Echo("hello".into())).await
}

fn hello(name: &str) -> Vec<u8> {
    let node = rmp_serde::to_vec(&((name, 9_u64), 0_u32, "build")).unwrap();
    let body = [b"ODEN".as_slice(), &PROTOCOL_VERSION.to_be_bytes(), &node].concat();
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
}

#[actix_rt::test]
async fn a_dialler_without_a_certificate_or_with_a_bad_one_is_refused_and_told_why() {
    let maker = Maker::new();
    let (network, home) = maker.home().await;
    let agent = "odeon://agent/a";
    let cases = [
        (None, "CertificateRequired"),
        (Some(Maker::new().issue(agent, "away", |_| {})), "UnknownCA"),
        (Some(maker.issue(agent, "away", long_ago)), "CertificateExpired"),
        (Some(maker.issue(agent, "away", not_yet)), "CertificateExpired"),
        (Some(maker.issue("https://example.com/a", "away", |_| {})), "CertificateUnknown"),
        (Some(maker.issue("odeon://king/a", "away", |_| {})), "CertificateUnknown"),
    ];
    for (number, (pair, expected)) in (1..).zip(&cases) {
        let heard = maker.heard_by(&network, pair.as_ref()).await;
        assert!(heard.contains(expected), "{expected}: {heard}");
        distrusts(&home, number).await;
    }
    assert_eq!((home.counters().greetings_refused, home.linked_nodes().len()), (0, 0));
}

#[actix_rt::test]
async fn a_node_learns_from_a_refusal_what_is_wrong_with_its_certificate() {
    let nodes = TwoNodes::start(1).await;
    let stranger = Authority::new(today()).unwrap();
    let request =
        Request { name: "s".into(), roles: PeerRoles::of(&[PeerRole::Client]), hosts: vec![], validity: today() };
    let issued = stranger.issue(&request).unwrap();
    let both = [own_authority().cert_pem(), stranger.cert_pem()].concat();
    let (cert, key) = (issued.cert_pem.as_bytes(), issued.key_pem.as_bytes());
    let trusting = Credentials::from_pem(&files(), both.as_bytes(), cert, key).unwrap();
    let transport = Arc::new(Tls::over(nodes.network.host("stranger"), trusting));
    let node = node_over(transport, "s", 3, FabricLimits::DEFAULT).await;
    let cause = distrust(ask(&node, TwoNodes::HOME).await);
    assert_eq!(cause, "the other end refuses the certificate of this one: it is of another authority");
    assert_eq!(node.counters().peers_distrusted, 1);
    distrusts(&nodes.home, 1).await;
    // While nobody dials again, the cause is the same.
    assert!(distrust(ask(&node, TwoNodes::HOME).await).starts_with(&cause));
}

#[actix_rt::test]
async fn a_dialler_takes_no_server_of_another_authority_or_for_another_host() {
    let nodes = TwoNodes::start(1).await;
    let stranger = Authority::new(today()).unwrap();
    let request =
        Request { name: "s".into(), roles: PeerRoles::ALL, hosts: vec!["stranger".into()], validity: today() };
    let tls = Tls::over(nodes.network.host("stranger"), credentials_of(&stranger, &request));
    let server = node_over(Arc::new(tls), "s", 3, FabricLimits::DEFAULT).await;
    server.listen("stranger:1").await.unwrap();
    let cause = distrust(ask(&nodes.away, "stranger:1").await);
    assert_eq!(cause, "the certificate of the other end was not issued by the authority of this cluster");
    let elsewhere = node(&nodes.network, "elsewhere", 4, PeerRoles::ALL, FabricLimits::DEFAULT).await;
    elsewhere.listen("here:1").await.unwrap();
    let cause = distrust(ask(&nodes.away, "here:1").await);
    assert!(cause.contains("is not for this host") && cause.contains("elsewhere"), "{cause}");
    assert_eq!(nodes.away.counters().peers_distrusted, 2);
    distrusts(&server, 1).await;
    distrusts(&elsewhere, 1).await;
}

#[actix_rt::test]
async fn a_dialler_takes_no_server_whose_certificate_has_expired() {
    let maker = Maker::new();
    let network = odeon_runtime::InMemoryNetwork::new(1);
    let mut listener = network.host("old").listen(&"old:1".into()).await.unwrap();
    let (chain, key) = ders(&maker.issue("odeon://master/old", "old", long_ago));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let old = async {
        let connection = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(connection).await.map(drop)
    };
    let credentials = maker.credentials(&maker.issue("odeon://client/c", "c", |_| {})).unwrap();
    let tls = Arc::new(Tls::over(network.host("c"), credentials));
    let client = node_over(tls, "c", 2, FabricLimits::DEFAULT).await;
    let (refused, told) = tokio::join!(ask(&client, "old:1"), old);
    assert_eq!(distrust(refused), "the certificate of the other end has expired");
    assert!(told.unwrap_err().to_string().contains("CertificateExpired"));
}

#[test]
fn credentials_that_nobody_would_take_are_refused_by_their_owner() {
    let maker = Maker::new();
    let refused = |pair: &Pair| maker.credentials(pair).unwrap_err().to_string();
    let agent = "odeon://agent/a";
    let expired = refused(&maker.issue(agent, "a", long_ago));
    assert_eq!(expired, "the certificate in cert.pem has expired");
    assert!(refused(&maker.issue(agent, "a", not_yet)).contains("is not valid yet"));
    let foreign = refused(&Maker::new().issue(agent, "a", |_| {}));
    assert_eq!(foreign, "the certificate in cert.pem was not issued by the authority of this cluster");
    assert!(refused(&maker.issue("https://a.example", "a", |_| {})).contains("names no role"));
    let (cert, _) = maker.issue(agent, "a", |_| {});
    let (_, other_key) = maker.issue(agent, "a", |_| {});
    let pair = refused(&(cert.clone(), other_key));
    assert_eq!(pair, "the key in key.pem is not that of the certificate in cert.pem");
    assert_eq!(refused(&(cert, "no key".into())), "there is no private key in key.pem");
    assert_eq!(refused(&("nothing".into(), String::new())), "there is no certificate in cert.pem");
    let missing = CredentialFiles { ca: "/not/there".into(), ..files() };
    let missing = Credentials::load(&missing).unwrap_err();
    assert!(matches!(missing, CredentialsError::File { path, .. } if path.ends_with("there")));
}

#[test]
fn credentials_know_the_hosts_they_are_for() {
    let own = credentials("n", PeerRoles::ALL, &["node-7.example.com", "10.0.0.7"]);
    for good in ["node-7.example.com:1", "10.0.0.7:1", "127.0.0.1:1", "[::1]:1", "localhost:1"] {
        assert_eq!(own.check_host(&good.into()), Ok(()), "{good}");
    }
    for bad in ["node-8.example.com:1", "10.0.0.8:1", "0.0.0.0:1"] {
        assert!(own.check_host(&bad.into()).unwrap_err().contains("is not for this host"), "{bad}");
    }
}

#[actix_rt::test]
async fn a_dialler_in_plain_text_is_told_that_the_other_end_speaks_tls_and_nothing_it_says_is_read() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    let plain = node_on(&nodes.network, "plain", 3, FabricLimits::DEFAULT).await;
    let cause = distrust(ask(&plain, TwoNodes::HOME).await);
    assert_eq!(cause, "the other end speaks TLS, and this node has no credentials");
    let mut connection = nodes.network.host("stranger").dial(&TwoNodes::HOME.into()).await.unwrap();
    let bad_frame = u32::MAX.to_be_bytes();
    connection.write_all(&[hello("stranger"), bad_frame.to_vec()].concat()).await.unwrap();
    connection.shutdown().await.unwrap();
    let mut said = Vec::new();
    let _ = connection.read_to_end(&mut said).await;
    assert!(!said.windows(4).any(|bytes| bytes == b"ODEN"), "it greets a stranger: {said:?}");
    distrusts(&nodes.home, 2).await;
    let counters = nodes.home.counters();
    assert_eq!((counters.greetings_refused, counters.frames_refused), (0, 0));
    assert!(nodes.home.linked_nodes().is_empty());
}

#[actix_rt::test]
async fn a_dialler_with_tls_is_not_served_in_plain_text() {
    let nodes = TwoNodes::start(1).await;
    let plain = node_on(&nodes.network, "plain", 3, FabricLimits::DEFAULT).await;
    plain.listen("plain:1").await.unwrap();
    plain.export("actor", Probe::exported());
    let cause = distrust(ask(&nodes.away, "plain:1").await);
    assert!(cause.contains("does not speak TLS"), "{cause}");
    distrusts(&plain, 1).await;
    assert_eq!(plain.counters().frames_refused, 0);
}

#[actix_rt::test]
async fn a_node_may_not_take_the_name_of_another_certificate() {
    let maker = Maker::new();
    let (network, home) = maker.home().await;
    let pair = maker.issue("odeon://agent/eve", "eve", |_| {});
    for (name, is_taken) in [("agent:home", false), ("eve", false), ("agent:eve", true)] {
        let mut stream = maker.dial(&network, Some(&pair)).await.unwrap();
        let mut links = home.subscribe_links();
        stream.write_all(&hello(name)).await.unwrap();
        stream.flush().await.unwrap();
        if is_taken {
            links.recv().await.unwrap();
        } else {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
        }
        let linked = home.linked_nodes().iter().any(|node| node.name == name);
        assert_eq!(linked, is_taken, "{name}");
    }
    distrusts(&home, 2).await;
}

#[actix_rt::test]
async fn a_handshake_that_stops_half_way_is_dropped_in_time_at_both_ends() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    let transport = nodes.network.host("stranger");
    let _silent = transport.dial(&TwoNodes::HOME.into()).await.unwrap();
    let mut half = transport.dial(&TwoNodes::HOME.into()).await.unwrap();
    // The head of a client's first message, which promises more.
    half.write_all(&[22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3]).await.unwrap();
    let _never_answers = transport.listen(&"stranger:1".into()).await.unwrap();
    let limit = FabricLimits::DEFAULT.dial_timeout;
    let refused = ask(&nodes.away, "stranger:1").await;
    let cause = format!("no answer within {} ms", limit.as_millis());
    assert_eq!(refused, Err(PeerError::Unreachable { target: "stranger:1".into(), cause }));
    tokio::time::sleep(limit).await;
    assert_eq!(nodes.home.counters().greetings_refused, 2);
    assert_eq!(ask(&nodes.away, TwoNodes::HOME).await, Ok("hello".into()));
}

#[actix_rt::test]
async fn two_hosts_prove_who_they_are_over_tcp() {
    let start = |name: &'static str, incarnation, role| {
        let tls = Tls::new(credentials(name, PeerRoles::of(&[role]), &[]));
        node_over(Arc::new(tls), name, incarnation, FabricLimits::DEFAULT)
    };
    let (home, away) = (start("home", 1, PeerRole::Master).await, start("away", 2, PeerRole::Client).await);
    let bound = home.listen("127.0.0.1:0").await.unwrap();
    home.export("actor", Probe::exported());
    let far: Peer<ProbeApi> = away.peer_at(&bound, "actor");
    assert_eq!(far.send(Echo("hello".into())).await, Ok("hello".into()));
    assert_eq!(far.send(crate::probe::Blob(4_000_000)).await.unwrap().len(), 4_000_000);
    assert_eq!(home.id().name, "home:home");
    let plain = Node::builder("plain").incarnation(3).start().await.unwrap();
    let cause = distrust(ask(&plain, bound.as_str()).await);
    assert_eq!(cause, "the other end speaks TLS, and this node has no credentials");
    home.shut_down();
    let lost = far.send(Echo("late".into())).await;
    assert!(lost.is_err(), "{lost:?}");
}

#[actix_rt::test]
async fn without_credentials_nobody_listens_or_dials_beyond_its_host() {
    let node = Node::builder("n").incarnation(1).start().await.unwrap();
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let refused = node.listen(open).await.unwrap_err();
        assert!(matches!(refused, ListenError::Unprotected { .. }), "{open}: {refused}");
    }
    let cause = distrust(ask(&node, "192.0.2.1:5050").await);
    assert!(cause.contains("192.0.2.1:5050 is beyond this host"), "{cause}");
    let peer: Peer<ProbeApi> = node.peer_at(&"192.0.2.1:5050".into(), "actor");
    assert!(matches!(peer.try_tell(Note(1)), Err(PeerError::Untrusted { .. })));
    assert!(node.listen("localhost:0").await.is_ok());
}

#[test]
fn a_certificate_is_valid_from_a_little_before_it_was_issued() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let validity = Validity::days(now, 2);
    assert!(validity.from < now && validity.until == now + Duration::from_secs(2 * 24 * 3600));
}
