//! Frames out of a byte stream: reads much at once, hands on each frame where it lies.
//!
//! The length prefix is checked against the limit before anything is allocated for the frame.

use crate::frame::PREFIX_BYTES;
use bytes::{Buf, BytesMut};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// What is read at once if no frame needs more, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// What is read at once if the stream always has more, in bytes.
const READ_BYTES_MAX: usize = 256 * 1024;

/// When bytes last arrived.
#[derive(Debug, Clone)]
pub(crate) struct LastHeard {
    start: Instant,
    last_ms: Arc<AtomicU64>,
}

impl LastHeard {
    fn note(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed, Ordering::Relaxed);
    }

    /// The moment at which bytes last arrived, or of the start.
    pub(crate) fn at(&self) -> Instant {
        self.start + std::time::Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// The reading half of a connection as frames.
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    /// How much of the buffer has been handed on.
    taken: usize,
    /// How much room the next read is given.
    read_bytes: usize,
    frame_bytes_max: usize,
    heard: LastHeard,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, frame_bytes_max: usize) -> Self {
        let heard = LastHeard { start: Instant::now(), last_ms: Arc::default() };
        Self { stream, buffer: BytesMut::new(), taken: 0, read_bytes: READ_BYTES, frame_bytes_max, heard }
    }

    pub(crate) fn set_frame_bytes_max(&mut self, bytes: usize) {
        self.frame_bytes_max = bytes;
    }

    pub(crate) fn heard(&self) -> LastHeard {
        self.heard.clone()
    }

    /// The next frame of what has been read; none if it is not complete.
    ///
    /// # Errors
    /// `InvalidData` if the frame is over the limit.
    pub(crate) fn buffered(&mut self) -> io::Result<Option<&[u8]>> {
        let rest = &self.buffer[self.taken..];
        let Some(prefix) = rest.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > self.frame_bytes_max {
            let text = format!("a frame of {length} bytes is over the limit of {}", self.frame_bytes_max);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if rest.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        let start = self.taken + PREFIX_BYTES;
        self.taken = start + length;
        Ok(Some(&self.buffer[start..self.taken]))
    }

    /// Reads once; false at the end of the stream. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Of the stream, or `UnexpectedEof` if it ends within a frame.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        self.make_room();
        let room = self.buffer.capacity() - self.buffer.len();
        match self.stream.read_buf(&mut self.buffer).await? {
            0 if self.buffer.is_empty() => Ok(false),
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                if count == room {
                    self.read_bytes = READ_BYTES_MAX;
                }
                self.heard.note();
                Ok(true)
            }
        }
    }

    /// Memory follows what has arrived: a length alone reserves no more than has been received, twice over.
    fn make_room(&mut self) {
        self.buffer.advance(std::mem::take(&mut self.taken));
        let missing = match self.buffer.first_chunk::<PREFIX_BYTES>() {
            Some(prefix) => {
                let length = (u32::from_be_bytes(*prefix) as usize).min(self.frame_bytes_max);
                (PREFIX_BYTES + length).saturating_sub(self.buffer.len())
            }
            None => 0,
        };
        let room = missing.min(self.buffer.len().max(self.read_bytes) * 2).max(self.read_bytes);
        if self.buffer.capacity() - self.buffer.len() < room / 4 {
            self.buffer.reserve(room);
        }
    }

    /// The next frame; none at the end of the stream. For the handshake, where one frame is awaited.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame.to_vec()));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    #[actix_rt::test]
    async fn frames_are_the_same_however_the_bytes_are_cut() {
        let bodies = [b"one".to_vec(), vec![], vec![7; 200_000], b"four".to_vec()];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        for pipe_bytes in [1, 5, 4096, 1 << 20] {
            let (mut write, read) = tokio::io::duplex(pipe_bytes);
            let stream = stream.clone();
            tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut write, &stream).await });
            let mut reader = FrameReader::new(read, 200_000);
            for body in &bodies {
                assert_eq!(reader.next().await.unwrap().as_deref(), Some(&body[..]));
            }
            assert_eq!(reader.next().await.unwrap(), None);
        }
    }

    #[actix_rt::test]
    async fn a_length_alone_reserves_little_and_one_over_the_limit_is_refused() {
        let mut reader = FrameReader::new(&[0x40, 0, 0, 0, 1][..], 1 << 30);
        assert!(reader.fill().await.unwrap());
        assert_eq!(reader.fill().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(reader.buffer.capacity() <= 4 * READ_BYTES, "{}", reader.buffer.capacity());
        let mut reader = FrameReader::new(&[0, 0, 0, 9][..], 8);
        let error = reader.next().await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("9 bytes")), (io::ErrorKind::InvalidData, true));
    }
}
