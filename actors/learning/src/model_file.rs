//! A model as a file: a line with version and checksum, then the canonical bytes.
//!
//! A file without the line is taken for the bytes alone, as `model.json` is, and not checked against
//! anything. Nothing is opened here.

use sha2::{Digest, Sha256};

use crate::job::ModelKind;
use crate::kernel::largest;
use crate::model::{MODEL_VERSION, TrainedModel};
use crate::prepare::width_after;
use crate::svm::SupportVectors;
use crate::tree::ensemble::Ensemble;
use crate::tree::{Tree, TreeSplit};

/// What a model file begins with.
const MAGIC: &str = "odeon-model";

/// Why bytes are no model. A file that was cut short or changed is always noticed if it has the line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// Neither a line of a model file nor JSON.
    #[error("this is no model: {0}")]
    NotAModel(String),
    /// Written by a later program, or changed.
    #[error("the model is of version {found}, this program reads version {MODEL_VERSION}")]
    Version {
        /// What the file says.
        found: String,
    },
    /// Changed or cut short.
    #[error("the model is damaged: its SHA-256 is {actual}, the file says {expected}; train again or take a copy")]
    Checksum {
        /// What the first line says.
        expected: String,
        /// Of the bytes behind it.
        actual: String,
    },
    /// The parts of the model do not fit together.
    #[error("the model does not fit together: {0}")]
    Inconsistent(String),
}

/// The bytes of a model file.
#[must_use]
pub fn encode(model: &TrainedModel) -> Vec<u8> {
    let mut bytes = format!("{MAGIC} {MODEL_VERSION} {}\n", model.model_sha256()).into_bytes();
    bytes.extend(model.canonical_bytes());
    bytes
}

/// The weights as CSV: `name,value`, the intercept last.
#[must_use]
pub fn weights_csv(model: &TrainedModel) -> Vec<u8> {
    if let Some(tree) = &model.tree {
        return nodes_csv(model, tree);
    }
    if let Some(ensemble) = &model.ensemble {
        return ensemble_csv(model, ensemble);
    }
    if let Some(support) = &model.support {
        return vectors_csv(support);
    }
    let mut csv = csv::Writer::from_writer(Vec::new());
    let weights = model.coefficients.iter().map(|weight| (weight.label(), weight.value));
    let weights = weights.chain(model.named_intercepts());
    let header = [("name".to_owned(), "value".to_owned())].into_iter();
    for (name, value) in header.chain(weights.map(|(name, value)| (name, value.to_string()))) {
        csv.write_record([name, value]).expect("writing to memory cannot fail, and every line has two cells");
    }
    csv.into_inner().expect("writing to memory cannot fail")
}

/// A line for each support vector: its coefficient in each decision, then its scaled features; the intercepts come first.
fn vectors_csv(support: &SupportVectors) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut write = |line: Vec<String>| csv.write_record(line).expect("writing to memory cannot fail");
    let numbered = |name: &str, count: usize| (0..count).map(|number| format!("{name}_{number}")).collect::<Vec<_>>();
    write([numbered("decision", support.intercepts.len()), numbered("feature", support.feature_count)].concat());
    let texts = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>();
    write([texts(&support.intercepts), vec![String::new(); support.feature_count]].concat());
    for (coefficients, vector) in support.by_decision().iter().zip(&support.vectors) {
        write([texts(coefficients), texts(vector)].concat());
    }
    csv.into_inner().expect("writing to memory cannot fail")
}

/// A line for each node: the feature and threshold of its split and its children, its rows and impurity, and the
/// prediction, which is the mean of a leaf or the class that most of its rows have.
fn nodes_csv(model: &TrainedModel, tree: &Tree) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let header = ["node", "feature", "threshold", "left", "right", "rows", "impurity", "prediction"];
    let mut write = |line: &[String]| csv.write_record(line).expect("writing to memory cannot fail");
    write(&header.map(str::to_owned));
    for (number, node) in tree.nodes.iter().enumerate() {
        let of_split = split_cells(model, node.split.as_ref());
        let prediction = match model.classes.get(largest(&node.value)) {
            Some(class) => class.clone(),
            None => node.value[0].to_string(),
        };
        let of_rows = [node.rows.to_string(), node.impurity.to_string(), prediction];
        write(&[&[number.to_string()][..], &of_split, &of_rows].concat());
    }
    csv.into_inner().expect("writing to memory cannot fail")
}

