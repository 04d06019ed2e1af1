//! What it costs that both ends prove who they are and nobody else can read along: TLS beside plain text in the same run.

use super::figure::{Bound, Figure, Rate, percentile};
use super::load::{self, Note, Parcel, SinkApi};
use super::{FarEnds, MeasureError, Measuring, Scale, start_node, start_node_on};
use crate::peer::Peer;
use crate::trust::{Credentials, Tls};
use std::sync::Arc;

const MIB: usize = 1024 * 1024;
/// What the floor is.
const PLAIN: &str = "without TLS";

/// Measures TLS against a [`FarSide`](super::FarSide) in another process, which was given credentials of the same authority.
///
/// # Errors
/// [`MeasureError`] if the other process cannot be reached, or refuses.
pub fn sealed<'a>(
    ends: &'a FarEnds,
    credentials: Credentials,
    incarnation: u64,
    scale: &'a Scale,
) -> Measuring<'a, Vec<Figure>> {
    Box::pin(measure(ends, credentials, incarnation, scale))
}

async fn measure(
    ends: &FarEnds,
    credentials: Credentials,
    incarnation: u64,
    scale: &Scale,
) -> Result<Vec<Figure>, MeasureError> {
    let endpoint = ends.sealed.as_ref().ok_or(MeasureError::NotSealed)?;
    let plain_node = start_node("plain", incarnation).await?;
    let node = start_node_on("proven", incarnation, Arc::new(Tls::new(credentials))).await?;
    let plain: Peer<SinkApi> = plain_node.peer_at(&ends.fabric, load::sink_name());
    let peer: Peer<SinkApi> = node.peer_at(endpoint, load::sink_name());
    for peer in [&plain, &peer] {
        load::tell_rate::<Note>(peer, 64, scale.tells.div_ceil(10)).await?;
    }
    let floor = load::tell_rate::<Note>(&plain, 64, scale.tells).await?;
    let told = load::tell_rate::<Note>(&peer, 64, scale.tells).await?;
    let count = (scale.bulk_bytes / MIB as u64).max(2);
    let bulk_floor = load::tell_rate::<Parcel>(&plain, MIB, count).await?;
    let bulk = load::tell_rate::<Parcel>(&peer, MIB, count).await?;
    let mut plain_times = load::echo_times(&plain, 64, scale.asks).await?;
    let mut times = load::echo_times(&peer, 64, scale.asks).await?;
    plain_node.shut_down();
    node.shut_down();
    let lost = |rate: Rate, floor: Rate| Rate { lost: rate.lost + floor.lost, ..rate };
    let p50 = percentile(&mut times, 50);
    Ok(vec![
        Figure::rate("TLS tell 64 B", "1/s", lost(told, floor), (PLAIN, floor.per_second)).bound(Bound::both(0.40)),
        Figure::rate("TLS bulk 1 MiB", "MiB/s", lost(bulk, bulk_floor), (PLAIN, bulk_floor.per_second))
            .bound(Bound::both(0.35)),
        Figure::time("TLS ask 64 B p50", p50, (PLAIN, percentile(&mut plain_times, 50))),
    ])
}
