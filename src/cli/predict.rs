//! `odeon predict`: what a model says of the rows of a file.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;

use clap::Args;
use odeon_learning::predictions::{PredictionError, predict_file};

use super::run_directory::read_usable_model;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;

/// Predicts the rows of a file with a trained model
///
/// The file has the columns that the model was trained on, in any order; others are not read. One line is
/// written for each row, in the order of the file.
/// Example: odeon predict run1 new.csv --out predictions.csv
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// The model: a directory of `odeon train --out`, or a file in it
    model: PathBuf,
    /// The rows, CSV with a header
    data: PathBuf,
    /// Where the predictions are written; standard output, if absent
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Predicts, and leaves no file behind if a row cannot be predicted.
pub(crate) fn predict(args: &PredictArgs, environment: &Environment) -> Result<i32, Failure> {
    let model = read_usable_model(&args.model, &environment.models)?;
    let Some(out) = &args.out else {
        let mut text = Vec::new();
        predict_file(&model, &args.data, &mut text).map_err(failure)?;
        print(&String::from_utf8(text).or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
        return Ok(Exit::Done.into());
    };
    let partial = PathBuf::from(format!("{}.partial", out.display()));
    let refused = |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", out.display()));
    let file = File::create(&partial).map_err(refused)?;
    let predicted = predict_file(&model, &args.data, BufWriter::new(file)).map_err(failure);
    match predicted.and_then(|rows| fs::rename(&partial, out).map_err(refused).map(|()| rows)) {
        Ok(rows) => {
            print(&format!("{rows} predictions in {}\n", out.display())).or_exit(Exit::WorkFailed)?;
            Ok(Exit::Done.into())
        }
        Err(failure) => {
            // The fault is told; what is left of the attempt is not worth a second one.
            let _ = fs::remove_file(&partial);
            Err(failure)
        }
    }
}

/// A fault of the data is the user's, one of writing is not.
pub(super) fn failure(error: PredictionError) -> Failure {
    let exit = if matches!(error, PredictionError::Write(_)) { Exit::WorkFailed } else { Exit::Usage };
    Failure::new(exit, error.to_string())
}
