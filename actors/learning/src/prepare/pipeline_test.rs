//! Steps fitted over blocks of rows, against hand-computed cases and values computed with scikit-learn.

use ndarray::{Array1, Array2, Axis, array, concatenate, s};

use super::*;
use crate::data::DataColumn;
use crate::kernel::{BlockView, column_sums, level_counts, moments, present_squares, present_sums, rank_counts};
use crate::prepare::{ApplyError, apply};

const HOLE: f64 = f64::NAN;

/// Columns `a`, `b`, …; `words` are those of the first columns, none for numbers.
fn summary(rows: &Array2<f64>, words: &[&[&str]]) -> DataSummary {
    let names = ["a", "b", "c", "d"];
    let mut data = DataSummary::numeric(rows.nrows(), &names[..rows.ncols()], "y");
    for (place, column) in data.columns.iter_mut().enumerate() {
        column.levels = words.get(place).into_iter().copied().flatten().map(|word| (*word).to_owned()).collect();
        column.missing_count = rows.column(place).iter().filter(|cell| cell.is_nan()).count();
    }
    data
}

fn settings(text: &str) -> PrepareSettings {
    toml::from_str(text).unwrap()
}

fn refusal(text: &str, data: &DataSummary) -> String {
    Pipeline::new(&settings(text), data, data.row_count).unwrap_err().to_string()
}

fn fit(text: &str, rows: &Array2<f64>, data: &DataSummary) -> Result<Pipeline, PrepareError> {
    fit_with_target(text, rows, &Array1::zeros(rows.nrows()), data)
}

fn view<'a>(x: &'a Array2<f64>, y: &'a Array1<f64>) -> BlockView<'a> {
    BlockView::new(x.view(), y.view()).unwrap()
}

/// Fits over two blocks, as two workers would.
fn fit_with_target(
    text: &str,
    rows: &Array2<f64>,
    targets: &Array1<f64>,
    data: &DataSummary,
) -> Result<Pipeline, PrepareError> {
    let mut pipeline = Pipeline::new(&settings(text), data, rows.nrows())?;
    while let Some(pass) = pipeline.pass() {
        let half = rows.nrows() / 2;
        let sums = [0..half, half..rows.nrows()].map(|block| {
            let y = targets.slice(s![block.clone()]).to_owned();
            let x = apply(pipeline.fitted(), rows.slice(s![block, ..]).to_owned()).unwrap();
            match &pass {
                PreparePass::Present {} => present_sums(x.view()),
                PreparePass::Squares { mean } => present_squares(x.view(), &mean.0).unwrap(),
                PreparePass::Sums {} => column_sums(view(&x, &y)),
                PreparePass::Moments { mean, target_mean } => moments(view(&x, &y), &mean.0, *target_mean).unwrap(),
                PreparePass::Levels { columns } => level_counts(x.view(), columns).unwrap(),
                PreparePass::Ranks { targets, depth } => rank_counts(x.view(), targets, *depth).unwrap(),
            }
        });
        assert_eq!(sums[0].len(), pass.partial_len(pipeline.columns().len()));
        let sums: Vec<f64> = sums[0].iter().zip(&sums[1]).map(|(first, second)| first + second).collect();
        pipeline.absorb(&sums)?;
    }
    Ok(pipeline)
}

/// The rows and the names of their columns behind the steps.
fn prepared(text: &str, rows: &Array2<f64>, words: &[&[&str]]) -> (Array2<f64>, Vec<String>) {
    let pipeline = fit(text, rows, &summary(rows, words)).unwrap();
    let names = pipeline.columns().iter().map(|column| column.name.clone()).collect();
    (apply(pipeline.fitted(), rows.clone()).unwrap(), names)
}

fn iris() -> Array2<f64> {
    example("iris").x
}

fn example(name: &str) -> crate::data::Rows {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data");
    let path = data.join(name).with_extension("csv");
    let spec = crate::data::DataSpec { target: Some("target".into()), ..Default::default() };
    let table = crate::data::source::scan(&path, &spec).unwrap();
    table.read_rows(&(0..table.summary().row_count).collect::<Vec<_>>()).unwrap()
}

fn assert_close(actual: &[f64], expected: &serde_json::Value) {
    let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(&expected) {
        assert!((actual - expected).abs() <= 1e-12 * expected.abs(), "{actual} {expected}");
    }
}

