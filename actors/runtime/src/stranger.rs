//! Any bytes, fed to all that reads bytes of strangers: for the fuzz target and for the tests of its corpus.
//!
//! It panics if bytes break what `docs/fabric.md` promises. How much memory they take is measured by whoever calls.

use crate::events::LinkEvent;
use crate::figures::{FIGURES, GetFigures, NodeFigures, TellsFigures};
use crate::frame::{self, Head};
use crate::heartbeat::Heartbeat;
use crate::limits::FabricLimits;
use crate::name::{ActorAddress, NodeId};
use crate::peer::Peer;
use crate::reader::FrameReader;
use crate::testkit::TwoNodes;
use crate::watch::EndReason;
use crate::{Endpoint, PeerError};
use futures_util::FutureExt;
use odeon_protocol::codec;
use serde::de::IgnoredAny;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// How long a node may take to close a connection whose other end has closed: it takes a turn, but a machine may be busy.
const CLOSING_MAX: Duration = Duration::from_secs(30);

/// Feeds bytes to one of the readers, which the first byte chooses: a greeting, frames, a node before its handshake,
/// or a node after it.
///
/// # Panics
/// If the bytes break a promise.
pub fn hear(bytes: &[u8]) {
    let Some((&reader, bytes)) = bytes.split_first() else { return };
    match reader % 4 {
        0 => drop(frame::decode_hello(bytes)),
        1 => read_frames(bytes),
        2 => serve(&[], bytes),
        _ => serve(&greeting(), bytes),
    }
}

/// A whole frame with the greeting of a stranger.
fn greeting() -> Vec<u8> {
    let stranger = NodeId { name: "stranger".into(), incarnation: 9 };
    let hello = frame::encode_hello(frame::PROTOCOL_VERSION, &stranger, 0, "");
    [&u32::try_from(hello.len()).unwrap_or(u32::MAX).to_be_bytes(), &hello[..]].concat()
}

/// Reads frames to the end or to the first bad one, and the body of each as several types.
fn read_frames(bytes: &[u8]) {
    let limits = FabricLimits::DEFAULT;
    let mut reader = FrameReader::new(bytes, limits.frame_bytes_max);
    loop {
        loop {
            let Ok(received) = reader.buffered() else { return };
            let Some(received) = received else { break };
            let Ok((head, body)) = frame::decode(received.bytes()) else { return };
            assert!(body.len() <= bytes.len(), "a body is part of what was received");
            read_body(&head, body, limits.body_depth_max);
        }
        match reader.fill().now_or_never() {
            Some(Ok(true)) => {}
            Some(Ok(false) | Err(_)) => return,
            None => panic!("a stream of bytes that are there does not wait"),
        }
    }
}

fn read_body(head: &Head<'_>, body: &[u8], depth_max: usize) {
    match head {
        Head::Ping => drop(Heartbeat::decode(body)),
        Head::Refusal(_) => drop(codec::decode::<PeerError>(body, depth_max)),
        _ => {
            drop(codec::decode::<IgnoredAny>(body, depth_max));
            drop(codec::decode::<BTreeMap<String, Vec<Option<ByteBuf>>>>(body, depth_max));
            drop(codec::decode::<(ActorAddress, EndReason)>(body, depth_max));
            drop(codec::decode::<NodeFigures>(body, depth_max));
            drop(codec::decode::<(f64, i64, char, bool, String, Vec<u16>)>(body, depth_max));
        }
    }
}

/// Says the bytes to a node of its own, which must answer others as before.
fn serve(before: &[u8], bytes: &[u8]) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a thread can have a runtime");
    LocalSet::new().block_on(&runtime, async {
        let nodes = TwoNodes::start(1).await;
        nodes.home.serve_figures();
        let [_, far] = nodes.peers::<TellsFigures>(FIGURES);
        far.send(GetFigures {}).await.expect("nothing has gone wrong yet");
        let mut events = nodes.away.subscribe_links();
        let home = Endpoint::new(TwoNodes::HOME);
        let mut stranger = nodes.network.host("stranger").dial(&home).await.expect("a node listens");
        let mut said = Vec::new();
        let talk = async {
            // The node may close at any byte.
            let _ = stranger.write_all(before).await;
            let _ = stranger.write_all(bytes).await;
            let _ = stranger.shutdown().await;
            let _ = stranger.read_to_end(&mut said).await;
        };
        tokio::time::timeout(CLOSING_MAX, talk).await.expect("a connection whose other end has closed ends");
        still_serves(&far).await;
        assert!(!matches!(events.recv().now_or_never(), Some(Some(LinkEvent::Down { .. }))), "another link has ended");
    });
}

async fn still_serves(far: &Peer<TellsFigures>) {
    let figures = far.send(GetFigures {}).await.expect("the node answers as before");
    assert_eq!(figures.node.name, "home");
}
