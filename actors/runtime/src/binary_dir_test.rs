//! Tests of the directory of binaries.

use super::*;
use proptest::prelude::*;

fn digest_of_bytes(bytes: &[u8]) -> Digest {
    Digest::of_hash(Sha256::digest(bytes).into())
}

/// A directory for 100 bytes.
fn open(root: &tempfile::TempDir) -> BinaryDir {
    BinaryDir::open(&root.path().join("binaries"), 100).unwrap()
}

fn put(dir: &BinaryDir, bytes: &[u8]) -> Result<KeptBinary, BinaryError> {
    let mut partial = dir.begin(&digest_of_bytes(bytes), bytes.len() as u64, &BTreeSet::new())?;
    partial.write(bytes)?;
    partial.install()
}

fn has(dir: &BinaryDir, bytes: &[u8]) -> bool {
    dir.find(&digest_of_bytes(bytes)).unwrap().is_some()
}

fn files(root: &tempfile::TempDir) -> usize {
    std::fs::read_dir(root.path().join("binaries")).unwrap().count()
}

#[test]
fn a_binary_is_kept_over_restarts_for_its_owner_to_run_and_to_change_for_nobody() {
    let root = tempfile::tempdir().unwrap();
    let kept = put(&open(&root), b"one").unwrap();
    assert_eq!(kept.path().metadata().unwrap().permissions().mode() & 0o777, 0o500);
    assert_eq!(std::fs::read(kept.path()).unwrap(), b"one");
    let again = open(&root);
    assert!(has(&again, b"one") && !has(&again, b"two"));
}

#[test]
fn what_is_cut_short_too_long_or_another_one_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(&root);
    let begin = |bytes: &[u8], size| dir.begin(&digest_of_bytes(bytes), size, &BTreeSet::new()).unwrap();
    let mut short = begin(b"one", 3);
    short.write(b"on").unwrap();
    assert!(matches!(short.install(), Err(BinaryError::CutShort { got: 2, size: 3 })));
    assert!(matches!(begin(b"one", 3).write(b"ones"), Err(BinaryError::Longer(3))));
    let mut other = begin(b"one", 3);
    other.write(b"two").unwrap();
    let wrong = other.install().unwrap_err().to_string();
    assert!(wrong.contains(digest_of_bytes(b"one").as_str()) && wrong.contains(digest_of_bytes(b"two").as_str()));
    assert!(!has(&dir, b"one") && !has(&dir, b"two"));
    assert_eq!(files(&root), 0);
    assert!(matches!(
        dir.begin(&digest_of_bytes(b"x"), BINARY_BYTES_MAX + 1, &BTreeSet::new()),
        Err(BinaryError::TooLarge(_))
    ));
}

#[test]
fn what_was_not_finished_is_gone_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let mut partial = open(&root).begin(&digest_of_bytes(b"one"), 3, &BTreeSet::new()).unwrap();
    partial.write(b"on").unwrap();
    std::mem::forget(partial);
    assert_eq!(files(&root), 1);
    assert!(!has(&open(&root), b"one"));
    assert_eq!(files(&root), 0);
}

#[test]
fn a_file_that_was_changed_is_noticed_in_the_same_run_and_in_the_next_one() {
    let root = tempfile::tempdir().unwrap();
    for bytes in [&b"one"[..], b"two"] {
        let dir = open(&root);
        let path = put(&dir, bytes).unwrap().path().to_owned();
        let looked_at = if bytes == b"one" { dir } else { open(&root) };
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        std::fs::write(&path, b"xyz").unwrap();
        assert!(!has(&looked_at, bytes));
        assert!(!path.exists());
        put(&looked_at, bytes).unwrap();
        assert!(has(&looked_at, bytes));
    }
}

#[test]
fn the_least_recently_used_makes_room_but_none_in_use_and_none_to_be_kept() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(&root);
    let [a, b, c, d] = [[1; 40], [2; 40], [3; 40], [4; 40]];
    let in_use = put(&dir, &a).unwrap();
    drop(put(&dir, &b).unwrap());
    drop(put(&dir, &c).unwrap());
    assert!(has(&dir, &a) && !has(&dir, &b) && has(&dir, &c));
    let keep = BTreeSet::from([digest_of_bytes(&c)]);
    assert!(matches!(
        dir.begin(&digest_of_bytes(&d), 40, &keep),
        Err(BinaryError::NoRoom { bytes: 40, bytes_max: 100 })
    ));
    drop(in_use);
    drop(dir.begin(&digest_of_bytes(&d), 40, &keep).unwrap());
    assert!(!has(&dir, &a) && has(&dir, &c));
}

#[test]
fn what_is_being_taken_in_is_not_taken_in_twice_and_its_room_is_its_own() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(&root);
    let first = dir.begin(&digest_of_bytes(b"one"), 60, &BTreeSet::new()).unwrap();
    assert!(matches!(dir.begin(&digest_of_bytes(b"one"), 60, &BTreeSet::new()), Err(BinaryError::Busy)));
    assert!(matches!(dir.begin(&digest_of_bytes(b"two"), 60, &BTreeSet::new()), Err(BinaryError::NoRoom { .. })));
    drop(first);
    drop(dir.begin(&digest_of_bytes(b"two"), 60, &BTreeSet::new()).unwrap());
}

proptest! {
    #[test]
    fn however_it_is_cut_into_pieces_the_same_bytes_are_installed(
        bytes in proptest::collection::vec(any::<u8>(), 1..100),
        piece in 1_usize..40,
    ) {
        let root = tempfile::tempdir().unwrap();
        let dir = open(&root);
        let mut partial = dir.begin(&digest_of_bytes(&bytes), bytes.len() as u64, &BTreeSet::new()).unwrap();
        for part in bytes.chunks(piece) {
            partial.write(part).unwrap();
        }
        let kept = partial.install().unwrap();
        prop_assert_eq!(std::fs::read(kept.path()).unwrap(), bytes);
        prop_assert_eq!(digest_of(kept.path()).unwrap(), kept.digest.clone());
    }
}
