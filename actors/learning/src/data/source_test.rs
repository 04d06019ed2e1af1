//! Whole files: what a reading finds in them, what it leaves out, and what it refuses.

use std::io::Write;

use ndarray::array;

use super::*;
use crate::data::{BadRows, DataColumn};

fn file(text: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_ref()).unwrap();
    file
}

fn spec() -> DataSpec {
    DataSpec { target: Some("y".into()), ..DataSpec::default() }
}

fn featured(features: &[&str]) -> DataSpec {
    DataSpec { features: Some(features.iter().map(|name| (*name).to_owned()).collect()), ..spec() }
}

/// The table, and the file, which is there as long as it is held.
fn table(text: &str, spec: &DataSpec) -> (tempfile::NamedTempFile, Table) {
    let file = file(text);
    let table = scan(file.path(), spec).unwrap();
    (file, table)
}

fn all(table: &Table) -> Rows {
    table.read_rows(&(0..table.summary().row_count).collect::<Vec<_>>()).unwrap()
}

/// The refusal, with a short name for the file.
fn refusal(text: impl AsRef<[u8]>, spec: &DataSpec) -> String {
    let file = file(text);
    let refused = scan(file.path(), spec).unwrap_err().to_string();
    refused.replace(&file.path().display().to_string(), "d.csv")
}

#[test]
fn a_scan_counts_rows_and_names_features() {
    assert_eq!(*table("a,b,y\n1,2,3\n4,5,6\n", &spec()).1.summary(), DataSummary::numeric(2, &["a", "b"], "y"));
}

#[test]
fn rows_come_in_the_wanted_order_even_twice() {
    let (_file, table) = table("a,y\n0,0\n1,10\n2,20\n3,30\n", &spec());
    let rows = table.read_rows(&[2, 0, 2]).unwrap();
    assert_eq!(rows, Rows { x: array![[2.0], [0.0], [2.0]], y: array![20.0, 0.0, 20.0] });
    let error = table.read_rows(&[1, 4]).unwrap_err();
    assert!(matches!(error, DataError::RowMissing { wanted: 4, row_count: 4, .. }));
}

#[test]
fn a_missing_file_and_a_file_without_rows_are_told_apart() {
    assert!(matches!(scan(Path::new("no/such.csv"), &spec()), Err(DataError::FileMissing { .. })));
    assert_eq!(refusal("a,y\n", &spec()), "d.csv: the file has a header and no rows");
    assert_eq!(refusal("", &spec()), "d.csv: the file is empty");
}

#[test]
fn features_come_in_the_order_asked_for_and_the_target_last() {
    let text = "y,name,b,a\n1,x,2, 3e0\n4,\"q,r\",5,6";
    assert_eq!(
        all(&table(text, &featured(&["a", "b"])).1),
        Rows { x: array![[3.0, 2.0], [6.0, 5.0]], y: array![1.0, 4.0] }
    );
    assert_eq!(table("y,b,a\n1,2,3\n", &spec()).1.summary().feature_names, ["b", "a"]);
}

#[test]
fn a_bad_cell_is_named_by_file_line_and_column_for_any_line_ends() {
    let message = |text: &str| refusal(text, &spec());
    let expected = "d.csv: row 5, column \"a\": \"ten\" is not a number";
    for text in ["a,y\n1,2\n\n\nten,4\n", "a,y\r\n1,2\r\n\r\n\r\nten,4\r\n", "a,y\n1,2\n\n\nten,4"] {
        assert_eq!(message(text), expected);
    }
    assert_eq!(message("a,y\n1,2\n1,NaN\n"), "d.csv: row 3, column \"y\": \"NaN\" is not finite");
    assert_eq!(message("a,y\n1e999,2\n"), "d.csv: row 2, column \"a\": \"1e999\" is not finite");
    assert_eq!(message("a,y\n-inf,2\n"), "d.csv: row 2, column \"a\": \"-inf\" is not finite");
    assert_eq!(message("a,y\n1,\n"), "d.csv: row 2, column \"y\": the cell is empty");
    assert_eq!(message("a,y\n1,x\n"), "d.csv: row 2, column \"y\": \"x\" is not a number");
    assert_eq!(message("a,y\n1,2\n1,2,3\n"), "d.csv: row 3: 3 cells under 2 columns");
    assert_eq!(refusal(b"a,y\n1,2\n\xff,2\n", &spec()), "d.csv: row 3: not UTF-8 text");
}

#[test]
fn a_label_that_is_no_class_is_named() {
    let spec = DataSpec { binary_target: true, ..spec() };
    assert_eq!(all(&table("a,y\n5,0\n6,1.0", &spec).1).y, array![0.0, 1.0]);
    let text = "d.csv: row 3, column \"y\": \"2\" is not a class label, which is 0 or 1";
    assert_eq!(refusal("a,y\n5,0\n6,2", &spec), text);
}

