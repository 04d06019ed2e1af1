//! Mistakes of a fabric as they show on the wire, to see whether the checks notice them.
//!
//! A stream that makes one reads the frames that its node writes, and loses, doubles or changes some of them.

use crate::frame::{self, Head, PREFIX_BYTES};
use crate::name::Endpoint;
use crate::transport::{Connection, Listener, Transport};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of the frames that a mistake is about, one in so many is hit.
const ONE_IN: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    LoseTell,
    DoubleTell,
    /// A tell leaves behind the next one.
    SwapTells,
    DoubleAsk,
    /// An ask leaves behind the next tell.
    DelayAsk,
    LoseReply,
    DoubleReply,
    /// The reply goes to the next ask.
    AnswerAnother,
    LoseRefusal,
    LoseCredit,
    DoubleCredit,
    LoseRoom,
    LosePiece,
    DoublePiece,
    LoseDefine,
    LoseWatch,
    LosePings,
}

impl Mistake {
    pub(crate) const ALL: [Self; 17] = [
        Self::LoseTell,
        Self::DoubleTell,
        Self::SwapTells,
        Self::DoubleAsk,
        Self::DelayAsk,
        Self::LoseReply,
        Self::DoubleReply,
        Self::AnswerAnother,
        Self::LoseRefusal,
        Self::LoseCredit,
        Self::DoubleCredit,
        Self::LoseRoom,
        Self::LosePiece,
        Self::DoublePiece,
        Self::LoseDefine,
        Self::LoseWatch,
        Self::LosePings,
    ];

    fn is_about(self, head: &Head<'_>) -> bool {
        match self {
            Self::LoseTell | Self::DoubleTell | Self::SwapTells => matches!(head, Head::Tell(_)),
            Self::DoubleAsk | Self::DelayAsk => matches!(head, Head::Ask { .. }),
            Self::LoseReply | Self::DoubleReply | Self::AnswerAnother => matches!(head, Head::Reply(_)),
            Self::LoseRefusal => matches!(head, Head::Refusal(_)),
            Self::LoseCredit | Self::DoubleCredit => matches!(head, Head::Credit(_)),
            Self::LoseRoom => matches!(head, Head::Room(..)),
            Self::LosePiece | Self::DoublePiece => matches!(head, Head::Piece),
            Self::LoseDefine => matches!(head, Head::Define(..)),
            Self::LoseWatch => matches!(head, Head::Watch(_)),
            Self::LosePings => matches!(head, Head::Ping),
        }
    }

    /// Credit, room and pings are only missed if all of them are; of some frames a stream has but a few.
    fn one_in(self) -> usize {
        match self {
            Self::LoseCredit | Self::LoseRoom | Self::LosePings => 1,
            Self::LoseDefine | Self::LoseWatch => 2,
            _ => ONE_IN,
        }
    }
}

/// A transport whose streams make the mistake, if there is one to make.
pub(crate) fn mangle(transport: Arc<dyn Transport>, mistake: Option<Mistake>) -> Arc<dyn Transport> {
    match mistake {
        None => transport,
        Some(mistake) => Arc::new(Mangled { transport, mistake }),
    }
}

#[derive(Debug)]
struct Mangled {
    transport: Arc<dyn Transport>,
    mistake: Mistake,
}

impl Transport for Mangled {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>> {
        async move { Ok(stream(self.transport.dial(endpoint).await?, self.mistake)) }.boxed()
    }

    fn listen<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        async move {
            let listener = self.transport.listen(endpoint).await?;
            Ok(Box::new(Port { listener, mistake: self.mistake }) as Box<dyn Listener>)
        }
        .boxed()
    }
}

struct Port {
    listener: Box<dyn Listener>,
    mistake: Mistake,
}

impl Listener for Port {
    fn endpoint(&self) -> Endpoint {
        self.listener.endpoint()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        async move { Ok(stream(self.listener.accept().await?, self.mistake)) }.boxed()
    }
}

fn stream(inner: Connection, mistake: Mistake) -> Connection {
    let hit = Hits { mistake, greeted: false, count: 0, held: Vec::new() };
    Box::new(MangledStream { inner, hits: hit, written: Vec::new(), out: Vec::new() })
}

struct Hits {
    mistake: Mistake,
    greeted: bool,
    count: usize,
    /// A frame that leaves behind the next tell.
    held: Vec<u8>,
}

impl Hits {
    /// Hands on a frame, or what the mistake makes of it.
    fn pass(&mut self, frame: &[u8], out: &mut Vec<u8>) {
        let is_greeting = !std::mem::replace(&mut self.greeted, true);
        let head = frame::decode(&frame[PREFIX_BYTES..]).map(|(head, _)| head);
        let Some(head) = head.ok().filter(|_| !is_greeting) else { return out.extend_from_slice(frame) };
        if !self.is_hit(&head) {
            out.extend_from_slice(frame);
            if matches!(head, Head::Tell(_)) {
                out.append(&mut self.held);
            }
            return;
        }
        use Mistake::{
            AnswerAnother, DelayAsk, DoubleAsk, DoubleCredit, DoublePiece, DoubleReply, DoubleTell, LoseCredit,
            LoseDefine, LosePiece, LosePings, LoseRefusal, LoseReply, LoseRoom, LoseTell, LoseWatch, SwapTells,
        };
        match self.mistake {
            LoseTell | LoseReply | LoseRefusal | LoseCredit | LoseRoom | LosePiece | LoseDefine | LoseWatch
            | LosePings => {}
            DoubleTell | DoubleAsk | DoubleReply | DoubleCredit | DoublePiece => {
                out.extend_from_slice(frame);
                out.extend_from_slice(frame);
            }
            SwapTells | DelayAsk => self.held.extend_from_slice(frame),
            AnswerAnother => {
                let Head::Reply(correlation) = head else { return };
                let at = out.len() + PREFIX_BYTES + 1;
                out.extend_from_slice(frame);
                out[at..at + 8].copy_from_slice(&(correlation + 1).to_be_bytes());
            }
        }
    }

    fn is_hit(&mut self, head: &Head<'_>) -> bool {
        if !self.mistake.is_about(head) {
            return false;
        }
        self.count += 1;
        self.count.is_multiple_of(self.mistake.one_in())
    }
}

struct MangledStream {
    inner: Connection,
    hits: Hits,
    /// What the node has written and what is no whole frame yet.
    written: Vec<u8>,
    /// What the other end is to hear.
    out: Vec<u8>,
}

impl MangledStream {
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            match Pin::new(&mut self.inner).poll_write(cx, &self.out) {
                Poll::Ready(Ok(count)) => drop(self.out.drain(..count)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn pass_whole_frames(&mut self) {
        let mut at = 0;
        while let Some(prefix) = self.written[at..].first_chunk::<PREFIX_BYTES>() {
            let end = at + PREFIX_BYTES + u32::from_be_bytes(*prefix) as usize;
            let Some(frame) = self.written.get(at..end) else { break };
            self.hits.pass(frame, &mut self.out);
            at = end;
        }
        self.written.drain(..at);
    }
}

impl AsyncRead for MangledStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for MangledStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_out(cx))?;
        self.written.extend_from_slice(buf);
        self.pass_whole_frames();
        // What does not leave now leaves with the next write, or when the node has nothing to write and flushes.
        let _ = self.poll_out(cx)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_out(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
