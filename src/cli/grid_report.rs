//! What a search over values has found: each combination with its score, the best first.

use std::collections::BTreeMap;

use odeon_learning::folds::{Stability, stabilities};
use odeon_learning::metrics::is_loss;
use odeon_learning::model::TrainedModel;
use odeon_learning::training::Training;
use serde::Serialize;

use super::grid::{Combination, as_set};
use crate::app::Environment;
use crate::output::{Column, Format, Listed, Style, render as render_rows};

/// A combination and what its trainings have scored.
#[derive(Serialize)]
struct CombinationRow {
    rank: usize,
    values: BTreeMap<String, String>,
    metric: String,
    mean: f64,
    /// Over several folds.
    #[serde(flatten)]
    stability: Option<Stability>,
    /// How many of its trainings did not converge.
    not_converged: usize,
    #[serde(skip)]
    set: String,
}

impl Listed for CombinationRow {
    const KIND: &'static str = "combinations";
    const COLUMNS: &'static [Column] = &[
        Column::always("RANK"),
        Column::always("METRIC"),
        Column::always("MEAN"),
        Column::always("DEVIATION"),
        Column::wide("95% FROM"),
        Column::wide("TO"),
        Column::wide("NOT CONVERGED"),
        Column::always("SET"),
    ];

    fn cells(&self) -> Vec<String> {
        let number = |value: f64| format!("{value:.6}");
        let of = |part: fn(&Stability) -> f64| self.stability.as_ref().map(part).map(number).unwrap_or_default();
        vec![
            self.rank.to_string(),
            self.metric.clone(),
            number(self.mean),
            of(|stability| stability.deviation_sample),
            of(|stability| stability.interval[0]),
            of(|stability| stability.interval[1]),
            self.not_converged.to_string(),
            self.set.clone(),
        ]
    }

    fn id(&self) -> String {
        self.set.clone()
    }
}

/// The combinations by their mean score; of equal ones the earlier first. `trainings` has as many of each as of the others,
/// in the order of the combinations.
pub(super) fn render(
    combinations: &[Combination],
    trainings: &[Training],
    metric: &str,
    format: Format,
    environment: &Environment,
) -> Result<String, serde_json::Error> {
    let of_each = trainings.len() / combinations.len().max(1);
    let scored = combinations.iter().zip(trainings.chunks(of_each.max(1)));
    let mut rows: Vec<CombinationRow> = scored.map(|(values, trainings)| row(values, trainings, metric)).collect();
    let sign = if is_loss(metric) { 1.0 } else { -1.0 };
    rows.sort_by(|a, b| (sign * a.mean).total_cmp(&(sign * b.mean)));
    (1..).zip(&mut rows).for_each(|(rank, row)| row.rank = rank);
    render_rows(&rows, format, Style::of(&std::io::stdout(), &environment.variables))
}

fn row(combination: &Combination, trainings: &[Training], metric: &str) -> CombinationRow {
    let models: Vec<&TrainedModel> = trainings.iter().map(|training| &training.model).collect();
    let stability = stabilities(&models).remove(metric);
    let alone = models.first().and_then(|model| model.metrics.get(metric)).copied().unwrap_or(f64::NAN);
    CombinationRow {
        rank: 0,
        values: combination.iter().cloned().collect(),
        metric: metric.to_owned(),
        mean: stability.as_ref().map_or(alone, |stability| stability.mean),
        stability,
        not_converged: models.iter().filter(|model| !model.converged).count(),
        set: as_set(combination),
    }
}
