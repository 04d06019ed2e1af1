//! Frames out of a byte stream: reads much at once, hands on each frame where it lies.
//!
//! The length prefix is checked against the limit before anything is allocated for the frame. The pieces of a bulk
//! frame are read to where they will lie together.

use crate::assembly::Assembly;
use crate::fabric::lock;
use crate::failure_detector::FailureDetector;
use crate::frame::{self, FrameError, Head, PREFIX_BYTES};
use crate::limits::FabricLimits;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// What is read at once if no frame needs more, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// What is read at once if the stream always has more, in bytes.
const READ_BYTES_MAX: usize = 256 * 1024;
/// What is read at once between two pieces, in bytes: what is read with the head of a piece is copied once more.
const HEAD_READ_BYTES: usize = 16 * 1024;

/// How records of TLS begin: what it is, and the major version. As a length, both are over any limit of a greeting.
const TLS_ALERT: u8 = 21;
const TLS_HANDSHAKE: u8 = 22;
const TLS_MAJOR: u8 = 3;

/// What is known of the silences of a link; clones know the same.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    start: Instant,
    detector: Arc<Mutex<FailureDetector>>,
}

impl Heard {
    pub(crate) fn new(limits: &FabricLimits) -> Self {
        let detector = FailureDetector::new(limits, Duration::ZERO);
        Self { start: Instant::now(), detector: Arc::new(Mutex::new(detector)) }
    }

    fn note(&self) {
        lock(&self.detector).on_bytes(self.start.elapsed());
    }

    /// When the link is given up, unless bytes arrive before.
    pub(crate) fn due(&self) -> Instant {
        self.start + lock(&self.detector).due()
    }

