//! Predictions of files by models that were trained on them, against scikit-learn and against training itself.

use std::path::PathBuf;

use super::*;
use crate::job::TrainingJob;
use crate::local::fit_file;

fn trained(name: &str) -> (TrainedModel, PathBuf) {
    let jobs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/jobs");
    let text = std::fs::read_to_string(jobs.join(name).with_extension("toml")).unwrap();
    let job: TrainingJob = toml::from_str(&text).unwrap();
    let path = jobs.join(job.data.path.first());
    (fit_file(&job, &path, 2).unwrap(), path)
}

/// The header and the held-out rows of a file, in the order of the split, as a file of its own.
fn held_out(path: &Path) -> tempfile::NamedTempFile {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let test = crate::data::split::train_test_split(lines.len() - 1, 0.2, 42).unwrap().test;
    let chosen: Vec<&str> = std::iter::once(0).chain(test.iter().map(|row| row + 1)).map(|line| lines[line]).collect();
    file(&chosen.join("\n"))
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn predictions(model: &TrainedModel, path: &Path) -> String {
    let mut out = Vec::new();
    predict_file(model, path, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_file_of_predictions_has_those_of_the_reference() {
    let (model, path) = trained("iris");
    let text = predictions(&model, held_out(&path).path());
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/reference.json")).unwrap();
    let expected = reference["iris"]["linear_regression_article"]["predictions"].as_array().unwrap();
    let actual: Vec<f64> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert_eq!((text.lines().next(), actual.len()), (Some("prediction"), expected.len()));
    for (actual, expected) in actual.iter().zip(expected) {
        assert!((actual - expected.as_f64().unwrap()).abs() < 1e-9);
    }
}

#[test]
fn the_held_out_rows_are_judged_as_scikit_learn_and_the_training_judge_them() {
    let (model, path) = trained("breast_cancer");
    let evaluation = evaluate_file(&model, held_out(&path).path()).unwrap();
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/reference.json")).unwrap();
    let expected = &reference["breast_cancer"]["logistic_lam0.0021978"]["test"];
    for name in ["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"] {
        let (actual, expected) = (evaluation.metrics[name], expected[name].as_f64().unwrap());
        assert!((actual - expected).abs() < 1e-9 * expected, "{name}: {actual} {expected}");
        let of_training = model.metrics.get(name).copied().unwrap_or(actual);
        assert!((actual - of_training).abs() < 1e-12, "{name}: {actual} {of_training}");
    }
    assert_eq!(serde_json::json!(evaluation.confusion.unwrap().counts()), expected["confusion"]);
}

#[test]
fn a_support_vector_machine_has_margins_and_no_log_loss() {
    let (model, path) = trained("breast_cancer_svm");
    let text = predictions(&model, &path);
    assert!(text.starts_with("prediction,margin\n"));
    for line in text.lines().skip(1) {
        let (class, margin) = line.split_once(',').unwrap();
        assert_eq!(class, if margin.parse::<f64>().unwrap() > 0.0 { "1" } else { "0" });
    }
    let metrics = evaluate_file(&model, &path).unwrap().metrics;
    assert!(!metrics.contains_key("log_loss") && metrics["roc_auc"] > 0.98, "{metrics:?}");
}

#[test]
fn words_and_missing_cells_go_through_the_steps_of_training() {
    let (model, _) = trained("penguins");
    let header = "year,sex,species,island,bill_length_mm,bill_depth_mm,flipper_length_mm\n";
    let of = |row: &str| predictions(&model, file(&format!("{header}{row}\n")).path());
    // More males in the file, more females among the training rows.
    assert_eq!(of("2008,,Gentoo,Biscoe,,15.0,210"), of("2008,female,Gentoo,Biscoe,,15.0,210"));
    assert_ne!(of("2008,,Gentoo,Biscoe,,15.0,210"), of("2008,,Gentoo,Biscoe,60.0,15.0,210"));
    let refused = predict_file(&model, file(&format!("{header}2008,male,Emperor,Biscoe,1,1,1\n")).path(), Vec::new());
    assert!(refused.unwrap_err().to_string().contains("row 2, column \"species\": \"Emperor\" is none of the words"));
}

#[test]
fn classes_of_words_are_written_and_judged_by_their_words() {
    let rows: String = (0..40).map(|row| format!("{row},{}\n", if row % 7 > 3 { "yes" } else { "no, sir" })).collect();
    let quoted = format!("a,y\n{}", rows.replace("no, sir", "\"no, sir\""));
    let data = file(&quoted);
    let text = "name = \"t\"\ndata = { path = \"d\", target = \"y\" }\nmodel = { type = \"logistic\", l2 = 0.1 }";
    let model = fit_file(&toml::from_str(text).unwrap(), data.path(), 2).unwrap();
    assert_eq!(model.classes, ["no, sir", "yes"]);
    let written = predictions(&model, data.path());
    assert!(written.lines().nth(1).unwrap().starts_with("\"no, sir\",0."), "{written}");
    assert_eq!(evaluate_file(&model, data.path()).unwrap().row_count, 40);
    let one_class = evaluate_file(&model, file("a,y\n1,yes\n").path()).unwrap();
    assert!(!one_class.metrics.contains_key("roc_auc") && one_class.metrics.contains_key("accuracy"));
    let unknown = evaluate_file(&model, file("a,y\n1,perhaps\n").path()).unwrap_err().to_string();
    assert!(unknown.contains("row 2, column \"y\": \"perhaps\" is none of the words"), "{unknown}");
}

#[test]
fn every_class_has_a_probability_or_a_margin_and_the_file_is_judged_by_all_of_them() {
    let rows: String = (0..60).map(|row| format!("{row},{}\n", ["low", "mid", "top"][row / 20])).collect();
    let data = file(&format!("a,y\n{rows}"));
    let text = "name = \"t\"\ndata = { path = \"d\", target = \"y\" }\nmodel = { type = \"multinomial\", l2 = 0.01 }";
    let mut job: crate::job::TrainingJob = toml::from_str(text).unwrap();
    let model = fit_file(&job, data.path(), 2).unwrap();
    let written = predictions(&model, data.path());
    let mut lines = written.lines();
    assert_eq!(lines.next(), Some("prediction,probability_low,probability_mid,probability_top"));
    let cells: Vec<&str> = lines.next().unwrap().split(',').collect();
    let sum: f64 = cells[1..].iter().map(|cell| cell.parse::<f64>().unwrap()).sum();
    assert!(cells[0] == "low" && (sum - 1.0).abs() < 1e-15, "{cells:?}");
    let judged = evaluate_file(&model, data.path()).unwrap();
    assert_eq!(judged.confusion.unwrap().counts().len(), 3);
    for metric in ["accuracy", "f1_macro", "log_loss", "roc_auc_ovr_macro"] {
        assert!(judged.metrics[metric] > 0.0, "{metric}");
    }
    let unknown = evaluate_file(&model, file("a,y\n1,bottom\n").path()).unwrap_err().to_string();
    assert!(unknown.contains("row 2, column \"y\": \"bottom\" is none of the words"), "{unknown}");
    job.model.kind = crate::job::ModelKind::LinearSvcOvr;
    let machines = fit_file(&job, data.path(), 2).unwrap();
    assert!(predictions(&machines, data.path()).starts_with("prediction,margin_low,margin_mid,margin_top\nlow,"));
    assert!(!evaluate_file(&machines, data.path()).unwrap().metrics.contains_key("log_loss"));
}

#[test]
fn a_cell_that_no_step_fills_is_named() {
    let (model, _) = trained("iris");
    let header = "sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm\n";
    let refused = predict_file(&model, file(&format!("{header}1,2,,4\n")).path(), Vec::new()).unwrap_err();
    assert!(refused.to_string().ends_with("row 2, column \"petal_length_cm\": the cell is empty"), "{refused}");
}
