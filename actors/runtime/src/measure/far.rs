//! Between two processes over loopback TCP: the fabric beside plain sockets.

use super::figure::{Bound, Figure, Rate, percentile};
use super::load::{self, Echo, Load, Note, Parcel, SinkApi};
use super::memory::Memory;
use super::{FarEnds, MeasureError, Measuring, Scale, raw, start_node};
use crate::error::PeerError;
use crate::node::Node;
use crate::peer::Peer;
use futures_util::future::try_join_all;
use std::cell::Cell;
use tokio::time::Instant;

const MIB: usize = 1024 * 1024;
/// Asks on the way at the same time.
const WINDOW: usize = 64;
/// Memory is told no finer than this, in MiB.
const PAGE_MIB: f64 = 1.0 / 256.0;
/// How many tells are refused before the others of the thread have a turn.
const UNAWAITED_PER_TURN: u64 = 1024;
/// What the sender of tells that nobody waits for may need for them, in MiB.
const UNAWAITED_MIB_MAX: f64 = 64.0;
/// Nodes that send to one at the same time.
const SENDERS: usize = 16;

/// Measures everything against a [`FarSide`](super::FarSide) in another process.
///
/// # Errors
/// [`MeasureError`] if the other process cannot be reached, or refuses.
pub fn far<'a>(ends: &'a FarEnds, incarnation: u64, scale: &'a Scale) -> Measuring<'a, Vec<Figure>> {
    Box::pin(measure(ends, incarnation, scale))
}

async fn measure(ends: &FarEnds, incarnation: u64, scale: &Scale) -> Result<Vec<Figure>, MeasureError> {
    let node = start_node("measuring", incarnation).await?;
    let peer: Peer<SinkApi> = node.peer_at(&ends.fabric, load::sink_name());
    load::tell_rate::<Note>(&peer, 64, scale.tells.div_ceil(10)).await?;
    let mut figures = small(&peer, ends, scale).await?;
    figures.extend(asks(&peer, ends, scale).await?);
    figures.push(fan_in(ends, incarnation, scale).await?);
    figures.push(unawaited(&peer, scale).await?);
    figures.extend(bulk(&peer, ends, scale).await?);
    figures.extend(beside_bulk(&peer, scale).await?);
    node.shut_down();
    Ok(figures)
}

async fn small(peer: &Peer<SinkApi>, ends: &FarEnds, scale: &Scale) -> Result<Vec<Figure>, MeasureError> {
    let floor = raw::sink_rate(&ends.raw, 64, scale.tells * 4, 1).await?;
    let told = load::tell_rate::<Note>(peer, 64, scale.tells).await?;
    let envelopes = raw::envelope_rate(&ends.raw, 64, scale.tells * 2).await?;
    let floor_kib = raw::sink_rate(&ends.raw, 1024, scale.tells, 1).await?;
    let told_kib = load::tell_rate::<Note>(peer, 1024, scale.tells.div_ceil(2)).await?;
    Ok(vec![
        Figure::rate("tell 64 B", "1/s", told, ("raw frames", floor))
            .bound(Bound { free: Some(0.40), pinned: Some(0.60) }),
        Figure::rate("msgpack 64 B", "1/s", told, ("raw msgpack", envelopes))
            .bound(Bound { free: Some(0.40), pinned: Some(0.60) }),
        Figure::rate("tell 1 KiB", "1/s", told_kib, ("raw frames", floor_kib))
            .bound(Bound { free: None, pinned: Some(0.70) }),
    ])
}

async fn asks(peer: &Peer<SinkApi>, ends: &FarEnds, scale: &Scale) -> Result<Vec<Figure>, MeasureError> {
    let mut floor = raw::echo_times(&ends.raw, 64, scale.asks).await?;
    let mut asked = load::echo_times(peer, 64, scale.asks).await?;
    let floor_window = raw::window_rate(&ends.raw, 64, WINDOW, scale.asks * 10).await?;
    let window = window_rate(peer, scale.asks * 4).await?;
    let mut at = |percent| (percentile(&mut asked, percent), ("raw echo", percentile(&mut floor, percent)));
    let ((p50, floor_p50), (p99, floor_p99)) = (at(50), at(99));
    Ok(vec![
        Figure::time("ask 64 B p50", p50, floor_p50).bound(Bound { free: None, pinned: Some(1.6) }),
        Figure::time("ask 64 B p99", p99, floor_p99).bound(Bound { free: None, pinned: Some(3.0) }),
        Figure::rate("64 asks in flight", "1/s", window, ("raw echo", floor_window)).bound(Bound::both(0.35)),
    ])
}

async fn window_rate(peer: &Peer<SinkApi>, count: u64) -> Result<Rate, PeerError> {
    let start = Instant::now();
    let each = count.div_ceil(WINDOW as u64);
    try_join_all((0..WINDOW).map(|_| async {
        for _ in 0..each {
            peer.send(Echo::of(64)).await?;
        }
        Ok::<_, PeerError>(())
    }))
    .await?;
    Ok(Rate { per_second: load::per_second(each * WINDOW as u64, start), lost: 0 })
}