    /// For how long no bytes have arrived.
    pub(crate) fn silence(&self) -> Duration {
        lock(&self.detector).silence(self.start.elapsed())
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
    assembly: Assembly,
    /// Who is told of every read; nobody during the handshake.
    heard: Option<Heard>,
    /// Bytes that have ever been read.
    bytes: u64,
}

/// A frame that has arrived.
pub(crate) enum Received<'a> {
    /// Within what has been read.
    Within(&'a [u8]),
    /// Made up of pieces; whoever wants to keep it may take it.
    Whole(&'a mut Vec<u8>),
}

impl Received<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Within(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }

    /// The last `count` bytes, to keep.
    pub(crate) fn into_last(self, count: usize) -> Bytes {
        let start = self.bytes().len() - count;
        match self {
            Self::Within(bytes) => Bytes::copy_from_slice(&bytes[start..]),
            Self::Whole(bytes) => Bytes::from(std::mem::take(bytes)).slice(start..),
        }
    }
}

/// What the buffer begins with.
enum Step {
    Frame(Range<usize>),
    /// The head of a piece, so long with its prefix.
    Piece(usize),
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, frame_bytes_max: usize) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            taken: 0,
            read_bytes: READ_BYTES,
            frame_bytes_max,
            assembly: Assembly::default(),
            heard: None,
            bytes: 0,
        }
    }

    /// Bytes that have ever been read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn set_frame_bytes_max(&mut self, bytes: usize) {
        self.frame_bytes_max = bytes;
    }

    pub(crate) fn set_heard(&mut self, heard: Heard) {
        self.heard = Some(heard);
    }

    /// The next frame of what has been read; none if it is not complete.
    ///
    /// # Errors
    /// `InvalidData` if the frame is over the limit, or a piece does not belong to one.
    pub(crate) fn buffered(&mut self) -> io::Result<Option<Received<'_>>> {
        loop {
            if self.assembly.is_open() {
                self.taken += self.assembly.add(&self.buffer[self.taken..]);
                if self.assembly.close_if_whole() {
                    return Ok(Some(Received::Whole(self.assembly.whole())));
                }
            }
            match self.step()? {
                None => return Ok(None),
                Some(Step::Piece(bytes)) => self.taken += bytes,
                Some(Step::Frame(bytes)) => {
                    self.taken = bytes.end;
                    return Ok(Some(Received::Within(&self.buffer[bytes])));
                }
            }
        }
    }

    fn step(&mut self) -> io::Result<Option<Step>> {
        let rest = &self.buffer[self.taken..];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        check(length, self.frame_bytes_max)?;
        let here = &rest[..length.min(rest.len())];
        if let Some(step) = piece(&mut self.assembly, self.frame_bytes_max, here, length)? {
            return Ok(Some(step));
        }
        let start = self.taken + PREFIX_BYTES;
        Ok((here.len() == length).then(|| Step::Frame(start..start + length)))
    }

    /// How many bytes of pieces the other end is to know of by now.
    pub(crate) fn credit(&mut self) -> Option<usize> {
        self.assembly.credit()
    }

    /// Reads once; false at the end of the stream. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Of the stream, or `UnexpectedEof` if it ends within a frame.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        self.make_room();
        match self.read().await? {
            0 if self.buffer.is_empty() && !self.assembly.is_open() => Ok(false),
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.bytes += count as u64;
                self.heard.iter().for_each(Heard::note);
                Ok(true)
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        let piece_left = self.assembly.piece_left();
        if piece_left > 0 {
            // All of the buffer belonged to the piece.
            let mut piece = (&mut self.stream).take(piece_left as u64);
            let count = piece.read_buf(self.assembly.room()).await?;
            self.assembly.on_read(count);
            return Ok(count);
        }
        if self.assembly.is_open() {
            return (&mut self.stream).take(HEAD_READ_BYTES as u64).read_buf(&mut self.buffer).await;
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let count = self.stream.read_buf(&mut self.buffer).await?;
        if count == room {
            self.read_bytes = READ_BYTES_MAX;
        }
        Ok(count)
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

    /// Whether what has been read is TLS, which the other end then speaks in vain.
    pub(crate) fn begins_with_tls(&self) -> bool {
        matches!(self.buffer[..], [TLS_ALERT | TLS_HANDSHAKE, TLS_MAJOR, ..])
    }

    /// The next frame; none at the end of the stream. For the handshake, where one frame is awaited.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame.bytes().to_vec()));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }
}

/// Begins or goes on with a bulk frame, if this is the head of a piece and complete; `length` is that of the piece.
fn piece(assembly: &mut Assembly, bytes_max: usize, here: &[u8], length: usize) -> io::Result<Option<Step>> {
    if !frame::is_piece(here) {
        return Ok(None);
    }
    let invalid = |error: FrameError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let (head, body) = match frame::decode(here) {
        Err(FrameError::Short) if here.len() < length => return Ok(None),
        decoded => decoded.map_err(invalid)?,
    };
    let head_bytes = here.len() - body.len();
    let piece = length - head_bytes;
    if let Head::Begin(total) = head {
        check(total as usize, bytes_max)?;
        assembly.begin(total as usize, piece).map_err(invalid)?;
    } else {
        assembly.go_on(piece).map_err(invalid)?;
    }
    Ok(Some(Step::Piece(PREFIX_BYTES + head_bytes)))
}

fn check(length: usize, bytes_max: usize) -> io::Result<()> {
    if length <= bytes_max {
        return Ok(());
    }
    let text = format!("a frame of {length} bytes is over the limit of {bytes_max}");
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    #[actix_rt::test]
    async fn frames_are_the_same_however_the_bytes_are_cut() {
        let bodies = [b"one".to_vec(), vec![], vec![1; 200_000], b"four".to_vec()];
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

    fn head(head: &Head<'_>, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, head, body, usize::MAX).unwrap();
        bytes
    }

    #[actix_rt::test]
    async fn a_bulk_frame_is_whole_however_its_pieces_are_cut_and_what_comes_between_them() {
        let whole: Vec<u8> = (0..70_000).map(|at| (at % 251) as u8).collect();
        let mut stream = Vec::new();
        for _ in 0..2 {
            stream.extend(head(&Head::Begin(70_000), &whole[..30_000]));
            stream.extend(head(&Head::Reply(7), b"between"));
            stream.extend(head(&Head::Piece, &whole[30_000..30_001]));
            stream.extend(head(&Head::Piece, &whole[30_001..]));
            stream.extend(head(&Head::Ping, b""));
        }
        for pipe_bytes in [3, 4096, 1 << 20] {
            let (mut write, read) = tokio::io::duplex(pipe_bytes);
            let stream = stream.clone();
            tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut write, &stream).await });
            let mut reader = FrameReader::new(read, 70_000);
            for _ in 0..2 {
                let between = reader.next().await.unwrap().unwrap();
                assert_eq!(frame::decode(&between), Ok((Head::Reply(7), &b"between"[..])));
                assert!(reader.next().await.unwrap().unwrap() == whole, "{pipe_bytes}");
                assert_eq!(reader.next().await.unwrap().as_deref(), Some(&[0][..]));
            }
            assert_eq!(reader.next().await.unwrap(), None);
        }
    }

    #[actix_rt::test]
    async fn a_bulk_frame_over_the_limit_or_cut_short_is_refused() {
        let stream = head(&Head::Begin(1001), b"x");
        let error = FrameReader::new(&stream[..], 1000).next().await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("1001 bytes")), (io::ErrorKind::InvalidData, true));
        let stream = head(&Head::Begin(2), b"x");
        let error = FrameReader::new(&stream[..], 1000).next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let stream = head(&Head::Piece, b"x");
        let error = FrameReader::new(&stream[..], 1000).next().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
