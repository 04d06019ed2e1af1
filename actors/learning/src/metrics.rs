//! Metrics by name, from the reduced sums of an evaluation pass. Nothing here reads rows.

use std::collections::BTreeMap;

use crate::job::ModelKind;
use crate::scores::{Average, Confusion};

/// `mean_squared_error`, `root_mean_squared_error`, `mean_absolute_error` and `r2`, from the sums of
/// [`crate::kernel::regression_sums`].
///
/// If the target does not vary, `r2` is 1 for a perfect prediction and 0 otherwise.
#[must_use]
pub fn regression_metrics(sums: &[f64]) -> BTreeMap<String, f64> {
    let &[rows, squares, absolutes, variation] = sums else {
        unreachable!("an evaluation pass has as many sums as its kernel")
    };
    let mean_squared_error = squares / rows;
    let r2 = match variation > 0.0 {
        true => 1.0 - squares / variation,
        false if squares == 0.0 => 1.0,
        false => 0.0,
    };
    named([
        ("mean_squared_error", mean_squared_error),
        ("root_mean_squared_error", mean_squared_error.sqrt()),
        ("mean_absolute_error", absolutes / rows),
        ("r2", r2),
    ])
}

/// `accuracy`, `log_loss`, and `precision`, `recall`, `f1` of class 1, from the sums of
/// [`crate::kernel::classification_sums`]. A ratio without cases is 0.
#[must_use]
pub fn classification_metrics(sums: &[f64]) -> BTreeMap<String, f64> {
    let &[loss, true_positive, false_positive, false_negative, true_negative] = sums else {
        unreachable!("an evaluation pass has as many sums as its kernel")
    };
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let rows = true_positive + false_positive + false_negative + true_negative;
    named([
        ("accuracy", ratio(true_positive + true_negative, rows)),
        ("log_loss", ratio(loss, rows)),
        ("precision", ratio(true_positive, true_positive + false_positive)),
        ("recall", ratio(true_positive, true_positive + false_negative)),
        ("f1", ratio(2.0 * true_positive, 2.0 * true_positive + false_positive + false_negative)),
    ])
}

/// As [`classification_metrics`] for a model whose margins are no log-odds, and so without `log_loss`.
#[must_use]
pub fn margin_metrics(sums: &[f64]) -> BTreeMap<String, f64> {
    let mut metrics = classification_metrics(sums);
    metrics.remove("log_loss");
    metrics
}

/// `accuracy`, `balanced_accuracy`, and `precision`, `recall`, `f1` with `_macro`, `_micro` and `_weighted` behind them.
#[must_use]
pub fn confusion_metrics(confusion: &Confusion) -> BTreeMap<String, f64> {
    let mut metrics = named([("accuracy", confusion.accuracy()), ("balanced_accuracy", confusion.balanced_accuracy())]);
    for (name, average) in [("macro", Average::Macro), ("micro", Average::Micro), ("weighted", Average::Weighted)] {
        let scores = confusion.average(average);
        let values = [("precision", scores.precision), ("recall", scores.recall), ("f1", scores.f1)];
        metrics.extend(values.map(|(metric, value)| (format!("{metric}_{name}"), value)));
    }
    metrics
}

/// The metrics and the confusion matrix of the sums of [`crate::kernel::class_outcomes`]; `log_loss` only of probabilities.
#[must_use]
pub fn class_metrics(sums: &[f64], has_probabilities: bool) -> (BTreeMap<String, f64>, Confusion) {
    let [loss, counts @ ..] = sums else { unreachable!("an evaluation pass has as many sums as its kernel") };
    let counts: Vec<u64> = counts.iter().map(|count| *count as u64).collect();
    let confusion = Confusion::from_counts(counts.chunks(counts.len().isqrt().max(1)).map(<[u64]>::to_vec).collect());
    let mut metrics = confusion_metrics(&confusion);
    if has_probabilities {
        metrics.insert("log_loss".to_owned(), loss / counts.iter().sum::<u64>() as f64);
    }
    (metrics, confusion)
}

/// The names of the metrics that a model of this kind is judged by.
#[must_use]
pub fn names(kind: ModelKind) -> Vec<String> {
    let metrics = match (kind.is_classifier(), kind.has_class_scores()) {
        (false, _) => regression_metrics(&[1.0; 4]),
        (true, true) => class_metrics(&[1.0; 5], kind.has_probabilities()).0,
        (true, false) if kind.has_probabilities() => classification_metrics(&[1.0; 5]),
        (true, false) => margin_metrics(&[1.0; 5]),
    };
    metrics.into_keys().collect()
}

/// Whether a smaller value of a metric is a better one.
#[must_use]
pub fn is_loss(metric: &str) -> bool {
    metric.ends_with("_error") || metric == "log_loss"
}

fn named<const N: usize>(metrics: [(&str, f64); N]) -> BTreeMap<String, f64> {
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_metrics_are_those_computed_by_hand() {
        let metrics = regression_metrics(&[4.0, 16.0, 6.0, 64.0]);
        let values = ["mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "r2"];
        assert_eq!(values.map(|name| metrics[name]), [4.0, 2.0, 1.5, 0.75]);
        assert_eq!(regression_metrics(&[4.0, 1.0, 1.0, 0.0])["r2"], 0.0);
        assert_eq!(regression_metrics(&[4.0, 0.0, 0.0, 0.0])["r2"], 1.0);
    }

    #[test]
    fn classification_metrics_are_those_computed_by_hand() {
        let metrics = classification_metrics(&[5.0, 3.0, 1.0, 2.0, 4.0]);
        let values = ["accuracy", "log_loss", "precision", "recall", "f1"];
        assert_eq!(values.map(|name| metrics[name]), [0.7, 0.5, 0.75, 0.6, 6.0 / 9.0]);
        assert_eq!(classification_metrics(&[5.0, 0.0, 0.0, 0.0, 4.0])["precision"], 0.0);
        let of_margins = margin_metrics(&[5.0, 3.0, 1.0, 2.0, 4.0]);
        assert_eq!((of_margins.get("log_loss"), of_margins["accuracy"]), (None, 0.7));
    }

    #[test]
    fn a_model_is_judged_by_the_metrics_of_its_kind() {
        assert!(names(ModelKind::Linear).contains(&"r2".to_owned()));
        assert!(names(ModelKind::Logistic).contains(&"log_loss".to_owned()));
        assert!(!names(ModelKind::LinearSvc).contains(&"log_loss".to_owned()));
        assert!(names(ModelKind::Multinomial).contains(&"f1_macro".to_owned()));
        assert_eq!(["r2", "accuracy", "log_loss", "mean_absolute_error"].map(is_loss), [false, false, true, true]);
    }

    #[test]
    fn metrics_of_classes_are_those_computed_by_hand() {
        // Rows of class 0: two right, one called 1; of class 1: one right.
        let (metrics, confusion) = class_metrics(&[2.0, 2.0, 1.0, 0.0, 1.0], true);
        assert_eq!(confusion.counts(), [[2, 1], [0, 1]]);
        assert_eq!((metrics["log_loss"], metrics["accuracy"], metrics["f1_micro"]), (0.5, 0.75, 0.75));
        assert_eq!((metrics["precision_macro"], metrics["precision_weighted"]), (0.75, 0.875));
        assert!(!class_metrics(&[2.0, 2.0, 1.0, 0.0, 1.0], false).0.contains_key("log_loss"));
    }
}
