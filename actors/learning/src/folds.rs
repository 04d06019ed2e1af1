//! Cross-validation: what the scores of several folds say together.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::TrainedModel;

/// How probable it is that the interval of a [`Stability`] holds the mean of many more folds.
const CONFIDENCE: f64 = 0.95;

/// A score over several folds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stability {
    /// Of each fold, in their order.
    pub scores: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation as of a whole, divided by their number.
    pub deviation_population: f64,
    /// Their standard deviation as of a sample, divided by their number less one.
    pub deviation_sample: f64,
    /// `deviation_population / |mean|`; nothing if the mean is 0.
    pub variation: Option<f64>,
    /// Where the mean is with a confidence of 95 %, by Student's t; scores of folds are not independent, so the
    /// interval is rather too narrow.
    pub interval: [f64; 2],
}

impl Stability {
    /// What scores say together; nothing of fewer than two.
    #[must_use]
    pub fn of(scores: Vec<f64>) -> Option<Self> {
        let count = scores.len() as f64;
        if scores.len() < 2 {
            return None;
        }
        let mean = scores.iter().sum::<f64>() / count;
        let squares: f64 = scores.iter().map(|score| (score - mean) * (score - mean)).sum();
        let (population, sample) = ((squares / count).sqrt(), (squares / (count - 1.0)).sqrt());
        let half = student_quantile(0.5 + CONFIDENCE / 2.0, count - 1.0) * sample / count.sqrt();
        Some(Self {
            scores,
            mean,
            deviation_population: population,
            deviation_sample: sample,
            variation: (mean != 0.0).then(|| population / mean.abs()),
            interval: [mean - half, mean + half],
        })
    }
}

/// The scores that all models of a cross-validation have, by name.
#[must_use]
pub fn stabilities(models: &[&TrainedModel]) -> BTreeMap<String, Stability> {
    let Some(first) = models.first() else { return BTreeMap::new() };
    let of_name =
        |name: &String| models.iter().map(|model| model.metrics.get(name).copied()).collect::<Option<Vec<_>>>();
    let all = first.metrics.keys().filter_map(|name| Some((name.clone(), Stability::of(of_name(name)?)?)));
    all.collect()
}

/// Panels of the integral of the density; the error is far below what an interval can tell.
const PANELS: usize = 4000;

/// Where Student's t distribution has so much below, above one half: by bisection of the integral of its density.
fn student_quantile(probability: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_above_zero(high, freedom) < probability - 0.5 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if student_above_zero(middle, freedom) < probability - 0.5 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability of a value between 0 and `t`, by Simpson's rule.
fn student_above_zero(t: f64, freedom: f64) -> f64 {
    let norm = libm::lgamma(f64::midpoint(freedom, 1.0)) - libm::lgamma(freedom / 2.0);
    let norm = libm::exp(norm) / (freedom * std::f64::consts::PI).sqrt();
    let density = |x: f64| norm * libm::exp(-f64::midpoint(freedom, 1.0) * libm::log1p(x * x / freedom));
    let step = t / PANELS as f64;
    let inner: f64 = (1..PANELS).map(|at| (if at % 2 == 0 { 2.0 } else { 4.0 }) * density(at as f64 * step)).sum();
    (density(0.0) + inner + density(t)) * step / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fold::Fold;
    use crate::data::split::SplitKind;
    use crate::job::TrainingJob;
    use crate::local::fit_file;
    use crate::local::tests::{example, reference};

    #[test]
    fn the_quantiles_of_student_are_those_of_the_tables() {
        for (freedom, expected) in
            [(1.0, 12.706_204_736), (4.0, 2.776_445_105), (9.0, 2.262_157_163), (99.0, 1.984_216_952)]
        {
            assert!((student_quantile(0.975, freedom) - expected).abs() < 1e-6, "{freedom}");
        }
    }

    #[test]
    fn one_score_says_nothing_of_its_stability_and_equal_ones_that_there_is_no_doubt() {
        assert_eq!(Stability::of(vec![0.5]), None);
        let equal = Stability::of(vec![0.0, 0.0, 0.0]).unwrap();
        assert_eq!((equal.interval, equal.deviation_sample, equal.variation), ([0.0, 0.0], 0.0, None));
    }

    fn error(actual: f64, expected: &serde_json::Value) -> f64 {
        let expected = expected.as_f64().unwrap();
        (actual - expected).abs() / expected.abs()
    }

    /// The scores of five shuffled folds of an example, and what they say together, against scikit-learn's.
    fn check(name: &str, metric: &str, sign: f64, change: impl Fn(&mut TrainingJob), case: [&str; 2]) {
        let (mut job, path) = example(name);
        change(&mut job);
        let models: Vec<TrainedModel> = (0..5)
            .map(|number| {
                job.data.fold = Some(Fold { number, of: 5, repeat: 0 });
                fit_file(&job, &path, 2).unwrap()
            })
            .collect();
        let found = stabilities(&models.iter().collect::<Vec<_>>()).remove(metric).unwrap();
        let [model, folds] = case;
        let expected = &reference()[name]["cv"][model][folds];
        for (actual, expected) in found.scores.iter().zip(expected["scores"].as_array().unwrap()) {
            assert!(error(sign * actual, expected) < 1e-9, "{case:?}: {actual} {expected}");
        }
        let together = [
            (sign * found.mean, "mean"),
            (found.deviation_population, "std_pop"),
            (found.deviation_sample, "std_sample"),
            (found.variation.unwrap(), "cv_coeff"),
        ];
        for (actual, name) in together {
            assert!(error(actual, &expected[name]) < 1e-9, "{case:?} {name}: {actual} {}", expected[name]);
        }
    }

    #[test]
    fn cross_validated_scores_are_those_of_the_reference() {
        let plain = |job: &mut crate::job::TrainingJob| job.model.l2 = 0.0;
        check("diabetes", "r2", 1.0, plain, ["ols_r2", "kfold5_shuffle42"]);
        check("diabetes", "mean_squared_error", -1.0, plain, ["ols_negmse", "kfold5_shuffle42"]);
        check("breast_cancer", "accuracy", 1.0, |_| {}, ["logistic_C1_standard", "kfold5_shuffle42"]);
        let stratified = |job: &mut TrainingJob| job.data.split = SplitKind::StratifiedOrdered;
        check("breast_cancer", "accuracy", 1.0, stratified, ["logistic_C1_standard", "stratified5"]);
    }
}