#[test]
fn the_three_scalers_meet_the_reference() {
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/reference.json")).unwrap();
    let (reference, rows) = (&reference["iris"]["scalers_full"], iris());
    let data = summary(&rows, &[]);
    for (step, name, first, second) in [
        ("standard", "standard", "mean", "scale"),
        ("min_max", "minmax", "min", ""),
        ("robust", "robust", "center", "scale"),
    ] {
        let pipeline = fit(&format!("steps = [{{ step = \"{step}\" }}]"), &rows, &data).unwrap();
        let FittedStep::Scale { shift, scale, .. } = &pipeline.fitted()[0] else { panic!("{:?}", pipeline.fitted()) };
        assert_close(shift, &reference[name][first]);
        match second {
            "" => {
                assert_close(&shift.iter().zip(scale).map(|(a, b)| a + b).collect::<Vec<_>>(), &reference[name]["max"])
            }
            second => assert_close(scale, &reference[name][second]),
        }
        let row = apply(pipeline.fitted(), rows.slice(s![..1, ..]).to_owned()).unwrap();
        assert_close(row.as_slice().unwrap(), &reference["row0"][name]);
    }
}

#[test]
fn missing_cells_are_filled_from_the_cells_that_are_there() {
    let rows = array![[1.0, HOLE], [HOLE, 2.0], [4.0, 5.0], [10.0, 3.0]];
    let filled = |with: &str| prepared(&format!("steps = [{{ step = \"impute\", with = {with} }}]"), &rows, &[]).0;
    assert_eq!(filled("\"mean\""), array![[1.0, 10.0 / 3.0], [5.0, 2.0], [4.0, 5.0], [10.0, 3.0]]);
    assert_eq!(filled("\"median\""), array![[1.0, 3.0], [4.0, 2.0], [4.0, 5.0], [10.0, 3.0]]);
    assert_eq!(filled("{ constant = -1.0 }"), array![[1.0, -1.0], [-1.0, 2.0], [4.0, 5.0], [10.0, 3.0]]);
}

#[test]
fn an_indicator_tells_where_a_cell_was_missing() {
    let rows = array![[1.0, 7.0], [HOLE, 8.0]];
    let (x, names) = prepared("steps = [{ step = \"impute\", with = \"mean\", indicator = true }]", &rows, &[]);
    assert_eq!(names, ["a", "b", "a_missing"]);
    assert_eq!(x, array![[1.0, 7.0, 0.0], [1.0, 8.0, 1.0]]);
}

#[test]
fn words_become_columns_of_those_that_occur_in_training() {
    let (rows, words) = (array![[0.0, 1.5], [2.0, 2.5], [2.0, 3.5]], ["red", "unseen", "blue"]);
    let (x, names) = prepared("steps = [{ step = \"one_hot\" }]", &rows, &[&words]);
    assert_eq!(names, ["a=red", "a=blue", "b"]);
    assert_eq!(x, array![[1.0, 0.0, 1.5], [0.0, 1.0, 2.5], [0.0, 1.0, 3.5]]);
    let pipeline =
        fit("steps = [{ step = \"one_hot\", drop_first = true }]", &rows, &summary(&rows, &[&words])).unwrap();
    assert_eq!(apply(pipeline.fitted(), array![[1.0, 9.0]]).unwrap(), array![[0.0, 9.0]]);
    assert_eq!(pipeline.columns()[0].name, "a=blue");
}

