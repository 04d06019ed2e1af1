//! The result of a training job, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt::Write;

use odeon_learning::coordinator_core::UpdateCounts;
use odeon_learning::data::{DataColumn, DataSummary, LeftOut};
use odeon_learning::model::{Coefficient, TrainedModel};
use odeon_learning::prepare::ColumnScore;
use odeon_learning::training::Training;
use odeon_learning::tree::{Tree, ensemble::Ensemble};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::evaluate::confusion_lines;
use super::models::{NumberRow, weight_rows};
use crate::app::Environment;
use crate::output::{Column, Format, JSON_VERSION, Listed, Style, escaped, render};

/// Coefficients that a table shows: a model of sparse rows may have a million.
const COEFFICIENTS_SHOWN_MAX: usize = 1000;

/// What is told of a job that has a model.
#[derive(Serialize)]
pub(super) struct TrainingReport<'a> {
    version: u32,
    name: &'a str,
    objective: f64,
    metrics: &'a BTreeMap<String, f64>,
    #[serde(serialize_with = "by_name")]
    coefficients: &'a [Coefficient],
    /// Of a tree, in place of coefficients.
    #[serde(serialize_with = "by_name", skip_serializing_if = "<[_]>::is_empty")]
    importances: &'a [Coefficient],
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<TreeShape>,
    /// Of a kernel machine, how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    support_vectors: Option<usize>,
    intercept: f64,
    /// Of each class, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    intercepts: BTreeMap<&'a str, f64>,
    /// Names of the rows and columns of `confusion`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    classes: &'a [String],
    /// The test rows by class, then by predicted class.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    confusion: &'a [Vec<u64>],
    workers: usize,
    rounds: u32,
    converged: bool,
    gradient_norm: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    duality_gap: Option<f64>,
    train_rows: usize,
    test_rows: usize,
    left_out_rows: LeftOut,
    columns: Vec<ColumnRow<'a>>,
    selection: &'a [ColumnScore],
    model_sha256: String,
    updates: UpdateCounts,
    tasks: Vec<TaskRow>,
    #[serde(skip)]
    model: &'a TrainedModel,
}

/// How large a tree is.
#[derive(Serialize)]
pub(super) struct TreeShape {
    /// If the model is many.
    #[serde(skip_serializing_if = "Option::is_none")]
    trees: Option<usize>,
    leaves: usize,
    depth: usize,
}

/// Coefficients as an object, in the order of the columns.
fn by_name<S: Serializer>(coefficients: &&[Coefficient], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(coefficients.len()))?;
    for coefficient in *coefficients {
        map.serialize_entry(&coefficient.label(), &coefficient.value)?;
    }
    map.end()
}

/// A worker's task.
#[derive(Serialize)]
struct TaskRow {
    id: String,
    name: String,
    state: &'static str,
    agent: String,
}

impl Listed for TaskRow {
    const KIND: &'static str = "tasks";
    const COLUMNS: &'static [Column] =
        &[Column::always("TASK"), Column::always("NAME"), Column::always("STATE"), Column::always("AGENT")];

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.name.clone(), self.state.to_owned(), self.agent.clone()]
    }

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// A column of the file.
#[derive(Serialize)]
struct ColumnRow<'a> {
    name: &'a str,
    kind: &'static str,
    levels: &'a [String],
    missing: usize,
}

impl Listed for ColumnRow<'_> {
    const KIND: &'static str = "columns";
    const COLUMNS: &'static [Column] =
        &[Column::always("COLUMN"), Column::always("KIND"), Column::always("WORDS"), Column::always("MISSING")];

    fn cells(&self) -> Vec<String> {
        let words = if self.levels.is_empty() { String::new() } else { self.levels.len().to_string() };
        vec![self.name.to_owned(), self.kind.to_owned(), words, self.missing.to_string()]
    }

    fn id(&self) -> String {
        self.name.to_owned()
    }
}

impl<'a> ColumnRow<'a> {
    fn of(column: &'a DataColumn) -> Self {
        let DataColumn { name, levels, missing_count, .. } = column;
        Self { name, kind: column.kind(), levels, missing: *missing_count }
    }

    /// Whether there is more to say of it than its name.
    fn is_remarkable(&self) -> bool {
        !self.levels.is_empty() || self.missing > 0
    }
}

/// A column that a step of selection has judged.
#[derive(Serialize)]
#[serde(transparent)]
struct ScoreRow<'a>(&'a ColumnScore);

impl Listed for ScoreRow<'_> {
    const KIND: &'static str = "selection";
    const COLUMNS: &'static [Column] =
        &[Column::always("COLUMN"), Column::always("BY"), Column::always("SCORE"), Column::always("TAKEN")];

    fn cells(&self) -> Vec<String> {
        let ColumnScore { by, is_taken, name, score, .. } = self.0;
        let taken = if *is_taken { "yes" } else { "no" };
        vec![name.clone(), by.name().to_owned(), score.to_string(), taken.to_owned()]
    }

    fn id(&self) -> String {
        self.0.name.clone()
    }
}

impl TreeShape {
    /// The shape of a model that is one tree or many.
    pub(super) fn of(model: &TrainedModel) -> Option<Self> {
        let many = |ensemble: &Ensemble| Self {
            trees: Some(ensemble.trees.len()),
            leaves: ensemble.leaf_count(),
            depth: ensemble.depth(),
        };
        let one = |tree: &Tree| Self { trees: None, leaves: tree.leaf_count(), depth: tree.depth() };
        model.ensemble.as_ref().map(many).or(model.tree.as_ref().map(one))
    }
}

