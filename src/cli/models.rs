//! `odeon models …`: what is in the directories of training runs.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use odeon_learning::job::ModelKind;
use odeon_learning::model::TrainedModel;
use odeon_learning::svm::SupportVectors;
use odeon_learning::{model_file, onnx};
use serde::Serialize;

use super::listing::{ListingArgs, ShowFormat, lines};
use super::run_directory::{MODEL, all_metrics, read_model};
use super::training_report::TreeShape;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Format, Listed, Style, document, print, render};

/// Most entries of a directory that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// Trained models: lists, shows, compares and exports them
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// Lists the runs in a directory
    List {
        /// The directory whose subdirectories are looked at
        #[arg(default_value = ".")]
        directory: PathBuf,
        #[command(flatten)]
        listing: ListingArgs,
    },
    /// Shows one model: how it was trained, its steps and its weights
    Show {
        /// The model: a directory of a run, or a file in it
        model: PathBuf,
        /// The form of what is shown
        #[arg(short, long, value_enum, default_value_t)]
        output: ShowFormat,
    },
    /// Shows the metrics of several models beside each other, one line for each metric and model
    Compare {
        /// The models
        #[arg(required = true, num_args = 2..)]
        models: Vec<PathBuf>,
        #[command(flatten)]
        listing: ListingArgs,
    },
    /// Writes a model in another form
    Export {
        /// The model: a directory of a run, or a file in it
        model: PathBuf,
        /// The form
        #[arg(long, value_enum, default_value_t)]
        form: ExportForm,
        /// Where it is written; standard output, if absent
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ExportForm {
    /// The model as JSON, without its checksum
    #[default]
    Json,
    /// The model with its checksum, as in the directory of a run
    Model,
    /// A line for each weight, or for each node of a tree
    Csv,
    /// The model with its steps for other programs, such as onnxruntime; goes into a file
    Onnx,
}

/// A named number.
#[derive(Serialize)]
pub(super) struct NumberRow {
    what: String,
    value: f64,
}

impl NumberRow {
    pub(super) fn new(what: &str, value: f64) -> Self {
        Self { what: what.to_owned(), value }
    }
}

impl Listed for NumberRow {
    const KIND: &'static str = "numbers";
    const COLUMNS: &'static [Column] = &[Column::always("NAME"), Column::always("VALUE")];

    fn cells(&self) -> Vec<String> {
        vec![self.what.clone(), self.value.to_string()]
    }

    fn id(&self) -> String {
        self.what.clone()
    }
}

/// A run in a list.
#[derive(Serialize)]
struct ModelRow {
    path: String,
    name: String,
    model: ModelKind,
    target: String,
    features: usize,
    train_rows: usize,
    objective: f64,
    converged: bool,
    sha256: String,
}

impl Listed for ModelRow {
    const KIND: &'static str = "models";
    const COLUMNS: &'static [Column] = &[
        Column::always("PATH"),
        Column::always("NAME"),
        Column::always("MODEL"),
        Column::always("TARGET"),
        Column::always("WEIGHTS"),
        Column::always("ROWS"),
        Column::always("OBJECTIVE"),
        Column::always("CONVERGED"),
        Column::wide("SHA256"),
    ];

    fn cells(&self) -> Vec<String> {
        let converged = if self.converged { "yes" } else { "no" };
        let (features, rows) = (self.features.to_string(), self.train_rows.to_string());
        let (objective, sha256) = (self.objective.to_string(), self.sha256.clone());
        let model = self.model.name().to_owned();
        vec![
            self.path.clone(),
            self.name.clone(),
            model,
            self.target.clone(),
            features,
            rows,
            objective,
            converged.to_owned(),
            sha256,
        ]
    }

    fn id(&self) -> String {
        self.path.clone()
    }
}

impl ModelRow {
    fn of(path: &Path, model: &TrainedModel) -> Self {
        Self {
            path: path.display().to_string(),
            name: model.name.clone(),
            model: model.model,
            target: model.target.clone(),
            features: match &model.support {
                Some(machine) => machine.feature_count,
                None => model.coefficients.len() + model.importances.len(),
            },
            train_rows: model.train_row_count,
            objective: model.objective,
            converged: model.converged,
            sha256: model.model_sha256(),
        }
    }
}

/// One metric of one model.
#[derive(Serialize)]
struct ComparedRow {
    metric: String,
    model: String,
    value: f64,
    /// Value less that of the first model.
    difference: Option<f64>,
}

impl Listed for ComparedRow {
    const KIND: &'static str = "metrics";
    const COLUMNS: &'static [Column] =
        &[Column::always("METRIC"), Column::always("MODEL"), Column::always("VALUE"), Column::always("DIFFERENCE")];

    fn cells(&self) -> Vec<String> {
        let difference = self.difference.map(|difference| format!("{difference:+}")).unwrap_or_default();
        vec![self.metric.clone(), self.model.clone(), self.value.to_string(), difference]
    }

    fn id(&self) -> String {
        format!("{} {}", self.metric, self.model)
    }
}

/// Does what was asked for.
pub(crate) fn models(args: &ModelsArgs, environment: &Environment) -> Result<i32, Failure> {
    match &args.command {
        ModelsCommand::List { directory, listing } => listing.print(&runs_in(directory)?, environment),
        ModelsCommand::Show { model, output } => show(&read_model(model)?, *output, environment),
        ModelsCommand::Compare { models, listing } => listing.print(&compared(models)?, environment),
        ModelsCommand::Export { model, form, out } => export(&read_model(model)?, *form, out.as_deref()),
    }
}

