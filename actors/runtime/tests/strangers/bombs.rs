//! What takes little to send must take little to hear.

use crate::counting::most_held;
use crate::samples::{FRAMES, GREETED_NODE, NODE, ask, bodies, broken, honest, tell};
use odeon_runtime::testkit::hear;
use proptest::prelude::*;

/// What the buffers of a reader hold, whatever comes, in bytes.
const READER_BYTES: usize = 512 * 1024;
/// What two nodes, their links and a stranger hold, whatever comes, in bytes.
const NODES_BYTES: usize = 6 * 1024 * 1024;

/// Hears a stream and says how much was held for it, beyond what was received and a fixed part.
fn assert_bounded(reader: u8, stream: &[u8], what: &str) {
    let bytes = [&[reader][..], stream].concat();
    let most = most_held(|| hear(&bytes));
    // What was received, twice while a buffer grows, and once more as what it was read as.
    let allowed = 4 * stream.len() + if reader == FRAMES { READER_BYTES } else { NODES_BYTES };
    assert!(most <= allowed, "{what}: {most} bytes for {} received", stream.len());
}

#[test]
fn bodies_that_say_they_are_more_than_they_are_take_no_more_than_they_are() {
    for (name, body) in bodies() {
        for reader in [FRAMES, GREETED_NODE] {
            assert_bounded(reader, &ask(&body), &name);
            assert_bounded(reader, &tell(&body), &name);
        }
    }
}

#[test]
fn broken_streams_take_no_more_than_they_bring() {
    for (name, stream) in broken() {
        for reader in [FRAMES, NODE, GREETED_NODE] {
            assert_bounded(reader, &stream, name);
        }
    }
}

/// Damage at one place of a stream.
fn damage(mut stream: Vec<u8>, (kind, at, byte): (u8, usize, u8)) -> Vec<u8> {
    if stream.is_empty() {
        return stream;
    }
    let at = at % stream.len();
    match kind {
        0 => stream[at] ^= 1 << (byte % 8),
        1 => stream[at] = byte,
        2 => stream.truncate(at),
        3 => stream.insert(at, byte),
        4 => drop(stream.remove(at)),
        _ => {
            let part = stream[at..].iter().take(usize::from(byte)).copied().collect::<Vec<u8>>();
            stream.splice(at..at, part);
        }
    }
    stream
}

proptest! {
    #[test]
    fn damaged_streams_break_nothing(damages in proptest::collection::vec((0..6_u8, any::<usize>(), any::<u8>()), 1..6)) {
        let stream = damages.iter().fold(honest(), |stream, place| damage(stream, *place));
        assert_bounded(FRAMES, &stream, "a damaged stream");
        assert_bounded(GREETED_NODE, &stream, "a damaged stream");
    }

    #[test]
    fn any_bytes_break_nothing(reader in 0..4_u8, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        assert_bounded(reader, &bytes, "any bytes");
    }
}