impl std::fmt::Display for TreeShape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { trees, leaves, depth } = self;
        trees.map_or(Ok(()), |trees| write!(formatter, "{trees} trees, "))?;
        write!(formatter, "{leaves} leaves, depth {depth}")
    }
}

impl<'a> TrainingReport<'a> {
    /// The report of a finished job over its data.
    pub(super) fn new(training: &'a Training, data: &'a DataSummary) -> Self {
        let model = &training.model;
        let tasks = training.tasks.iter().map(|(task_id, task)| TaskRow {
            id: task_id.to_string(),
            name: task.name.clone(),
            state: task.state.name(),
            agent: task.agent_id.to_string(),
        });
        Self {
            version: JSON_VERSION,
            name: &model.name,
            objective: model.objective,
            metrics: &model.metrics,
            coefficients: &model.coefficients,
            importances: &model.importances,
            tree: TreeShape::of(model),
            support_vectors: model.support.as_ref().map(|machine| machine.vectors.len()),
            intercept: model.intercept,
            intercepts: model.classes.iter().map(String::as_str).zip(model.intercepts.iter().copied()).collect(),
            classes: &model.classes,
            confusion: &model.confusion,
            workers: training.worker_count,
            rounds: model.rounds,
            converged: model.converged,
            gradient_norm: model.gradient_norm,
            duality_gap: model.duality_gap,
            train_rows: model.train_row_count,
            test_rows: model.test_row_count,
            left_out_rows: data.left_out,
            columns: data.columns.iter().map(ColumnRow::of).collect(),
            selection: &model.selection,
            model_sha256: model.model_sha256(),
            updates: training.updates,
            tasks: tasks.collect(),
            model,
        }
    }

    /// The text of the report in a format.
    pub(super) fn render(&self, format: Format, environment: &Environment) -> Result<String, serde_json::Error> {
        match format {
            Format::Json => serde_json::to_string_pretty(self).map(|text| text + "\n"),
            Format::Table | Format::Wide => self.tables(format, Style::of(&std::io::stdout(), &environment.variables)),
        }
    }

    /// How the training ended.
    fn verdict(&self) -> String {
        match (&self.tree, self.converged) {
            (Some(shape), _) => format!("grown to {shape}"),
            (None, true) => format!("converged in {} rounds{}", self.rounds, self.gap()),
            (None, false) => format!("did not converge in {} rounds{}", self.rounds, self.gap()),
        }
    }

    /// The weights or importances, of a model that has them.
    fn weights(&self, format: Format, style: Style) -> Result<String, serde_json::Error> {
        if let Some(count) = self.support_vectors {
            return Ok(format!("\n{count} support vectors in {}\n", escaped(self.name)));
        }
        let mut weights = weight_rows(self.model);
        let hidden = weights.len().saturating_sub(COEFFICIENTS_SHOWN_MAX);
        weights.truncate(COEFFICIENTS_SHOWN_MAX);
        let (name, what) = (escaped(self.name), if self.model.is_of_trees() { "importances" } else { "coefficients" });
        let mut text = format!("\n{what} of {name}\n{}", render(&weights, format, style)?);
        if hidden > 0 {
            writeln!(text, "and {hidden} more, which --out and -o json keep").expect("writing to memory cannot fail");
        }
        Ok(text)
    }

    /// How far the objective is from its minimum at most, where that is known.
    fn gap(&self) -> String {
        self.duality_gap.map(|gap| format!(" (duality gap {gap:.1e})")).unwrap_or_default()
    }

    /// A line, if something befell the workers or what they sent.
    fn remarkable_updates(&self) -> String {
        let UpdateCounts { overtaken, repeated, stale, backups, workers_dropped, .. } = self.updates;
        let counts = [
            (self.updates.refused(), "refused"),
            (repeated, "repeated"),
            (stale, "too late for their pass"),
            (overtaken, "overtaken by a backup"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let mut parts: Vec<String> = told.collect();
        parts.extend((backups > 0).then(|| format!("{backups} backups of late workers")));
        parts.extend((workers_dropped > 0).then(|| format!("{workers_dropped} workers dropped")));
        if parts.is_empty() { String::new() } else { format!("\nupdates: {}\n", parts.join(", ")) }
    }

    fn tables(&self, format: Format, style: Style) -> Result<String, serde_json::Error> {
        let row = NumberRow::new;
        let metrics = self.metrics.iter().map(|(name, value)| row(name, *value));
        let metrics: Vec<NumberRow> = [row("(objective)", self.objective)].into_iter().chain(metrics).collect();
        let mut text = render(&self.tasks, format, style)?;
        if self.columns.iter().any(ColumnRow::is_remarkable) {
            text.push_str(&format!("\ncolumns of the file\n{}", render(&self.columns, format, style)?));
        }
        let chosen: Vec<ScoreRow<'_>> = self.selection.iter().map(ScoreRow).collect();
        if !chosen.is_empty() {
            text.push_str(&format!("\nselection of columns\n{}", render(&chosen, format, style)?));
        }
        if self.left_out_rows.total() > 0 {
            writeln!(text, "\nrows left out: {}", self.left_out_rows).expect("writing to memory cannot fail");
        }
        text.push_str(&self.remarkable_updates());
        let Self { workers, train_rows, test_rows, .. } = self;
        text.push_str(&self.weights(format, style)?);
        text.push_str(&format!("\non {test_rows} held-out rows\n{}", render(&metrics, format, style)?));
        text.push_str(&confusion_lines(self.classes, self.confusion));
        let end = format!("\n{} over {train_rows} rows, {workers} workers", self.verdict());
        writeln!(text, "{end}\nmodel sha256 {}", self.model_sha256).expect("writing to memory cannot fail");
        Ok(text)
    }
}