/// The runs below a directory, by name; a model that cannot be read is told, and ends the list.
fn runs_in(directory: &Path) -> Result<Vec<ModelRow>, Failure> {
    let refused = |error: std::io::Error| Failure::usage(format!("{}: {error}", directory.display()));
    let mut paths = Vec::new();
    for (index, entry) in std::fs::read_dir(directory).map_err(refused)?.enumerate() {
        if index == ENTRIES_MAX {
            let text = format!("{}: has more than {ENTRIES_MAX} entries; name one below it", directory.display());
            return Err(Failure::usage(text));
        }
        let path = entry.map_err(refused)?.path();
        if path.join(MODEL).is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| Ok(ModelRow::of(path, &read_model(path)?))).collect()
}

fn show(model: &TrainedModel, output: ShowFormat, environment: &Environment) -> Result<i32, Failure> {
    let text = match output {
        ShowFormat::Json => document("model", model).or_exit(Exit::WorkFailed)?,
        ShowFormat::Text => {
            let style = Style::of(&std::io::stdout(), &environment.variables);
            let weights = weight_rows(model);
            let metrics = all_metrics(model);
            let metrics: Vec<NumberRow> = metrics.iter().map(|(name, value)| NumberRow::new(name, *value)).collect();
            let [weights, metrics] =
                [weights, metrics].map(|rows| render(&rows, Format::Table, style).or_exit(Exit::WorkFailed));
            format!("{}\n{}\n{}", lines(&facts(model)), weights?, metrics?)
        }
    };
    print(&text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

/// The weights of a model, then its intercepts; of a tree the importances of its features.
pub(super) fn weight_rows(model: &TrainedModel) -> Vec<NumberRow> {
    let weights =
        model.coefficients.iter().chain(&model.importances).map(|weight| NumberRow::new(&weight.label(), weight.value));
    let intercepts = model.named_intercepts();
    weights.chain(intercepts.iter().map(|(name, value)| NumberRow::new(name, *value))).collect()
}

fn facts(model: &TrainedModel) -> [(&'static str, String); 11] {
    let tree = TreeShape::of(model).map(|shape| shape.to_string());
    let steps = model.steps.iter().map(|step| step.name()).collect::<Vec<_>>().join(", ");
    [
        ("name", model.name.clone()),
        ("model", model.model.name().to_owned()),
        ("target", model.target.clone()),
        ("classes", model.classes.join(", ")),
        ("columns", model.input_names().join(", ")),
        ("steps", steps),
        ("tree", tree.unwrap_or_default()),
        ("support vectors", model.support.as_ref().map(support_size).unwrap_or_default()),
        ("duality gap", model.duality_gap.map(|gap| gap.to_string()).unwrap_or_default()),
        ("scaled", if model.scaling.is_some() { "to standard columns".to_owned() } else { String::new() }),
        ("sha256", model.model_sha256()),
    ]
}

/// How many support vectors there are, and of each class.
fn support_size(machine: &SupportVectors) -> String {
    let of_classes = machine.class_counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    match machine.class_counts.is_empty() {
        true => machine.vectors.len().to_string(),
        false => format!("{} ({of_classes})", machine.vectors.len()),
    }
}

fn compared(paths: &[PathBuf]) -> Result<Vec<ComparedRow>, Failure> {
    let models = paths.iter().map(|path| read_model(path)).collect::<Result<Vec<_>, _>>()?;
    let metrics: Vec<_> = models.iter().map(all_metrics).collect();
    let mut names: Vec<&str> = metrics.iter().flat_map(|of_model| of_model.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let mut rows = Vec::new();
    for name in names {
        let first = metrics[0].get(name);
        for (index, (path, of_model)) in paths.iter().zip(&metrics).enumerate() {
            let Some(value) = of_model.get(name) else { continue };
            let difference = first.filter(|_| index > 0).map(|first| value - first);
            rows.push(ComparedRow {
                metric: name.to_owned(),
                model: path.display().to_string(),
                value: *value,
                difference,
            });
        }
    }
    Ok(rows)
}

fn export(model: &TrainedModel, form: ExportForm, out: Option<&Path>) -> Result<i32, Failure> {
    let bytes = match form {
        ExportForm::Json => model.canonical_bytes(),
        ExportForm::Model => model_file::encode(model),
        ExportForm::Csv => model_file::weights_csv(model),
        ExportForm::Onnx if out.is_none() => {
            return Err(Failure::usage("an ONNX file is not text: say with --out where it goes"));
        }
        ExportForm::Onnx if model.model.own().is_some() => {
            let text =
                format!("the model \"{}\" is code of its user's, which no other program has", model.model.name());
            return Err(Failure::usage(text));
        }
        ExportForm::Onnx => onnx::encode(model),
    };
    match out {
        Some(path) => std::fs::write(path, bytes)
            .map_err(|error| Failure::new(Exit::WorkFailed, format!("cannot write {}: {error}", path.display())))?,
        None => drop(print(&String::from_utf8(bytes).or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?),
    }
    Ok(Exit::Done.into())
}