#[test]
fn two_words_are_classes_in_their_alphabetical_order_and_three_are_refused() {
    let spec = DataSpec { binary_target: true, ..spec() };
    let (_file, table) = table("a,y\n5,yes\n6,no\n7,yes\n", &spec);
    assert_eq!(table.summary().classes, ["no", "yes"]);
    assert_eq!(all(&table).y, array![1.0, 0.0, 1.0]);
    let expected = "d.csv: column \"y\" has 3 different words as class labels, this model needs 2";
    assert_eq!(refusal("a,y\n5,yes\n6,no\n7,perhaps\n", &spec), expected);
    assert_eq!(refusal("a,y\n5,1\n6,no\n", &spec), "d.csv: row 3, column \"y\": \"no\" is not a number");
}

#[test]
fn any_number_of_classes_are_in_the_order_of_the_alphabet_or_of_their_numbers() {
    let spec = DataSpec { binary_target: true, many_classes: true, ..spec() };
    let classes = |text: &str| {
        let (_file, table) = table(text, &spec);
        (table.summary().classes.clone(), all(&table).y.to_vec())
    };
    let of = |words: [&str; 3]| words.map(String::from).to_vec();
    assert_eq!(classes("a,y\n1,10\n2,-1\n3,9\n4,9\n"), (of(["-1", "9", "10"]), vec![2.0, 0.0, 1.0, 1.0]));
    assert_eq!(classes("a,y\n1,c\n2,10\n3,9\n4,9\n"), (of(["10", "9", "c"]), vec![2.0, 0.0, 1.0, 1.0]));
    let refused = "d.csv: column \"y\" has 1 different classes, this model takes 2 to 500";
    assert_eq!(refusal("a,y\n5,1\n6,1\n", &spec), refused);
    let many: String = (0..501).map(|row| format!("1,{row}\n")).collect();
    let refused = refusal(format!("a,y\n{many}"), &spec);
    assert_eq!(refused, "d.csv: column \"y\" has 501 different classes, this model takes 2 to 500");
    assert_eq!(refusal("a,y\n5,x\n6,\n7,y\n", &spec), "d.csv: row 3, column \"y\": the cell is empty");
}

#[test]
fn a_bad_header_is_named() {
    let message = |text: &str| refusal(text, &spec());
    assert_eq!(message("a,a,y\n1,2,3"), "d.csv: row 1: column \"a\" appears twice");
    assert_eq!(message("y\n1"), "d.csv: no feature columns besides the target");
    let target = DataSpec { target: Some("petal_widht".into()), ..DataSpec::default() };
    assert_eq!(
        refusal("petal_width,y\n1,2", &target),
        "d.csv: row 1: no column \"petal_widht\", did you mean \"petal_width\"?"
    );
    assert_eq!(refusal("petal_width,y\n1,2", &featured(&["qqq"])), "d.csv: row 1: no column \"qqq\"");
    assert_eq!(refusal("petal_width,y\n1,2", &featured(&["y"])), "d.csv: column \"y\" is asked for twice");
    let setting = [("petal".to_owned(), ColumnSetting::Ignored)].into();
    let unknown = DataSpec { columns: setting, ..spec() };
    assert!(refusal("petals,y\n1,2", &unknown).ends_with("no column \"petal\", did you mean \"petals\"?"));
}

#[test]
fn a_column_is_one_of_words_if_none_of_its_cells_is_a_number() {
    let (_file, table) = table("sex,a,y\nmale,1,2\nfemale,2,3\nmale,3,4\n", &spec());
    let words =
        DataColumn { name: "sex".into(), levels: vec!["female".into(), "male".into()], ..DataColumn::default() };
    assert_eq!(table.summary().columns[0], words);
    assert_eq!((words.kind(), table.summary().columns[1].kind()), ("categorical", "numeric"));
    assert_eq!(all(&table).x.column(0), array![1.0, 0.0, 1.0]);
}

#[test]
fn what_a_user_says_of_a_column_goes_before_what_it_looks_like() {
    let levels = ["low", "mid", "high"].map(String::from).to_vec();
    let columns = [
        ("code".to_owned(), ColumnSetting::Categorical),
        ("size".to_owned(), ColumnSetting::Ordinal(levels)),
        ("note".to_owned(), ColumnSetting::Ignored),
    ];
    let spec = DataSpec { columns: columns.into(), ..spec() };
    let text = "code,size,note,y\n7,high,\"?\",1\n30,low,,2\n";
    let (_file, table) = table(text, &spec);
    assert_eq!(table.summary().feature_names, ["code", "size"]);
    assert_eq!(all(&table).x, array![[1.0, 2.0], [0.0, 0.0]]);
    let refused = refusal("code,size,note,y\n7,hihg,,1\n", &spec);
    assert_eq!(
        refused,
        "d.csv: row 2, column \"size\": \"hihg\" is none of the words of the column, did you mean \"high\"?"
    );
    let number = DataSpec { columns: [("a".to_owned(), ColumnSetting::Numeric)].into(), ..self::spec() };
    assert_eq!(refusal("a,y\nx,1\n", &number), "d.csv: row 2, column \"a\": \"x\" is not a number");
}

