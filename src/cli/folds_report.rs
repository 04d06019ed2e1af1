//! What a cross-validation has found: each score over all folds.

use odeon_learning::folds::{Stability, stabilities};
use odeon_learning::model::TrainedModel;
use odeon_learning::training::Training;
use serde::Serialize;

use crate::app::Environment;
use crate::output::{Column, Format, Listed, Style, render as render_rows};

/// A score over all folds.
#[derive(Serialize)]
struct ScoreRow {
    metric: String,
    #[serde(flatten)]
    stability: Stability,
}

impl Listed for ScoreRow {
    const KIND: &'static str = "scores";
    const COLUMNS: &'static [Column] = &[
        Column::always("METRIC"),
        Column::always("MEAN"),
        Column::always("DEVIATION"),
        Column::always("95% FROM"),
        Column::always("TO"),
        Column::wide("FOLDS"),
    ];

    fn cells(&self) -> Vec<String> {
        let Stability { scores, mean, deviation_sample, interval: [low, high], .. } = &self.stability;
        let folds = scores.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        let numbers = [mean, deviation_sample, low, high].map(|number| format!("{number:.6}"));
        [self.id()].into_iter().chain(numbers).chain([folds]).collect()
    }

    fn id(&self) -> String {
        self.metric.clone()
    }
}

/// The scores that all models have, by name.
pub(super) fn render(
    trainings: &[Training],
    format: Format,
    environment: &Environment,
) -> Result<String, serde_json::Error> {
    let models: Vec<&TrainedModel> = trainings.iter().map(|training| &training.model).collect();
    let rows: Vec<ScoreRow> =
        stabilities(&models).into_iter().map(|(metric, stability)| ScoreRow { metric, stability }).collect();
    render_rows(&rows, format, Style::of(&std::io::stdout(), &environment.variables))
}
