//! What the processes and nodes of these tests prove who they are with: between hosts nobody is let in without.
//!
//! Each host has certificates of its own, for its address only.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use odeon::prelude::Node;
use odeon_runtime::trust::{
    Authority, CredentialFiles, Credentials, Issued, PeerRole, PeerRoles, Request, Tls, Validity,
};

use super::hosts::name;
use super::network::address;
use crate::support::Stage;
use crate::support::stage::Invocation;

/// The authority of all tests of this process.
fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(new_authority)
}

/// An authority that no other knows.
pub(crate) fn new_authority() -> Authority {
    Authority::new(validity()).expect("the system has randomness")
}

fn validity() -> Validity {
    Validity::days(SystemTime::now(), 1)
}

/// For the holder of a name, at these addresses.
fn issue(authority: &Authority, role: PeerRole, name: String, hosts: Vec<String>) -> Issued {
    let request = Request { name, roles: PeerRoles::of(&[role]), hosts, validity: validity() };
    authority.issue(&request).expect("a name and addresses")
}

/// That of everybody who only dials.
fn of_client() -> &'static Issued {
    static CLIENT: OnceLock<Issued> = OnceLock::new();
    CLIENT.get_or_init(|| issue(authority(), PeerRole::Client, "desk".into(), Vec::new()))
}

/// Lets every command of a stage prove that it is a client.
pub(crate) fn give(stage: &mut Stage) {
    let ca = stage.write("ca.pem", authority().cert_pem());
    let cert = stage.write("client.pem", &of_client().cert_pem);
    let key = stage.write("client.key", &of_client().key_pem);
    for (variable, file) in [("ODEON_TLS__CA", ca), ("ODEON_TLS__CERT", cert), ("ODEON_TLS__KEY", key)] {
        stage.show(variable, &file);
    }
}

/// Lets a master, or an agent and its executors, prove that they are those of a host.
pub(crate) fn of_role(stage: &Stage, role: PeerRole, host: usize, command: Invocation) -> Invocation {
    let command = shown(stage, authority(), role, host, command);
    if role == PeerRole::Agent { shown(stage, authority(), PeerRole::ActorHost, host, command) } else { command }
}

/// As [`of_role`], for one of them, and by any authority.
pub(crate) fn shown(stage: &Stage, by: &Authority, role: PeerRole, host: usize, command: Invocation) -> Invocation {
    let Issued { cert_pem, key_pem } = issue(by, role, name(host), vec![address(host)]);
    let file = |ending: &str| format!("{}-{role}.{ending}", name(host));
    let [cert, key] = match role {
        PeerRole::Client => ["ODEON_TLS__CERT", "ODEON_TLS__KEY"],
        PeerRole::Master => ["ODEON_MASTER__TLS__CERT", "ODEON_MASTER__TLS__KEY"],
        PeerRole::Agent => ["ODEON_AGENT__TLS__CERT", "ODEON_AGENT__TLS__KEY"],
        PeerRole::ActorHost => ["ODEON_AGENT__TLS__EXECUTOR_CERT", "ODEON_AGENT__TLS__EXECUTOR_KEY"],
    };
    command.env(cert, stage.write(&file("pem"), cert_pem)).env(key, stage.write(&file("key"), key_pem))
}

/// A node of a client.
pub(crate) async fn node(name: &str, incarnation: u64) -> Node {
    let files = CredentialFiles { ca: "ca.pem".into(), cert: "client.pem".into(), key: "client.key".into() };
    let (ca, cert, key) = (authority().cert_pem(), &of_client().cert_pem, &of_client().key_pem);
    let credentials = Credentials::from_pem(&files, ca.as_bytes(), cert.as_bytes(), key.as_bytes());
    let transport = Tls::new(credentials.expect("what was issued is good"));
    let builder = Node::builder(name).incarnation(incarnation).transport(Arc::new(transport));
    builder.start().await.expect("a node that only dials can start")
}
