//! Streams as a node would write them, and as nobody should: what the corpus begins with and what is damaged further.

use odeon_runtime::PROTOCOL_VERSION;

/// What reads a sample; its first byte.
pub(crate) const GREETING: u8 = 0;
pub(crate) const FRAMES: u8 = 1;
pub(crate) const NODE: u8 = 2;
pub(crate) const GREETED_NODE: u8 = 3;

pub(crate) fn framed(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes(), frame].concat()
}

pub(crate) fn hello(version: u16) -> Vec<u8> {
    let node = rmp_serde::to_vec(&(("somebody", 7_u64), 0_u32, "build")).unwrap();
    [b"ODEN".as_slice(), &version.to_be_bytes(), &node].concat()
}

fn names(actor: &str, message: &str) -> Vec<u8> {
    let name = |name: &str| [&u16::try_from(name.len()).unwrap().to_be_bytes(), name.as_bytes()].concat();
    [name(actor), name(message)].concat()
}

/// A frame whose head begins with a number of eight bytes.
fn numbered(kind: u8, correlation: u64, rest: &[u8]) -> Vec<u8> {
    framed(&[&[kind][..], &correlation.to_be_bytes(), rest].concat())
}

pub(crate) fn ask(body: &[u8]) -> Vec<u8> {
    let names = names("figures", "runtime.v1.GetFigures");
    numbered(2, 1, &[&5000_u64.to_be_bytes()[..], &[0xff, 0xff], &names, body].concat())
}

pub(crate) fn tell(body: &[u8]) -> Vec<u8> {
    framed(&[&[1, 0xff, 0xff][..], &names("figures", "runtime.v1.GetFigures"), body].concat())
}

fn define(route: u16) -> Vec<u8> {
    framed(&[&[5][..], &route.to_be_bytes(), &names("figures", "runtime.v1.GetFigures")].concat())
}

fn begin(total: u32, piece: &[u8]) -> Vec<u8> {
    framed(&[&[6][..], &total.to_be_bytes(), piece].concat())
}

fn piece(bytes: &[u8]) -> Vec<u8> {
    framed(&[&[7][..], bytes].concat())
}

/// A bulk frame in pieces of so many bytes, with pings between them.
fn in_pieces(frame: &[u8], piece_bytes: usize) -> Vec<u8> {
    let mut parts = frame.chunks(piece_bytes);
    let total = u32::try_from(frame.len()).unwrap();
    let first = begin(total, parts.next().unwrap());
    parts.fold(first, |stream, part| [stream, framed(&[0]), piece(part)].concat())
}

/// All kinds of frames in an order that a node would write.
pub(crate) fn honest() -> Vec<u8> {
    let empty_map = [0x80];
    let bulk = &tell(&[0x80])[4..];
    [
        framed(&[0]),
        framed(&[&[0, 0][..], &77_u64.to_be_bytes()].concat()),
        define(0),
        framed(&[&[1, 0, 0][..], &empty_map].concat()),
        tell(&empty_map),
        ask(&empty_map),
        numbered(2, 2, &[&5000_u64.to_be_bytes()[..], &[0, 0], &empty_map].concat()),
        numbered(10, 3, b"figures"),
        numbered(11, 3, &[]),
        numbered(10, 4, b"nobody"),
        numbered(3, 9, &[0xc0]),
        numbered(4, 9, &rmp_serde::to_vec_named(&"Stopped").unwrap()),
        in_pieces(bulk, 7),
        framed(&[9, 0, 0, 0, 0, 0, 5]),
    ]
    .concat()
}

