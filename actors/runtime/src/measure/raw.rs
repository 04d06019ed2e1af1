//! The floors over a plain socket: what the machine does with the same bytes and nobody in between.
//!
//! The framing is the fabric's, four bytes of length. A floor does not dispatch, and only [`envelope_rate`] encodes.

use crate::name::Endpoint;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What the sender gathers before it writes, in bytes.
const WRITE_BYTES: usize = 64 * 1024;
/// What the receiver reads at most at once, in bytes.
const READ_BYTES: usize = 256 * 1024;
const PREFIX_BYTES: usize = 4;
const ECHO: u8 = 0;
const SINK: u8 = 1;
const READER: u8 = 2;

/// What a program that does without a runtime of actors would put around its bytes.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    to: u32,
    kind: u16,
    correlation: u64,
    #[serde(with = "serde_bytes")]
    payload: &'a [u8],
}

/// Serves the far ends of all floors.
pub(super) async fn serve() -> io::Result<(Endpoint, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = Endpoint(listener.local_addr()?.to_string());
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    Ok((endpoint, serving))
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match stream.read_u8().await? {
        ECHO => echo(stream).await,
        READER => read_envelopes(stream).await,
        _ => sink(stream).await,
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Counts envelopes, each decoded, and answers the count once an empty frame has come.
async fn read_envelopes(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut held, mut envelopes) = (0, 0_u64);
    loop {
        let count = stream.read(&mut buffer[held..]).await?;
        if count == 0 {
            return Ok(());
        }
        let (end, mut at) = (held + count, 0);
        while let Some((prefix, rest)) = buffer[at..end].split_first_chunk::<PREFIX_BYTES>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            if length == 0 {
                stream.write_u64(envelopes).await?;
            } else if let Some(frame) = rest.get(..length) {
                let envelope = rmp_serde::from_slice::<Envelope<'_>>(frame).map_err(io::Error::other)?;
                envelopes += u64::from(std::hint::black_box(envelope).to);
            } else {
                break;
            }
            at += PREFIX_BYTES + length;
        }
        buffer.copy_within(at..end, 0);
        held = end - at;
    }
}

/// Counts whole frames and answers the count once an empty frame has come.
async fn sink(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut held, mut skip, mut frames) = (0, 0, 0_u64);
    loop {
        let count = stream.read(&mut buffer[held..]).await?;
        if count == 0 {
            return Ok(());
        }
        let (end, mut at) = (held + count, 0);
        loop {
            let step = skip.min(end - at);
            (at, skip) = (at + step, skip - step);
            let Some(prefix) = buffer[at..end].first_chunk::<PREFIX_BYTES>().filter(|_| skip == 0) else { break };
            (at, skip) = (at + PREFIX_BYTES, u32::from_be_bytes(*prefix) as usize);
            match skip {
                0 => stream.write_u64(frames).await?,
                _ => frames += 1,
            }
        }
        buffer.copy_within(at..end, 0);
        held = end - at;
    }
}

async fn dial(endpoint: &Endpoint, mode: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(endpoint.as_str()).await?;
    stream.set_nodelay(true)?;
    stream.write_u8(mode).await?;
    Ok(stream)
}

fn frame(bytes: usize) -> io::Result<Vec<u8>> {
    let length = u32::try_from(bytes).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.resize(PREFIX_BYTES + bytes, 7);
    Ok(frame)
}

/// Frames that the sink has counted in a second, from so many senders of `count` each at the same time.
pub(super) async fn sink_rate(endpoint: &Endpoint, bytes: usize, count: u64, senders: usize) -> io::Result<f64> {
    let streams = try_join_all((0..senders).map(|_| dial(endpoint, SINK))).await?;
    let frame = frame(bytes)?;
    // One clock for all: rates of their own would add up to more than there was if they do not run side by side.
    let start = Instant::now();
    let counted = try_join_all(streams.into_iter().map(|stream| pour(stream, &frame, count))).await?;
    Ok(super::load::per_second(counted.iter().sum(), start))
}

