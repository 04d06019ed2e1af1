//! What the processes and nodes of these tests prove who they are with: between hosts nobody is let in without.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use odeon::prelude::Node;
use odeon_runtime::trust::{
    Authority, CredentialFiles, Credentials, Issued, PeerRole, PeerRoles, Request, Tls, Validity,
};

use super::network::address;
use crate::support::Stage;

/// Places whose addresses are in every certificate.
const PLACES: usize = 8;

/// The certificates of all hosts, one for each role.
struct Certificates {
    ca: String,
    of_roles: Vec<(PeerRole, Issued)>,
}

/// Issued once for all tests of this process.
fn certificates() -> &'static Certificates {
    static ISSUED: OnceLock<Certificates> = OnceLock::new();
    ISSUED.get_or_init(|| {
        let validity = Validity::days(SystemTime::now(), 1);
        let authority = Authority::new(validity).expect("the system has randomness");
        let issue = |role: PeerRole| {
            let hosts = (0..PLACES).map(address).collect();
            let request = Request { name: role.to_string(), roles: PeerRoles::of(&[role]), hosts, validity };
            (role, authority.issue(&request).expect("a name and addresses"))
        };
        Certificates { ca: authority.cert_pem().to_owned(), of_roles: PeerRole::ALL.map(issue).into() }
    })
}

/// Lets every command of a stage prove that it is what it is: roles by their own variables, all others as clients.
pub(crate) fn give(stage: &mut Stage) {
    let Certificates { ca, of_roles } = certificates();
    let ca = stage.write("ca.pem", ca);
    stage.show("ODEON_TLS__CA", &ca);
    for (role, Issued { cert_pem, key_pem }) in of_roles {
        let (cert, key) = (format!("{role}.pem"), format!("{role}.key"));
        let (cert, key) = (stage.write(&cert, cert_pem), stage.write(&key, key_pem));
        let (of_cert, of_key) = match role {
            PeerRole::Client => ("ODEON_TLS__CERT", "ODEON_TLS__KEY"),
            PeerRole::Master => ("ODEON_MASTER__TLS__CERT", "ODEON_MASTER__TLS__KEY"),
            PeerRole::Agent => ("ODEON_AGENT__TLS__CERT", "ODEON_AGENT__TLS__KEY"),
            PeerRole::ActorHost => ("ODEON_AGENT__TLS__EXECUTOR_CERT", "ODEON_AGENT__TLS__EXECUTOR_KEY"),
        };
        stage.show(of_cert, &cert);
        stage.show(of_key, &key);
    }
}

/// A node of a client.
pub(crate) async fn node(name: &str, incarnation: u64) -> Node {
    let Certificates { ca, of_roles } = certificates();
    let (_, issued) = of_roles.iter().find(|(role, _)| *role == PeerRole::Client).expect("there is one for each role");
    let files = CredentialFiles { ca: "ca.pem".into(), cert: "client.pem".into(), key: "client.key".into() };
    let (cert, key) = (issued.cert_pem.as_bytes(), issued.key_pem.as_bytes());
    let credentials = Credentials::from_pem(&files, ca.as_bytes(), cert, key).expect("what was issued is good");
    let builder = Node::builder(name).incarnation(incarnation).transport(Arc::new(Tls::new(credentials)));
    builder.start().await.expect("a node that only dials can start")
}