/// Every sender is a node of its own, and has a connection of its own; so has the floor.
async fn fan_in(ends: &FarEnds, incarnation: u64, scale: &Scale) -> Result<Figure, MeasureError> {
    let each = scale.tells.div_ceil(SENDERS as u64);
    let floor = raw::sink_rate(&ends.raw, 64, each * 4, SENDERS).await?;
    let mut senders: Vec<(Node, Peer<SinkApi>)> = Vec::new();
    for number in 0..SENDERS {
        let node = start_node(&format!("sender-{number}"), incarnation).await?;
        let peer: Peer<SinkApi> = node.peer_at(&ends.fabric, load::sink_name());
        senders.push((node, peer));
    }
    // Connected before the clock runs.
    let base = try_join_all(senders.iter().map(|(_, peer)| peer.send(Note::of(64)))).await?;
    let before = base.iter().map(|delivered| delivered.messages).max().unwrap_or(0);
    let start = Instant::now();
    let told = try_join_all(senders.iter().map(|(_, peer)| async move {
        for _ in 1..each {
            peer.tell(Note::of(64)).await?;
        }
        peer.send(Note::of(64)).await
    }))
    .await?;
    let after = told.iter().map(|delivered| delivered.messages).max().unwrap_or(0);
    let arrived = after - before;
    let rate = Rate { per_second: load::per_second(arrived, start), lost: each * SENDERS as u64 - arrived };
    senders.iter().for_each(|(node, _)| node.shut_down());
    Ok(Figure::rate("fan-in of 16, 64 B", "1/s", rate, ("16 raw senders", floor)))
}

/// Tells that nobody waits for: each is taken or refused, and what was taken arrives. What this process needs for them
/// is bounded, whether the link keeps up or not.
async fn unawaited(peer: &Peer<SinkApi>, scale: &Scale) -> Result<Figure, MeasureError> {
    let before = peer.send(Note::of(64)).await?;
    let memory = Memory::now();
    let (mut taken, mut refused) = (0, 0_u64);
    for _ in 0..scale.unawaited {
        match peer.try_tell(Note::of(64)) {
            Ok(()) => taken += 1,
            Err(PeerError::MailboxFull) => {
                refused += 1;
                if refused.is_multiple_of(UNAWAITED_PER_TURN) {
                    tokio::task::yield_now().await;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    let after = peer.send(Note::of(64)).await?;
    let arrived = after.messages - before.messages - 1;
    let extra = memory.and_then(Memory::grown_mib).map_or(f64::NAN, |mib| mib.max(PAGE_MIB));
    let figure = Figure::memory("unawaited try_tell", extra, ("allowed", UNAWAITED_MIB_MAX));
    Ok(Figure { lost: taken - arrived, ..figure.bound(Bound::both(1.0)) })
}

async fn bulk(peer: &Peer<SinkApi>, ends: &FarEnds, scale: &Scale) -> Result<Vec<Figure>, MeasureError> {
    let mut figures = Vec::new();
    let sizes = [
        ("bulk 1 MiB", "copy 1 MiB", MIB, Bound::both(0.70)),
        ("bulk large", "copy large", scale.large_bytes, Bound::NONE),
    ];
    for (name, name_of_copy, bytes, bound) in sizes {
        let count = (scale.bulk_bytes / bytes as u64).max(2);
        let in_mib = bytes as f64 / MIB as f64;
        let floor = raw::bulk_rate(&ends.raw, bytes, count).await? * in_mib;
        let copied = raw::copy_rate(bytes, count) / MIB as f64;
        let told = load::tell_rate::<Parcel>(peer, bytes, count).await?;
        let told = Rate { per_second: told.per_second * in_mib, ..told };
        figures.push(Figure::rate(name, "MiB/s", told, ("raw socket", floor)).bound(bound));
        figures.push(Figure::rate(name_of_copy, "MiB/s", told, ("memcpy", copied)));
    }
    Ok(figures)
}

/// Small asks while 1 MiB messages are sent as fast as they are taken; the floor is the idle link.
async fn beside_bulk(peer: &Peer<SinkApi>, scale: &Scale) -> Result<Vec<Figure>, MeasureError> {
    let count = scale.asks.div_ceil(10);
    let mut idle = load::echo_times(peer, 64, count).await?;
    let parcels = Cell::new(0_u64);
    let before = peer.send(Parcel::of(MIB)).await?;
    let start = Instant::now();
    let mut busy = tokio::select! {
        error = saturate(peer, &parcels) => return Err(error.into()),
        times = load::echo_times(peer, 64, count) => times?,
    };
    let after = peer.send(Parcel::of(MIB)).await?;
    let arrived = after.messages - before.messages;
    let kept = Rate { per_second: load::per_second(arrived, start), lost: parcels.get() + 1 - arrived };
    let alone = load::tell_rate::<Parcel>(peer, MIB, arrived.max(2)).await?;
    let mut at = |percent| (percentile(&mut busy, percent), ("idle link", percentile(&mut idle, percent)));
    let ((p50, idle_p50), (p99, idle_p99)) = (at(50), at(99));
    Ok(vec![
        Figure::time("ask beside bulk p50", p50, idle_p50).bound(Bound { free: Some(15.0), pinned: None }),
        Figure::time("ask beside bulk p99", p99, idle_p99),
        Figure::rate("bulk beside asks", "MiB/s", kept, ("bulk alone", alone.per_second)).bound(Bound::both(0.70)),
    ])
}

/// Sends for as long as it is let; the result is why it could not.
async fn saturate(peer: &Peer<SinkApi>, parcels: &Cell<u64>) -> PeerError {
    loop {
        match peer.tell(Parcel::of(MIB)).await {
            Ok(()) => parcels.set(parcels.get() + 1),
            Err(error) => return error,
        }
    }
}
