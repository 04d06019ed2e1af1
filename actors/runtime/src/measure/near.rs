//! Within one process: the fabric beside plain actix.

use super::figure::{Bound, Figure, Rate, percentile};
use super::load::{self, Echo, Load, MAILBOX, Note, Sink, SinkApi};
use super::{MeasureError, Measuring, Scale, start_node};
use crate::peer::Peer;
use actix::Addr;
use tokio::time::Instant;

/// Measures tells and asks to an actor of the same node.
///
/// # Errors
/// [`MeasureError`] if a message is refused for another reason than a full mailbox.
pub fn near(incarnation: u64, scale: &Scale) -> Measuring<'_, Vec<Figure>> {
    Box::pin(measure(incarnation, scale))
}

async fn measure(incarnation: u64, scale: &Scale) -> Result<Vec<Figure>, MeasureError> {
    let node = start_node("near", incarnation).await?;
    load::export(&node);
    let peer: Peer<SinkApi> = node.peer(load::sink_name());
    let sink = Sink::start_counting();
    plain_tell_rate(&sink, scale.tells.div_ceil(10)).await?;
    let floor = plain_tell_rate(&sink, scale.tells).await?;
    let told = load::tell_rate::<Note>(&peer, 64, scale.tells).await?;
    let mut plain = plain_ask_times(&sink, scale.asks).await?;
    let mut asked = load::echo_times(&peer, 64, scale.asks).await?;
    node.shut_down();
    let p50 = |times: &mut Vec<f64>| percentile(times, 50);
    Ok(vec![
        Figure::rate("near tell 64 B", "1/s", told, ("plain actix try_send", floor.per_second))
            .bound(Bound::both(0.85)),
        Figure::time("near ask 64 B p50", p50(&mut asked), ("plain actix send", p50(&mut plain)))
            .bound(Bound::both(1.25)),
    ])
}

async fn plain_tell_rate(sink: &Addr<Sink>, count: u64) -> Result<Rate, MeasureError> {
    let start = Instant::now();
    for sent in 1..count {
        let told = sink.try_send(Note::of(64));
        if told.is_err() || sent % (MAILBOX as u64) == 0 {
            tokio::task::yield_now().await;
        }
        if told.is_err() {
            sink.send(Note::of(64)).await?;
        }
    }
    sink.send(Note::of(64)).await?;
    Ok(Rate { per_second: load::per_second(count, start), lost: 0 })
}

async fn plain_ask_times(sink: &Addr<Sink>, count: u64) -> Result<Vec<f64>, MeasureError> {
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        sink.send(Echo::of(64)).await?;
        times.push(load::micros(start));
    }
    Ok(times)
}