/// A line for each node of each tree; the value of a leaf is what the tree adds to its output.
fn ensemble_csv(model: &TrainedModel, ensemble: &Ensemble) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let header = ["tree", "output", "node", "feature", "threshold", "left", "right", "rows", "value"];
    let mut write = |line: &[String]| csv.write_record(line).expect("writing to memory cannot fail");
    write(&header.map(str::to_owned));
    for (number, tree) in ensemble.trees.iter().enumerate() {
        let output = number % ensemble.base.len();
        for (place, node) in tree.nodes.iter().enumerate() {
            let of_split = split_cells(model, node.split.as_ref());
            let of_tree = [number, output, place].map(|number| number.to_string());
            write(&[&of_tree[..], &of_split, &[node.rows.to_string(), node.value[0].to_string()]].concat());
        }
    }
    csv.into_inner().expect("writing to memory cannot fail")
}

/// The feature and threshold of a split, and the children; of a leaf nothing.
fn split_cells(model: &TrainedModel, split: Option<&TreeSplit>) -> [String; 4] {
    match split {
        Some(TreeSplit { feature, left, right, threshold }) => {
            let name = model.importances[*feature].name.clone();
            [name, threshold.to_string(), left.to_string(), right.to_string()]
        }
        None => Default::default(),
    }
}

/// The model of a model file, or of its canonical bytes alone.
///
/// # Errors
/// [`ModelFileError`] if the bytes are no model, damaged, of another version, or contradict themselves.
pub fn decode(bytes: &[u8]) -> Result<TrainedModel, ModelFileError> {
    let body = match bytes.strip_prefix(MAGIC.as_bytes()) {
        Some(rest) => checked_body(rest)?,
        None => bytes,
    };
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| ModelFileError::NotAModel(error.to_string()))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version != u64::from(MODEL_VERSION) => {
            return Err(ModelFileError::Version { found: version.to_string() });
        }
        _ => {}
    }
    // Read from the text: it keeps every digit.
    let model: TrainedModel =
        serde_json::from_slice(body).map_err(|error| ModelFileError::NotAModel(error.to_string()))?;
    check(&model)?;
    Ok(model)
}

/// What stands behind the first line, if it has the sum that the line says.
fn checked_body(rest: &[u8]) -> Result<&[u8], ModelFileError> {
    let cut = || ModelFileError::NotAModel("the first line is incomplete".to_owned());
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
    let line = std::str::from_utf8(&rest[..end]).map_err(|_| cut())?;
    let (version, expected) = line.trim_start().split_once(' ').ok_or_else(cut)?;
    if version != MODEL_VERSION.to_string() {
        return Err(ModelFileError::Version { found: version.to_owned() });
    }
    let body = &rest[end + 1..];
    let actual: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    if actual != expected {
        return Err(ModelFileError::Checksum { expected: expected.to_owned(), actual });
    }
    Ok(body)
}

/// Whether rows can go through the model: a file may have been written by hand.
fn check(model: &TrainedModel) -> Result<(), ModelFileError> {
    let inconsistent = |text: String| Err(ModelFileError::Inconsistent(text));
    check_classes(model)?;
    let (columns, coefficients) = (model.input_names().len(), model.feature_count());
    match model.steps.iter().try_fold(columns, |width, step| width_after(step, width)) {
        Some(width) if width == coefficients => {}
        Some(width) => return inconsistent(format!("{width} columns and {coefficients} coefficients")),
        None => return inconsistent("a step names a column that is not there".to_owned()),
    }
    if let Some(tree) = &model.tree {
        tree.check(coefficients).map_err(ModelFileError::Inconsistent)?;
    }
    if let Some(ensemble) = &model.ensemble {
        ensemble.check(coefficients, model.classes.len()).map_err(ModelFileError::Inconsistent)?;
    }
    if let Some(support) = &model.support {
        support.check(coefficients).map_err(ModelFileError::Inconsistent)?;
    }
    if let Some(scaling) = &model.scaling
        && (scaling.mean.len(), scaling.scale.len()) != (coefficients, coefficients)
    {
        return inconsistent(format!("{} means of {coefficients} columns", scaling.mean.len()));
    }
    Ok(())
}

