//! Several files as one table, packed ones, and files of their own for testing.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use ndarray::array;
use tempfile::TempDir;

use super::*;
use crate::data::BadRows;

/// Files of these names and contents.
fn files(contents: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    contents.iter().for_each(|(name, content)| std::fs::write(directory.path().join(name), content).unwrap());
    directory
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn spec() -> DataSpec {
    DataSpec { target: Some("y".into()), ..DataSpec::default() }
}

fn source(directory: &TempDir, path: &str, test_path: Option<&str>) -> DataSource {
    let paths = |name: &str| DataPaths::from(directory.path().join(name));
    DataSource { paths: paths(path), test_paths: test_path.map(paths) }
}

fn all(table: &Table) -> Rows {
    table.read_rows(&(0..table.summary().row_count).collect::<Vec<_>>()).unwrap()
}

/// The refusal, with short names for the files.
fn refusal(directory: &TempDir, source: &DataSource, spec: &DataSpec) -> String {
    let refused = scan_source(source, spec).unwrap_err().to_string();
    refused.replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn files_of_a_pattern_are_one_table_and_a_bad_row_is_named_by_its_own_file() {
    let directory = files(&[("p1.csv", b"a,y\n1,10\n2,20\n"), ("p2.csv", b"a,y\n"), ("p3.csv", b"a,y\n3,30")]);
    let parts = source(&directory, "p?.csv", None);
    let table = scan_source(&parts, &spec()).unwrap();
    assert_eq!(all(&table), Rows { x: array![[1.0], [2.0], [3.0]], y: array![10.0, 20.0, 30.0] });
    assert_eq!(table.read_rows(&[2, 0]).unwrap().y, array![30.0, 10.0]);
    let mut pieces = Vec::new();
    let read = table.each_chunk(2, |rows| {
        pieces.push(rows.y.to_vec());
        Ok::<_, DataError>(())
    });
    assert_eq!((read, pieces), (Ok(()), vec![vec![10.0, 20.0], vec![30.0]]));
    std::fs::write(directory.path().join("p4.csv"), "a,y\n4,40\nx,50\n").unwrap();
    assert_eq!(refusal(&directory, &parts, &spec()), "p4.csv: row 3, column \"a\": \"x\" is not a number");
    let skipped = scan_source(&parts, &DataSpec { bad_rows: BadRows::Skip, ..spec() }).unwrap();
    assert_eq!((all(&skipped).y, skipped.summary().left_out.bad), (array![10.0, 20.0, 30.0, 40.0], 1));
}

#[test]
fn a_file_with_another_header_is_named_with_the_column() {
    let directory = files(&[("a.csv", b"a,b,y\n1,2,3\n"), ("b.csv", b"b,a,y\n2,1,3\n")]);
    let told = "b.csv: row 1: column 1 is \"b\", in a.csv it is \"a\"; all files have the same header";
    assert_eq!(refusal(&directory, &source(&directory, "*.csv", None), &spec()), told);
    let directory = files(&[("a.csv", b"a,y\n1,3\n"), ("b.csv", b"a,y,z\n2,1,3\n")]);
    let refused = refusal(&directory, &source(&directory, "a.csv", Some("b.csv")), &spec());
    assert_eq!(refused, "b.csv: row 1: column 3 is \"z\", in a.csv it is no column; all files have the same header");
}

#[test]
fn packed_text_is_known_by_its_content_and_read_like_plain_text() {
    let text = "a,y\n1,10\n2,20\n";
    let mut in_members = packed("a,y\n1,");
    in_members.extend(packed("10\n2,20\n"));
    let directory = files(&[("d.csv", text.as_bytes()), ("packed.csv", &packed(text)), ("members.gz", &in_members)]);
    let [plain, whole, members] = ["d.csv", "packed.csv", "members.gz"]
        .map(|name| scan_source(&source(&directory, name, None), &spec()).unwrap());
    assert_eq!((whole.summary(), all(&whole)), (plain.summary(), all(&plain)));
    assert_eq!((members.summary(), all(&members)), (plain.summary(), all(&plain)));
}

#[test]
fn packed_text_that_is_cut_or_damaged_is_told_with_the_last_good_row() {
    let mut state = 1_u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 40
    };
    let text: String = "a,y\n".to_owned() + &(0..20_000).map(|row| format!("{},{row}\n", number())).collect::<String>();
    let whole = packed(&text);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xff);
    let directory = files(&[("cut.gz", &whole[..middle]), ("damaged.gz", &damaged)]);
    let told = |name: &str| refusal(&directory, &source(&directory, name, None), &spec());
    let cut = told("cut.gz");
    let row: u64 =
        cut.strip_prefix("cut.gz: cannot be read behind row ").unwrap().split(':').next().unwrap().parse().unwrap();
    assert!((5_000..20_000).contains(&row) && cut.ends_with(": the gzip data end too early"), "{cut}");
    let damaged = told("damaged.gz");
    assert!(damaged.starts_with("damaged.gz: ") && damaged.contains("row "), "{damaged}");
    assert_ne!(damaged, cut.replace("cut", "damaged"));
}