#[test]
fn too_many_words_are_refused_with_what_to_do() {
    let rows: String = (0..1001).map(|row| format!("w{row},1\n")).collect();
    let refused = refusal(format!("name,y\n{rows}"), &spec());
    assert!(refused.contains("column \"name\" has more than 1000 different words"), "{refused}");
    assert!(refused.ends_with("data.columns.name = \"ignored\""), "{refused}");
}

const SPOILED: &str = "a,y\n1,10\nx,20\n3,30\n4\n5,\n,60\n7,70\n";

#[test]
fn bad_rows_are_left_out_and_counted_where_the_job_says_so() {
    let spec = DataSpec { bad_rows: BadRows::Skip, ..spec() };
    let (_file, table) = table(SPOILED, &spec);
    assert_eq!(table.summary().left_out, LeftOut { bad: 4, missing: 0, duplicate: 0 });
    assert_eq!(all(&table), Rows { x: array![[1.0], [3.0], [7.0]], y: array![10.0, 30.0, 70.0] });
    assert_eq!(table.read_rows(&[2]).unwrap().y, array![70.0]);
    assert!(table.examples()[0].ends_with("row 3, column \"a\": \"x\" is not a number"), "{:?}", table.examples());
    assert_eq!(table.examples().len(), 4);
}

#[test]
fn bad_cells_count_as_missing_where_the_job_says_so_but_a_bad_target_never_does() {
    let spec = DataSpec { bad_rows: BadRows::Missing, missing_is_filled: true, ..spec() };
    let (_file, table) = table(SPOILED, &spec);
    assert_eq!(table.summary().left_out, LeftOut { bad: 2, missing: 0, duplicate: 0 });
    assert_eq!((table.summary().row_count, table.summary().columns[0].missing_count), (5, 2));
    assert!(all(&table).x[[1, 0]].is_nan());
}

#[test]
fn rows_with_a_missing_cell_and_repeated_rows_are_left_out_where_the_job_says_so() {
    let words = vec!["?".to_owned()];
    let spec = DataSpec { drop_missing_rows: true, drop_duplicate_rows: true, missing_words: words, ..spec() };
    let (_file, table) = table("a,y\n1,1\n?,2\n,2\n-0,3\n1.0,1\n0,3\n", &spec);
    assert_eq!(table.summary().left_out, LeftOut { bad: 0, missing: 2, duplicate: 2 });
    assert_eq!(all(&table).y, array![1.0, 3.0]);
    let refused = refusal("a,y\n?,2\n", &spec);
    assert_eq!(refused, "d.csv: none of the 1 rows is left: 0 bad, 1 with a missing cell, 0 repeated");
}

#[test]
fn a_file_is_read_in_pieces_without_the_rows_left_out() {
    let spec = DataSpec { bad_rows: BadRows::Skip, ..spec() };
    let (_file, table) = table(SPOILED, &spec);
    let mut pieces = Vec::new();
    let read = table.each_chunk(2, |rows| {
        pieces.push(rows);
        Ok::<_, DataError>(())
    });
    assert_eq!(read, Ok(()));
    let expected = [(array![[1.0], [3.0]], array![10.0, 30.0]), (array![[7.0]], array![70.0])];
    assert_eq!(pieces, expected.map(|(x, y)| Rows { x, y }));
}

#[test]
fn a_file_without_a_target_has_targets_of_0() {
    let spec = DataSpec { target: None, ..featured(&["a"]) };
    let (_file, table) = table("b,a\nx,5\n", &spec);
    assert_eq!(all(&table), Rows { x: array![[5.0]], y: array![0.0] });
    assert_eq!(table.summary().target, "");
}

#[test]
fn generated_data_are_a_table_of_the_columns_asked_for_and_one_target() {
    let path = Path::new("synthetic:dense?rows=10&cols=6&seed=1");
    let spec = |target: &str, binary_target| DataSpec { target: Some(target.into()), binary_target, ..spec() };
    let table = scan(path, &spec("label", true)).unwrap();
    assert_eq!(*table.summary(), DataSummary::numeric(10, &["x0", "x1", "x2", "x3", "x4", "x5"], "label"));
    let rows = table.read_rows(&[7, 2]).unwrap();
    let few = DataSpec { features: Some(vec!["x5".into(), "x1".into()]), ..spec("value", false) };
    let few = scan(path, &few).unwrap().read_rows(&[2]).unwrap();
    assert_eq!(few.x.row(0).to_vec(), [rows.x[[1, 5]], rows.x[[1, 1]]]);
    assert_eq!(rows.y[1], f64::from(u8::from(few.y[0] > 0.0)));
    let mut pieces = Vec::new();
    let read = table.each_chunk(4, |rows| {
        pieces.push(rows.y.len());
        Ok::<_, DataError>(())
    });
    assert_eq!((read, pieces), (Ok(()), vec![4, 4, 2]));
    assert!(matches!(table.read_rows(&[10]), Err(DataError::RowMissing { wanted: 10, .. })));
    assert!(scan(path, &spec("value", true)).unwrap_err().to_string().ends_with("a regression \"value\""));
    assert!(matches!(scan(path, &spec("lable", true)), Err(DataError::UnknownColumn { .. })));
}
