//! Torn writes at every byte, flipped bits at every bit, and what is refused.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn records() -> Vec<String> {
    ["first", "", "third and longest"].map(String::from).to_vec()
}

/// The bytes of a journal that holds [`records`], and where each of them ends.
fn written() -> (Vec<u8>, Vec<usize>) {
    let mut bytes = file_header();
    let mut ends = vec![bytes.len()];
    for record in records() {
        encode_records(&[record], &mut bytes).unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn open(path: &Path) -> Result<(Journal<String>, Vec<String>, RecoveryReport), JournalError> {
    Journal::open(path)
}

#[test]
fn records_come_back_in_order_after_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let (mut journal, found, report) = open(&path).unwrap();
    assert_eq!((found.len(), report), (0, RecoveryReport { created: true, ..RecoveryReport::default() }));
    journal.append(&records()[..2]).unwrap();
    journal.append(&records()[2..]).unwrap();
    drop(journal);
    let (_, found, report) = open(&path).unwrap();
    assert_eq!(found, records());
    assert_eq!(report, RecoveryReport { created: false, record_count: 3, torn_bytes: 0 });
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_cut_at_any_byte_gives_its_complete_records_or_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let (bytes, ends) = written();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        if cut < FILE_HEADER_BYTES {
            assert!(matches!(open(&path), Err(JournalError::NotAJournal { .. })), "cut at {cut}");
            continue;
        }
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        let (mut journal, found, report) = open(&path).unwrap();
        assert_eq!(found, records()[..whole], "cut at {cut}");
        assert_eq!(report.torn_bytes, (cut - ends[whole]) as u64, "cut at {cut}");
        journal.append(&["after".to_owned()]).unwrap();
        drop(journal);
        let (_, found, _) = open(&path).unwrap();
        assert_eq!(found.len(), whole + 1, "cut at {cut}");
        assert_eq!(found.last().map(String::as_str), Some("after"), "cut at {cut}");
    }
}

#[test]
fn any_flipped_bit_is_refused_and_the_file_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let (bytes, ends) = written();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        let refused = open(&path).expect_err("a flipped bit was not noticed");
        if let JournalError::Damaged { offset, .. } = &refused {
            let begin = ends.iter().rev().find(|end| **end <= bit / 8).unwrap();
            assert_eq!(*offset, *begin as u64, "bit {bit}");
        }
        assert!(refused.to_string().contains(path.to_str().unwrap()), "bit {bit}: {refused}");
        assert_eq!(fs::read(&path).unwrap(), flipped, "bit {bit}");
    }
}

#[test]
fn a_tail_of_zeros_is_torn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let (mut bytes, _) = written();
    bytes.extend([0; 100]);
    fs::write(&path, &bytes).unwrap();
    let (_, found, report) = open(&path).unwrap();
    assert_eq!((found, report.torn_bytes), (records(), 100));
}

#[test]
fn a_newer_version_and_a_stranger_are_refused_and_left_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut newer = MAGIC.to_vec();
    newer.extend(2_u32.to_le_bytes());
    newer.extend(crc32fast::hash(&newer).to_le_bytes());
    for bytes in [newer, b"this is someone's letter, not a journal".to_vec(), vec![]] {
        fs::write(&path, &bytes).unwrap();
        assert!(open(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    assert!(matches!(open(directory.path()), Err(JournalError::Io { .. })));
}

#[test]
fn a_replaced_journal_holds_the_new_records_and_takes_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let (mut journal, _, _) = open(&path).unwrap();
    journal.append(&records()).unwrap();
    let mut journal = journal.replace_with(&["all".to_owned()]).unwrap();
    journal.append(&["more".to_owned()]).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Locked { .. })));
    drop(journal);
    let (_, found, _) = open(&path).unwrap();
    assert_eq!(found, ["all", "more"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_journal_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let _first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Locked { .. })));
}