#[test]
fn what_is_no_text_is_refused_by_what_it_is() {
    let directory = files(&[("a", &[0x28, 0xb5, 0x2f, 0xfd, 0]), ("b", b"PAR1...."), ("c", b"PK\x03\x04")]);
    let told = |name: &str| refusal(&directory, &source(&directory, name, None), &spec());
    assert_eq!(told("a"), "a: cannot be read: it is packed by zstd, of packed files only gzip is read");
    assert_eq!(told("b"), "b: cannot be read: it is a Parquet file, and text is expected");
    assert!(told("c").contains("zip archive"));
}

/// It would be one cell with all that follows, however long.
#[test]
fn a_quotation_mark_that_is_left_open_does_not_swallow_a_large_file() {
    let text = "a,y\n1,2\n\"3,4\n".to_owned() + &"5,6\n".repeat(5 << 20);
    let directory = files(&[("d.gz", &packed(&text))]);
    let told = refusal(&directory, &source(&directory, "d.gz", None), &spec());
    assert!(told.contains("a row has more than 16 MiB; is a quotation mark left open?"), "{told}");
}

#[test]
fn files_for_testing_follow_those_to_learn_from_and_are_counted() {
    let directory = files(&[("train.csv", b"a,y\n1,10\n1,10\nx,7\n3,30\n"), ("test.csv", b"a,y\n1,10\n1,10\n5,50\n")]);
    let parts = source(&directory, "train.csv", Some("test.csv"));
    let spec = DataSpec { bad_rows: BadRows::Skip, drop_duplicate_rows: true, ..spec() };
    let table = scan_source(&parts, &spec).unwrap();
    assert_eq!((table.summary().row_count, table.summary().test_row_count), (4, Some(2)));
    assert_eq!(table.summary().left_out, LeftOut { bad: 1, missing: 0, duplicate: 2 });
    assert_eq!(all(&table).y, array![10.0, 30.0, 10.0, 50.0]);
    assert_eq!(rescan(&parts, &spec, table.summary()), Ok(table));
    let same = refusal(&directory, &source(&directory, "train.csv", Some("t*.csv")), &spec);
    assert_eq!(same, "train.csv: the file is listed twice");
}

#[test]
fn words_of_both_kinds_of_files_are_known_and_a_host_with_other_files_notices() {
    let directory = files(&[("train.csv", b"a,y\nred,1\nblue,2\n"), ("test.csv", b"a,y\ngreen,3\n")]);
    let parts = source(&directory, "train.csv", Some("test.csv"));
    let table = scan_source(&parts, &spec()).unwrap();
    assert_eq!(table.summary().columns[0].levels, ["blue", "green", "red"]);
    std::fs::write(directory.path().join("test.csv"), "a,y\npink,3\n").unwrap();
    let refused = rescan(&parts, &spec(), table.summary()).unwrap_err().to_string();
    assert!(refused.contains("\"pink\" is none of the words of the column"), "{refused}");
    std::fs::write(directory.path().join("test.csv"), "a,y\nred,3\nred,4\n").unwrap();
    assert_ne!(rescan(&parts, &spec(), table.summary()).unwrap().summary(), table.summary());
}