/// Whether there are as many of everything as there are classes.
fn check_classes(model: &TrainedModel) -> Result<(), ModelFileError> {
    let (classes, intercepts, coefficients) = (model.classes.len(), model.intercepts.len(), model.coefficients.len());
    let of_support = model.support.as_ref().map(|support| support.class_counts.len());
    let of_tree = model.tree.as_ref().map(|tree| tree.class_count);
    let fits = match (model.model, model.model.class_loss()) {
        (ModelKind::DecisionTreeClassifier, _) => classes >= 2 && of_tree == Some(classes),
        (ModelKind::DecisionTreeRegressor, _) => classes == 0 && of_tree == Some(0),
        (ModelKind::BoostedTreesClassifier, _) => classes >= 2 && of_tree.is_none() && model.ensemble.is_some(),
        (ModelKind::BoostedTreesRegressor, _) => classes == 0 && of_tree.is_none() && model.ensemble.is_some(),
        (ModelKind::Svc, _) => classes >= 2 && of_support == Some(classes),
        (ModelKind::Svr, _) => classes == 0 && of_support == Some(0),
        _ if model.is_of_trees() || of_support.is_some() => false,
        (_, None) => (classes == 0 || classes == 2) && intercepts == 0,
        (_, Some(_)) => classes >= 2 && intercepts == classes && coefficients.is_multiple_of(classes),
    };
    let counts = || format!("{classes} classes, {intercepts} intercepts by class and {coefficients} coefficients");
    if fits { Ok(()) } else { Err(ModelFileError::Inconsistent(counts())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::FittedStep;

    const TINY: &str = concat!(
        r#"{"coefficients":[{"name":"a","value":0.30000000000000004}],"converged":true,"gradient_norm":0.0,"#,
        r#""intercept":-2.0,"l2":0.0,"metrics":{},"model":"linear","name":"tiny","objective":0.5,"rounds":3,"#,
        r#""scaling":null,"stopped":null,"target":"y","test_row_count":1,"train_row_count":4,"version":1}"#
    );

    fn tiny() -> TrainedModel {
        decode(TINY.as_bytes()).unwrap()
    }

    #[test]
    fn a_model_comes_back_with_the_same_bits_with_and_without_the_line() {
        let bytes = encode(&tiny());
        assert!(bytes.starts_with(b"odeon-model 1 "));
        assert_eq!(decode(&bytes).unwrap(), tiny());
        assert!(bytes.ends_with(TINY.as_bytes()));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let bytes = encode(&tiny());
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(decode(&changed).is_err(), "byte {place}");
            assert!(decode(&bytes[..place]).is_err(), "cut at {place}");
        }
        let mut changed = bytes;
        changed.push(b' ');
        assert!(decode(&changed).unwrap_err().to_string().starts_with("the model is damaged: its SHA-256 is"));
    }

    #[test]
    fn weights_stand_one_a_line_with_all_their_digits() {
        let mut model = tiny();
        model.coefficients[0].name = "a,b".into();
        assert_eq!(weights_csv(&model), b"name,value\n\"a,b\",0.30000000000000004\n(intercept),-2\n");
    }

    #[test]
    fn another_version_is_named() {
        let later = TINY.replace("\"version\":1", "\"version\":2");
        assert_eq!(
            decode(later.as_bytes()).unwrap_err().to_string(),
            "the model is of version 2, this program reads version 1"
        );
        assert!(matches!(decode(b"odeon-model 7 abc\n{}"), Err(ModelFileError::Version { .. })));
        assert!(matches!(decode(b"a,b\n1,2\n"), Err(ModelFileError::NotAModel(_))));
    }

    #[test]
    fn a_model_that_contradicts_itself_is_refused() {
        let refused = |break_it: fn(&mut TrainedModel)| {
            let mut model = tiny();
            break_it(&mut model);
            assert!(matches!(decode(&encode(&model)), Err(ModelFileError::Inconsistent(_))), "{model:?}");
        };
        refused(|model| model.classes = vec!["a".into()]);
        refused(|model| model.intercepts = vec![0.0, 1.0]);
        refused(|model| model.model = crate::job::ModelKind::Multinomial);
        refused(|model| {
            model.model = crate::job::ModelKind::Multinomial;
            (model.classes, model.intercepts) = (vec!["a".into(), "b".into()], vec![0.0, 1.0]);
        });
        refused(|model| model.steps = vec![FittedStep::Keep { columns: vec![1] }]);
        refused(|model| model.steps = vec![FittedStep::Keep { columns: vec![] }]);
        refused(|model| model.steps = vec![FittedStep::Scale { columns: vec![0], shift: vec![], scale: vec![1.0] }]);
        refused(|model| {
            model.scaling = Some(crate::model::ModelScaling { mean: vec![], scale: vec![] });
        });
    }
}