/// Sends a frame so many times; how many the sink has counted.
async fn pour(mut stream: TcpStream, frame: &[u8], count: u64) -> io::Result<u64> {
    let mut gathered = Vec::with_capacity(WRITE_BYTES + frame.len());
    for _ in 0..count {
        gathered.extend_from_slice(frame);
        if gathered.len() >= WRITE_BYTES {
            stream.write_all(&gathered).await?;
            gathered.clear();
        }
    }
    gathered.extend_from_slice(&[0; PREFIX_BYTES]);
    stream.write_all(&gathered).await?;
    stream.read_u64().await
}

/// Envelopes in a second around payloads of this size, each encoded by the sender and decoded by the receiver.
pub(super) async fn envelope_rate(endpoint: &Endpoint, bytes: usize, count: u64) -> io::Result<f64> {
    let mut stream = dial(endpoint, READER).await?;
    let payload = vec![7; bytes];
    let mut gathered = Vec::with_capacity(WRITE_BYTES + 2 * bytes);
    let start = Instant::now();
    for correlation in 0..count {
        let at = gathered.len();
        gathered.extend_from_slice(&[0; PREFIX_BYTES]);
        let envelope = Envelope { to: 1, kind: 1, correlation, payload: std::hint::black_box(&payload) };
        rmp_serde::encode::write(&mut gathered, &envelope).map_err(io::Error::other)?;
        let length = u32::try_from(gathered.len() - at - PREFIX_BYTES).map_err(io::Error::other)?;
        gathered[at..at + PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        if gathered.len() >= WRITE_BYTES {
            stream.write_all(&gathered).await?;
            gathered.clear();
        }
    }
    gathered.extend_from_slice(&[0; PREFIX_BYTES]);
    stream.write_all(&gathered).await?;
    let counted = stream.read_u64().await?;
    Ok(super::load::per_second(counted, start))
}

/// Bytes in a second of frames that are written from where they lie, without gathering.
pub(super) async fn bulk_rate(endpoint: &Endpoint, bytes: usize, count: u64) -> io::Result<f64> {
    let mut stream = dial(endpoint, SINK).await?;
    let frame = frame(bytes)?;
    let start = Instant::now();
    for _ in 0..count {
        stream.write_all(&frame).await?;
    }
    stream.write_all(&[0; PREFIX_BYTES]).await?;
    let counted = stream.read_u64().await?;
    Ok(super::load::per_second(counted, start))
}

/// The times of single echoes in microseconds.
pub(super) async fn echo_times(endpoint: &Endpoint, bytes: usize, count: u64) -> io::Result<Vec<f64>> {
    let mut stream = dial(endpoint, ECHO).await?;
    let frame = frame(bytes)?;
    let mut back = vec![0; frame.len()];
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        stream.write_all(&frame).await?;
        stream.read_exact(&mut back).await?;
        times.push(super::load::micros(start));
    }
    Ok(times)
}

/// Echoes in a second with `window` of them on the way.
pub(super) async fn window_rate(endpoint: &Endpoint, bytes: usize, window: usize, count: u64) -> io::Result<f64> {
    let mut stream = dial(endpoint, ECHO).await?;
    let frame = frame(bytes)?;
    let full = frame.repeat(window);
    let mut back = vec![0; READ_BYTES];
    let mut missing = usize::try_from(count).map_err(io::Error::other)? * frame.len();
    let mut unsent = missing;
    let start = Instant::now();
    let mut room = full.len();
    while missing > 0 {
        let sent = (room / frame.len() * frame.len()).min(unsent);
        stream.write_all(&full[..sent]).await?;
        (room, unsent) = (room - sent, unsent - sent);
        let came = stream.read(&mut back).await?;
        if came == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (room, missing) = (room + came, missing.saturating_sub(came));
    }
    Ok(super::load::per_second(count, start))
}

/// Bytes in a second that one core copies from one buffer of this size to another.
pub(super) fn copy_rate(bytes: usize, count: u64) -> f64 {
    let (from, mut to) = (vec![7_u8; bytes], vec![0_u8; bytes]);
    let start = Instant::now();
    for _ in 0..count {
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
    }
    super::load::per_second(count, start) * bytes as f64
}
