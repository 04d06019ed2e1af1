//! A connection on which bytes never cease to arrive must still be written to.

use crate::probe::{Echo, ProbeApi};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use odeon_runtime::transport::{Connection, Listener, Transport};
use odeon_runtime::{Endpoint, Node, PROTOCOL_VERSION, Peer};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Leads every dial to a flood and keeps what is written into it.
#[derive(Debug, Default)]
struct Flooding {
    written: Arc<Mutex<Vec<u8>>>,
}

/// A greeting, then pings without end; never makes the reader wait.
struct Flood {
    greeting: Vec<u8>,
    written: Arc<Mutex<Vec<u8>>>,
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

impl AsyncRead for Flood {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let ping = framed(&[0]);
        buf.put_slice(&std::mem::take(&mut self.greeting));
        while buf.remaining() >= ping.len() {
            buf.put_slice(&ping);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Flooding {
    fn dial<'a>(&'a self, _: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>> {
        let node = rmp_serde::to_vec(&(("flood", 9_u64), 0_u32, "build")).unwrap();
        let greeting = framed(&[b"ODEN".as_slice(), &PROTOCOL_VERSION.to_be_bytes(), &node].concat());
        let flood = Flood { greeting, written: Arc::clone(&self.written) };
        async move { Ok(Box::new(flood) as Connection) }.boxed()
    }

    fn listen<'a>(&'a self, _: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        async { Err(io::ErrorKind::Unsupported.into()) }.boxed()
    }
}

#[actix_rt::test]
async fn a_link_that_is_flooded_still_sends_and_lets_others_run() {
    tokio::time::pause();
    let flooding = Flooding::default();
    let written = Arc::clone(&flooding.written);
    let node = Node::builder("node").incarnation(1).transport(Arc::new(flooding)).start().await.unwrap();
    let peer: Peer<ProbeApi> = node.peer_at(&"flood:1".into(), "actor");
    let mut asking = Box::pin(peer.send(Echo("x".into())));
    let mut sent = false;
    for _ in 0..100 {
        assert!(asking.as_mut().now_or_never().is_none(), "nobody answers");
        tokio::task::yield_now().await;
        let said = written.lock().unwrap();
        sent = said.windows(13).any(|part| part == b"probe.v1.Echo");
        if sent {
            break;
        }
    }
    assert!(sent, "the ask was never written");
}