#[test]
fn missing_words_become_the_most_frequent_one_or_a_word_of_their_own() {
    let (rows, words) = (array![[1.0], [HOLE], [0.0], [2.0]], ["x", "y", "z"]);
    let most = "steps = [{ step = \"impute\", with = \"most_frequent\" }, { step = \"ordinal\" }]";
    assert_eq!(prepared(most, &rows, &[&words]).0, array![[1.0], [0.0], [0.0], [2.0]]);
    let own = "steps = [{ step = \"impute\", with = { word = \"none\" } }, { step = \"one_hot\" }]";
    let (x, names) = prepared(own, &rows, &[&words]);
    assert_eq!(names, ["a=x", "a=y", "a=z", "a=none"]);
    assert_eq!(x.row(1), array![0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn outliers_are_moved_to_a_quantile_and_products_and_logarithms_are_taken() {
    let rows = array![[0.0], [1.0], [2.0], [3.0], [100.0]];
    let clipped = prepared("steps = [{ step = \"clip\", lower = 0.25, upper = 0.75 }]", &rows, &[]).0;
    assert_eq!(clipped, array![[1.0], [1.0], [2.0], [3.0], [3.0]]);
    let logged = prepared("steps = [{ step = \"log\" }]", &rows, &[]).0;
    assert_eq!(logged[[1, 0]], std::f64::consts::LN_2);
    let (x, names) = prepared("steps = [{ step = \"polynomial\", degree = 3 }]", &array![[2.0, 3.0]], &[]);
    assert_eq!(names, ["a", "b", "a^2", "a*b", "b^2", "a^3", "a^2*b", "a*b^2", "b^3"]);
    assert_eq!(x, array![[2.0, 3.0, 4.0, 6.0, 9.0, 8.0, 12.0, 18.0, 27.0]]);
    let only = "steps = [{ step = \"polynomial\", degree = 3, interaction_only = true }]";
    assert_eq!(prepared(only, &array![[2.0, 3.0, 5.0]], &[]).1, ["a", "b", "c", "a*b", "a*c", "b*c", "a*b*c"]);
}

#[test]
fn columns_go_by_name_or_by_what_is_missing_of_them() {
    let rows = array![[1.0, HOLE, 3.0], [4.0, HOLE, 6.0], [7.0, 8.0, HOLE]];
    let text = "steps = [{ step = \"drop_columns\", missing_above = 0.5 }, { step = \"impute\", with = \"mean\" }]";
    assert_eq!(prepared(text, &rows, &[]), (array![[1.0, 3.0], [4.0, 6.0], [7.0, 4.5]], vec!["a".into(), "c".into()]));
    let named = "steps = [{ step = \"drop_columns\", columns = [\"c\", \"b\"] }]";
    assert_eq!(prepared(named, &rows, &[]).1, ["a"]);
    let left =
        fit("steps = [{ step = \"drop_columns\", missing_above = 0.5 }]", &rows, &summary(&rows, &[])).unwrap_err();
    assert_eq!(left, PrepareError::Unfilled { column: "c".into(), count: 1 });
}

#[test]
fn a_step_sees_the_rows_as_the_steps_before_leave_them() {
    let rows = array![[1.0], [3.0], [HOLE]];
    let text = "steps = [{ step = \"impute\", with = { constant = 11.0 } }, { step = \"min_max\" }]";
    assert_eq!(prepared(text, &rows, &[]).0, array![[0.0], [0.2], [1.0]]);
}

#[test]
fn one_row_or_all_rows_at_once_are_prepared_alike() {
    let rows = array![[1.0, HOLE, 0.0], [HOLE, 2.0, 1.0], [4.0, 5.0, 0.0], [10.0, 3.0, 1.0]];
    let text = "steps = [{ step = \"impute\", with = \"median\", indicator = true }, { step = \"polynomial\", degree = 2 }, { step = \"robust\" }]";
    let pipeline = fit(text, &rows, &summary(&rows, &[])).unwrap();
    let whole = apply(pipeline.fitted(), rows.clone()).unwrap();
    let single = rows.axis_chunks_iter(Axis(0), 1).map(|row| apply(pipeline.fitted(), row.to_owned()).unwrap());
    let single: Vec<Array2<f64>> = single.collect();
    assert_eq!(concatenate(Axis(0), &single.iter().map(|row| row.view()).collect::<Vec<_>>()).unwrap(), whole);
}

#[test]
fn what_does_not_fit_the_columns_is_refused_before_a_row_is_read() {
    let rows = array![[0.0, HOLE], [1.0, 2.0]];
    let data = summary(&rows, &[&["x", "y"]]);
    let step = |step: &str| refusal(&format!("steps = [{step}]"), &data);
    assert!(step("").starts_with("column \"a\" holds words such as \"x\"; add a [[prepare.steps]]"));
    let hot = "{ step = \"one_hot\" }";
    assert!(step(hot).starts_with("column \"b\" has 1 missing cells and no step fills them; add"));
    assert_eq!(
        step("{ step = \"log\", columns = [\"a\"] }"),
        "prepare.steps[0].columns: \"a\" is a column of words, the step takes numbers"
    );
    let unknown = step(&format!("{hot}, {{ step = \"log\", columns = [\"a=X\"] }}"));
    assert_eq!(unknown, "prepare.steps[1].columns: no column \"a=X\" at this step, did you mean \"a=x\"?");
    assert_eq!(
        step("{ step = \"drop_columns\", columns = [\"a\", \"b\"] }"),
        "the steps leave no column to learn from"
    );
    let holes = summary(&array![[HOLE], [0.0]], &[&["x"]]);
    assert!(
        refusal("steps = [{ step = \"one_hot\" }]", &holes).starts_with("prepare.steps[0]: \"a\" has 1 missing cells")
    );
}

#[test]
fn a_column_without_a_value_in_training_is_refused() {
    let rows = array![[HOLE], [HOLE]];
    let text = "steps = [{ step = \"impute\", with = \"mean\" }]";
    let refused = fit(text, &rows, &summary(&rows, &[])).unwrap_err();
    assert_eq!(refused, PrepareError::NoValue { step: 0, column: "a".into() });
}

#[test]
fn counts_of_other_rows_are_refused() {
    let rows = array![[1.0], [2.0]];
    let mut pipeline = Pipeline::new(&settings("steps = [{ step = \"robust\" }]"), &summary(&rows, &[]), 2).unwrap();
    assert_eq!(pipeline.clone().absorb(&[3.0, 3.0, 6.0]), Err(PrepareError::Counts { rows: 2 }));
    pipeline.absorb(&[2.0, 2.0, 3.0]).unwrap();
    assert_eq!(pipeline.absorb(&[0.0; BINS]), Err(PrepareError::Counts { rows: 2 }));
}

#[test]
fn a_number_without_logarithm_is_named_by_its_place() {
    let steps = [FittedStep::Log { columns: vec![1] }];
    let refused = apply(&steps, array![[0.0, 0.0], [0.0, -1.0]]);
    assert_eq!(refused, Err(ApplyError { row: 1, column: 1, value: -1.0 }));
}

#[test]
fn too_many_products_are_refused_and_not_made() {
    let names: Vec<String> = (0..1000).map(|number| format!("x{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let data = DataSummary::numeric(10, &names, "y");
    assert!(
        refusal("steps = [{ step = \"polynomial\", degree = 5 }]", &data)
            .starts_with("the steps make more than 100000")
    );
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let mut data = summary(&array![[HOLE, 1.0]], &[]);
    data.columns[1] = DataColumn { name: "a_missing".into(), ..DataColumn::default() };
    let text = "steps = [{ step = \"impute\", with = { constant = 0.0 }, indicator = true }]";
    assert_eq!(refusal(text, &data), "the steps make two columns of the name \"a_missing\"; rename one in the file");
}

fn reference() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../../tests/fixtures/reference.json")).unwrap()
}

#[test]
fn selections_score_columns_as_the_reference_and_take_the_best() {
    let (rows, reference) = (example("iris"), &reference()["iris"]["selection"]);
    let data = DataSummary::numeric(150, &["a", "b", "c", "d"], "y");
    let fitted = |step: &str| fit_with_target(&format!("steps = [{{ {step} }}]"), &rows.x, &rows.y, &data).unwrap();
    let scores = |pipeline: &Pipeline| pipeline.scores().iter().map(|column| column.score).collect::<Vec<_>>();
    let best = fitted("step = \"select\", by = \"f\", keep = 2");
    assert_close(&scores(&best), &reference["f_regression"][0]);
    assert_eq!(best.fitted(), [FittedStep::Keep { columns: vec![2, 3] }]);
    assert_eq!(best.scores().iter().map(|column| column.is_taken).collect::<Vec<_>>(), [false, false, true, true]);
    let varied = fitted("step = \"select\", by = \"variance\", least = 0.6");
    assert_close(&scores(&varied), &reference["variance_pop"]);
    assert_eq!(varied.fitted(), [FittedStep::Keep { columns: vec![0, 2] }]);
    let expected: Vec<f64> = serde_json::from_value(reference["pearson_with_target"].clone()).unwrap();
    let expected = serde_json::json!(expected.iter().map(|value| value.abs()).collect::<Vec<_>>());
    assert_close(&scores(&fitted("step = \"select\", by = \"correlation\", least = 0.0")), &expected);
}

#[test]
fn with_two_classes_the_score_f_is_that_of_an_analysis_of_variance() {
    let rows = example("breast_cancer");
    let names: Vec<String> = (0..30).map(|number| format!("x{number}")).collect();
    let data = DataSummary::numeric(569, &names.iter().map(String::as_str).collect::<Vec<_>>(), "y");
    let text = "steps = [{ step = \"select\", by = \"f\", keep = 10 }]";
    let pipeline = fit_with_target(text, &rows.x, &rows.y, &data).unwrap();
    let expected: Vec<f64> =
        serde_json::from_value(reference()["breast_cancer"]["selection"]["f_classif"][0].clone()).unwrap();
    for (column, expected) in pipeline.scores().iter().zip(expected) {
        assert!((column.score - expected).abs() < 1e-9 * expected, "{column:?} {expected}");
    }
    assert_eq!(pipeline.columns().len(), 10);
}
