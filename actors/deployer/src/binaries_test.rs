//! Tests of how binaries are handed in and read.

use super::*;
use odeon_protocol::binary::Digest;

/// What a client that was told an offset hands in next.
fn put(digest: &Digest, offset: u64, data: &[u8]) -> PutBinary {
    PutBinary { sha256: digest.clone(), offset, data: data.to_vec() }
}

/// The digest of `hello`.
fn hello() -> Digest {
    Digest::new("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824").unwrap()
}

struct Store {
    _root: tempfile::TempDir,
    dir: BinaryDir,
    place: Mutex<Option<PartialBinary>>,
}

impl Store {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = BinaryDir::open(root.path(), 100).unwrap();
        Self { _root: root, dir, place: Mutex::default() }
    }

    fn offer(&self) -> BinaryProgress {
        offer(&self.dir, &self.place, &hello(), 5, &BTreeSet::new()).unwrap()
    }

    fn put(&self, offset: u64, data: &[u8]) -> Result<BinaryProgress, StoreBinaryError> {
        take_in(&self.dir, &self.place, &put(&hello(), offset, data))
    }
}

#[test]
fn a_binary_is_handed_in_from_wherever_it_stopped_and_offered_again_for_nothing() {
    let store = Store::new();
    assert_eq!(store.offer(), BinaryProgress::Wanted { offset: 0 });
    assert_eq!(store.put(0, b"hel"), Ok(BinaryProgress::Wanted { offset: 3 }));
    assert_eq!(store.offer(), BinaryProgress::Wanted { offset: 3 });
    assert_eq!(store.put(0, b"hel"), Ok(BinaryProgress::Wanted { offset: 3 }), "another client was as far");
    assert_eq!(read(&store.dir, &hello(), 0).unwrap(), None, "not before all of it is there");
    assert_eq!(store.put(3, b"lo"), Ok(BinaryProgress::Complete));
    assert_eq!(store.put(3, b"lo"), Ok(BinaryProgress::Complete));
    assert_eq!(store.offer(), BinaryProgress::Complete);
    let range = |offset| read(&store.dir, &hello(), offset).unwrap().unwrap();
    assert_eq!(range(0), BinaryRange { size: 5, data: b"hello".to_vec() });
    assert_eq!(range(4), BinaryRange { size: 5, data: b"o".to_vec() });
    assert_eq!(range(9), BinaryRange { size: 5, data: Vec::new() });
}

#[test]
fn what_is_not_what_was_offered_is_refused_and_may_be_offered_again() {
    let store = Store::new();
    assert_eq!(store.put(0, b"hello"), Err(StoreBinaryError::NotOffered(hello())));
    store.offer();
    let error = store.put(0, b"hallo").unwrap_err().to_string();
    assert!(error.contains(hello().as_str()), "{error}");
    store.offer();
    assert!(matches!(store.put(0, b"hello!"), Err(StoreBinaryError::Refused(_))));
    store.offer();
    assert_eq!(store.put(0, b"hello"), Ok(BinaryProgress::Complete));
}