/// Bodies that say they are more than they are: nested, or longer than their bytes.
pub(crate) fn bodies() -> Vec<(String, Vec<u8>)> {
    let mut bodies = Vec::new();
    for (name, nests) in [("array", vec![0x91]), ("map", vec![0x81, 0xa1, b'k']), ("option in array", vec![0x92, 0xc0])]
    {
        bodies.push((format!("100000 times {name}"), nests.repeat(100_000)));
        bodies.push((format!("129 times {name}"), nests.repeat(129)));
    }
    let claims: [(&str, &[u8]); 8] = [
        ("str32", &[0xdb, 0xff, 0xff, 0xff, 0xff]),
        ("bin32", &[0xc6, 0xff, 0xff, 0xff, 0xff]),
        ("array32", &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        ("map32", &[0xdf, 0xff, 0xff, 0xff, 0xff]),
        ("ext32", &[0xc9, 0xff, 0xff, 0xff, 0xff, 1]),
        ("array16", &[0xdc, 0xff, 0xff]),
        ("map16", &[0xde, 0xff, 0xff]),
        ("fixext16", &[0xd8, 1]),
    ];
    for (name, claim) in claims {
        bodies.push((format!("{name} alone"), claim.to_vec()));
        bodies.push((format!("{name} and a little"), [claim, &[0; 40]].concat()));
        bodies.push((format!("{name} within {name}"), claim.repeat(30)));
        let field = [&[0x81, 0xa4][..], b"node", claim].concat();
        bodies.push((format!("{name} as a field"), field));
    }
    bodies.push(("never used".into(), vec![0xc1]));
    bodies
}

/// Streams of frames that break the protocol.
pub(crate) fn broken() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a frame of 4 GiB", [&u32::MAX.to_be_bytes()[..], &[1; 50]].concat()),
        ("a frame of 8 MiB that never comes", [&(8_u32 << 20).to_be_bytes()[..], &[1; 50]].concat()),
        ("an empty frame", framed(&[])),
        ("an unknown kind", framed(&[99, 1, 2, 3])),
        ("an undefined number", framed(&[1, 0, 7])),
        ("a number beyond the last", define(64)),
        ("64 numbers and names without end", (0..300_u16).flat_map(|route| define(route % 64)).collect()),
        ("a piece of nothing", piece(b"x")),
        ("a bulk frame within another", [begin(9, b"x"), begin(9, b"x")].concat()),
        ("a bulk frame of 4 GiB", begin(u32::MAX, b"x")),
        ("a bulk frame of 8 MiB that never comes", begin(8 << 20, b"x")),
        ("a bulk frame of nothing", begin(0, b"")),
        ("a piece that is too long", [begin(2, b"x"), piece(b"xx")].concat()),
        ("a piece behind a whole frame", [in_pieces(&tell(&[0x80])[4..], 7), piece(b"x")].concat()),
        ("a piece within pieces", in_pieces(&piece(b"x")[4..], 1)),
        ("credit for nothing", framed(&[8, 0, 0, 0, 1])),
        ("room for a number that is none", framed(&[9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("a reply to nothing", numbered(3, u64::MAX, &[0xc0])),
        ("a watch of no name", numbered(10, 1, &[0xff, 0xfe])),
        ("the same watch again and again", numbered(10, 1, b"figures").repeat(5000)),
        ("an unwatch of nothing", numbered(11, 1, &[])),
        ("a name that is not text", framed(&[1, 0xff, 0xff, 0, 1, 0xff, 0, 1, 0xff])),
        ("a name beyond its frame", framed(&[1, 0xff, 0xff, 0xff, 0xff, b'a'])),
    ]
}

/// What the corpus begins with, by the name of its file.
pub(crate) fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut corpus = vec![
        ("greeting".to_owned(), [&[GREETING][..], &hello(PROTOCOL_VERSION)].concat()),
        ("greeting-of-another-version".to_owned(), [&[GREETING][..], &hello(PROTOCOL_VERSION + 1)].concat()),
        ("greeting-of-no-kind".to_owned(), [&[NODE][..], b"GET / HTTP/1.1\r\n\r\n"].concat()),
        ("node-and-greeting".to_owned(), [&[NODE][..], &framed(&hello(PROTOCOL_VERSION)), &honest()].concat()),
        ("node-and-another-version".to_owned(), [&[NODE][..], &framed(&hello(PROTOCOL_VERSION + 1))].concat()),
    ];
    for reader in [FRAMES, GREETED_NODE] {
        corpus.push((format!("honest-{reader}"), [&[reader][..], &honest()].concat()));
        for (name, stream) in broken().into_iter().filter(|(_, stream)| stream.len() < 10_000) {
            corpus.push((format!("{}-{reader}", name.replace(' ', "-")), [&[reader][..], &stream].concat()));
        }
        for (name, body) in bodies().into_iter().filter(|(_, body)| body.len() < 1000) {
            corpus.push((format!("{}-{reader}", name.replace(' ', "-")), [&[reader][..], &ask(&body)].concat()));
        }
    }
    corpus
}
