//! Fits the steps of a job one after another: what to sum over the training rows next, and what it means.
//!
//! It does not know who sums. A step sees the rows as the steps before it, already fitted, leave them.

use std::collections::BTreeSet;

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use super::plan::{self, Learned};
use super::ranks::{RankSearch, between, quantile_ranks};
use super::select::{self, ColumnScore, Moments};
use super::{BINS, FittedStep, PreparedColumn, RankTarget};
use crate::data::DataSummary;
use crate::job::{Filling, PrepareSettings, StepSettings};
use crate::scaling::column_scale;

/// One reading of the training rows as the steps fitted so far leave them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PreparePass {
    /// See [`crate::kernel::present_sums`].
    Present {},
    /// See [`crate::kernel::present_squares`].
    Squares {
        /// Means of the cells that are there.
        mean: F64Block,
    },
    /// See [`crate::kernel::column_sums`].
    Sums {},
    /// See [`crate::kernel::moments`].
    Moments {
        /// Means of the columns.
        mean: F64Block,
        /// Mean of the target.
        target_mean: f64,
    },
    /// See [`crate::kernel::level_counts`].
    Levels {
        /// What is counted.
        columns: Vec<LevelCount>,
    },
    /// See [`crate::kernel::rank_counts`].
    Ranks {
        /// What is counted.
        targets: Vec<RankTarget>,
        /// Passes before this one.
        depth: u32,
    },
}

/// A column whose levels are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelCount {
    /// The column.
    pub column: usize,
    /// Levels it may have.
    pub levels: usize,
}

/// Why columns cannot be prepared as the job says. `step` counts from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PrepareError {
    /// A step names a column that is not there.
    #[error("prepare.steps[{step}].columns: no column \"{column}\" at this step{}", nearest.as_ref().map(|name| format!(", did you mean \"{name}\"?")).unwrap_or_default())]
    UnknownColumn {
        /// The step.
        step: usize,
        /// The name.
        column: String,
        /// The most similar name, if any is similar.
        nearest: Option<String>,
    },
    /// A step names a column that it cannot take.
    #[error("prepare.steps[{step}].columns: \"{column}\" is a column of {kind}, the step takes {needed}")]
    WrongKind {
        /// The step.
        step: usize,
        /// The column.
        column: String,
        /// What it is of.
        kind: String,
        /// What it would have to be of.
        needed: String,
    },
    /// Neither words with holes nor what they say can be known.
    #[error("prepare.steps[{step}]: \"{column}\" has {count} missing cells; fill them in a step of impute before")]
    Holes {
        /// The step.
        step: usize,
        /// The column.
        column: String,
        /// Missing cells of the file.
        count: usize,
    },
    /// All training cells of a column are missing.
    #[error("prepare.steps[{step}]: no training row has a value in column \"{column}\"; leave it out")]
    NoValue {
        /// The step.
        step: usize,
        /// The column.
        column: String,
    },
    /// Missing cells at the end.
    #[error(
        "column \"{column}\" has {count} missing cells and no step fills them; add a [[prepare.steps]] with step = \"impute\", or set prepare.drop_missing_rows"
    )]
    Unfilled {
        /// The column.
        column: String,
        /// Missing cells of the file.
        count: usize,
    },
    /// Words at the end.
    #[error(
        "column \"{column}\" holds words such as \"{example}\"; add a [[prepare.steps]] with step = \"one_hot\" or \"ordinal\", or leave it out: data.columns.{column} = \"ignored\""
    )]
    Words {
        /// The column.
        column: String,
        /// One of the words.
        example: String,
    },
    /// Two columns of one name at the end.
    #[error("the steps make two columns of the name \"{0}\"; rename one in the file")]
    NameTwice(String),
    /// Products of many columns are too many.
    #[error("the steps make more than {} columns; name fewer or lower the degree", plan::COLUMNS_MAX)]
    TooManyColumns,
    /// Nothing is left to learn from.
    #[error("the steps leave no column to learn from")]
    NoColumns,
    /// Counts that no rows can have.
    #[error("the counts of a step of [prepare] do not add up to the {rows} training rows")]
    Counts {
        /// Training rows.
        rows: usize,
    },
}

/// The steps of a job, fitted one after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    settings: Vec<StepSettings>,
    row_count: usize,
    columns: Vec<PreparedColumn>,
    fitted: Vec<FittedStep>,
    scores: Vec<ColumnScore>,
    /// Steps of the settings that are done.
    done: usize,
    open: Option<Open>,
}

/// The step that is being fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    chosen: Vec<usize>,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Stage {
    Present,
    Squares { mean: Vec<f64>, counts: Vec<f64> },
    Levels,
    Sums,
    Moments { mean: Vec<f64>, target_mean: f64 },
    Ranks { search: RankSearch, parts: Vec<f64> },
}

impl Pipeline {
    /// The steps of a job over its data, of which `row_count` rows are for training.
    ///
    /// # Errors
    /// [`PrepareError`] if the steps do not fit the columns, as far as that can be known without the rows.
    pub fn new(settings: &PrepareSettings, data: &DataSummary, row_count: usize) -> Result<Self, PrepareError> {
        let columns: Vec<PreparedColumn> = data.all_columns().iter().map(PreparedColumn::of).collect();
        let settings = settings.steps.clone();
        let mut pipeline =
            Self { settings, row_count, columns, fitted: Vec::new(), scores: Vec::new(), done: 0, open: None };
        pipeline.clone().rehearse()?;
        pipeline.advance()?;
        Ok(pipeline)
    }

    /// The columns as the steps fitted so far leave them.
    #[must_use]
    pub fn columns(&self) -> &[PreparedColumn] {
        &self.columns
    }

    /// The steps fitted so far.
    #[must_use]
    pub fn fitted(&self) -> &[FittedStep] {
        &self.fitted
    }

    /// What selections have found, and what became of the columns.
    #[must_use]
    pub fn scores(&self) -> &[ColumnScore] {
        &self.scores
    }

    /// What is wanted now, or nothing if all steps are fitted.
    #[must_use]
    pub fn pass(&self) -> Option<PreparePass> {
        let open = self.open.as_ref()?;
        Some(match &open.stage {
            Stage::Present => PreparePass::Present {},
            Stage::Squares { mean, .. } => PreparePass::Squares { mean: F64Block(mean.clone()) },
            Stage::Sums => PreparePass::Sums {},
            Stage::Moments { mean, target_mean } => {
                PreparePass::Moments { mean: F64Block(mean.clone()), target_mean: *target_mean }
            }
            Stage::Levels => PreparePass::Levels { columns: self.level_counts(&open.chosen) },
            Stage::Ranks { search, .. } => {
                let (targets, depth) = search.targets().expect("a search that is over is no longer open");
                PreparePass::Ranks { targets, depth }
            }
        })
    }

    /// Takes in the sums of [`Self::pass`], whose number was checked.
    ///
    /// # Errors
    /// [`PrepareError`] if no step can come of them.
    pub fn absorb(&mut self, sums: &[f64]) -> Result<(), PrepareError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let learned = match &mut open.stage {
            Stage::Present => self.after_present(&mut open, sums)?,
            Stage::Squares { mean, counts } => Some(scaling(&open.chosen, mean, counts, sums)),
            Stage::Levels => Some(self.learned_levels(&open.chosen, sums)?),
            Stage::Sums => {
                let mut mean: Vec<f64> = sums[1..].iter().map(|sum| sum / sums[0]).collect();
                let target_mean = mean.pop().expect("the sums end with the target's");
                if sums[0] != self.row_count as f64 {
                    return Err(PrepareError::Counts { rows: self.row_count });
                }
                open.stage = Stage::Moments { mean, target_mean };
                None
            }
            Stage::Moments { .. } => Some(self.selected(&open.chosen, sums)),
            Stage::Ranks { search, parts } => {
                if !search.absorb(sums) {
                    return Err(PrepareError::Counts { rows: self.row_count });
                }
                search.targets().is_none().then(|| self.learned_ranks(&search.found(), parts))
            }
        };
        match learned {
            None => self.open = Some(open),
            Some(learned) => {
                self.complete(open.chosen, learned)?;
                self.advance()?;
            }
        }
        Ok(())
    }

    /// Goes through steps that need nothing of the rows, to the next one that does or to the end.
    fn advance(&mut self) -> Result<(), PrepareError> {
        while let Some(step) = self.settings.get(self.done) {
            let chosen = plan::chosen(self.done, step, &self.columns)?;
            self.check_words(step, &chosen)?;
            match first_stage(step) {
                Some(stage) if !chosen.is_empty() => {
                    self.open = Some(Open { chosen, stage });
                    return Ok(());
                }
                _ => self.complete(chosen, Learned::Nothing)?,
            }
        }
        self.check_end()
    }

    fn complete(&mut self, chosen: Vec<usize>, learned: Learned) -> Result<(), PrepareError> {
        let step = &self.settings[self.done];
        self.fitted.extend(plan::complete(step, chosen, learned, &mut self.columns)?);
        self.done += 1;
        Ok(())
    }

    /// Goes through all steps as if every level occurred and no column went for its missing cells.
    fn rehearse(mut self) -> Result<(), PrepareError> {
        for index in 0..self.settings.len() {
            let step = self.settings[index].clone();
            let chosen = plan::chosen(index, &step, &self.columns)?;
            self.check_words(&step, &chosen)?;
            let zeros = vec![0.0; chosen.len()];
            let learned = match &step {
                StepSettings::Impute { .. } => Learned::Values(zeros),
                StepSettings::OneHot { .. } => Learned::Codes(
                    chosen.iter().map(|place| (0..self.columns[*place].levels.len()).collect()).collect(),
                ),
                StepSettings::DropColumns { missing_above: Some(_), .. } => {
                    // Which columns go is not known, so neither is what may be missing in the rest.
                    self.columns.iter_mut().for_each(|column| column.missing_count = 0);
                    Learned::Goes(vec![false; chosen.len()])
                }
                StepSettings::Select { .. } => Learned::Goes(vec![false; chosen.len()]),
                _ => Learned::Pairs(zeros.clone(), zeros),
            };
            self.complete(chosen, learned)?;
        }
        self.check_end()
    }

    fn check_words(&self, step: &StepSettings, chosen: &[usize]) -> Result<(), PrepareError> {
        let holes = chosen.iter().map(|place| &self.columns[*place]).find(|column| column.missing_count > 0);
        match (step, holes) {
            (StepSettings::OneHot { .. } | StepSettings::Select { .. }, Some(column)) => {
                Err(PrepareError::Holes { step: self.done, column: column.name.clone(), count: column.missing_count })
            }
            _ => Ok(()),
        }
    }

    fn check_end(&self) -> Result<(), PrepareError> {
        if self.columns.is_empty() {
            return Err(PrepareError::NoColumns);
        }
        let mut names = BTreeSet::new();
        for PreparedColumn { name, levels, missing_count } in &self.columns {
            if let Some(example) = levels.first() {
                return Err(PrepareError::Words { column: name.clone(), example: example.clone() });
            }
            if *missing_count > 0 {
                return Err(PrepareError::Unfilled { column: name.clone(), count: *missing_count });
            }
            if !names.insert(name) {
                return Err(PrepareError::NameTwice(name.clone()));
            }
        }
        Ok(())
    }

    fn level_counts(&self, chosen: &[usize]) -> Vec<LevelCount> {
        let count = |column: &usize| LevelCount { column: *column, levels: self.columns[*column].levels.len() };
        chosen.iter().map(count).collect()
    }

    fn selected(&mut self, chosen: &[usize], sums: &[f64]) -> Learned {
        let StepSettings::Select { by, keep, least, .. } = self.settings[self.done] else {
            unreachable!("only a selection asks for moments")
        };
        let (width, count) = (self.columns.len(), self.row_count as f64);
        let moments = |place: &usize| Moments {
            count,
            squares: sums[*place],
            products: sums[width + *place],
            target_squares: sums[2 * width],
        };
        let scores: Vec<f64> = chosen.iter().map(|place| select::score(by, moments(place))).collect();
        let goes = select::goes(&scores, keep, least);
        for ((place, score), goes) in chosen.iter().zip(scores).zip(&goes) {
            let (name, step) = (self.columns[*place].name.clone(), self.done);
            self.scores.push(ColumnScore { by, is_taken: !goes, name, score, step });
        }
        Learned::Goes(goes)
    }

    /// Goes on from counts and sums, or has learned what there is to learn.
    fn after_present(&self, open: &mut Open, sums: &[f64]) -> Result<Option<Learned>, PrepareError> {
        let (width, step) = (self.columns.len(), &self.settings[self.done]);
        if sums[0] != self.row_count as f64 {
            return Err(PrepareError::Counts { rows: self.row_count });
        }
        let (counts, totals) = sums[1..].split_at(width);
        if let StepSettings::DropColumns { missing_above: Some(part), .. } = step {
            let missing = open.chosen.iter().map(|place| 1.0 - counts[*place] / sums[0]);
            return Ok(Some(Learned::Goes(missing.map(|missing| missing > *part).collect())));
        }
        if let Some(place) = open.chosen.iter().find(|place| counts[**place] == 0.0) {
            return Err(PrepareError::NoValue { step: self.done, column: self.columns[*place].name.clone() });
        }
        let quantiles: &[f64] = match step {
            StepSettings::Impute { with: Filling::Mean, .. } => {
                return Ok(Some(Learned::Values(
                    open.chosen.iter().map(|place| totals[*place] / counts[*place]).collect(),
                )));
            }
            StepSettings::Standard { .. } => {
                let means =
                    totals.iter().zip(counts).map(|(total, count)| if *count > 0.0 { total / count } else { 0.0 });
                open.stage = Stage::Squares { mean: means.collect(), counts: counts.to_vec() };
                return Ok(None);
            }
            StepSettings::MinMax { .. } => &[0.0, 1.0],
            StepSettings::Robust { .. } => &[0.25, 0.5, 0.75],
            StepSettings::Clip { lower, upper, .. } => &[*lower, *upper],
            _ => &[0.5],
        };
        open.stage = ranks(&open.chosen, counts, quantiles);
        Ok(None)
    }

    fn learned_levels(&self, chosen: &[usize], counts: &[f64]) -> Result<Learned, PrepareError> {
        let mut rest = counts;
        let mut by_column = Vec::with_capacity(chosen.len());
        for place in chosen {
            let (counts, after) = rest.split_at(self.columns[*place].levels.len());
            (rest, _) = (after, by_column.push(counts));
        }
        if matches!(self.settings[self.done], StepSettings::OneHot { .. }) {
            let occurring = |counts: &&[f64]| (0..counts.len()).filter(|code| counts[*code] > 0.0).collect();
            return Ok(Learned::Codes(by_column.iter().map(occurring).collect()));
        }
        let most = |(place, counts): (&usize, &&[f64])| {
            let first_best = counts.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
            first_best
                .filter(|(_, count)| **count > 0.0)
                .map(|(code, _)| code as f64)
                .ok_or_else(|| PrepareError::NoValue { step: self.done, column: self.columns[*place].name.clone() })
        };
        Ok(Learned::Values(chosen.iter().zip(&by_column).map(most).collect::<Result<_, _>>()?))
    }

    /// `found` has two cells for each quantile of each column, and `parts` how far it is between them.
    fn learned_ranks(&self, found: &[f64], parts: &[f64]) -> Learned {
        let quantiles = found.as_chunks::<2>().0.iter().zip(parts);
        let values: Vec<f64> = quantiles.map(|([lower, upper], part)| between(*lower, *upper, *part)).collect();
        let span = |from: f64, to: f64| if to > from { to - from } else { 1.0 };
        match &self.settings[self.done] {
            StepSettings::MinMax { .. } => {
                let pairs = values.as_chunks::<2>().0.iter();
                let (shift, scale) = pairs.map(|[least, greatest]| (*least, span(*least, *greatest))).unzip();
                Learned::Pairs(shift, scale)
            }
            StepSettings::Clip { .. } => {
                let (lower, upper) = values.as_chunks::<2>().0.iter().map(|[lower, upper]| (*lower, *upper)).unzip();
                Learned::Pairs(lower, upper)
            }
            StepSettings::Robust { .. } => {
                let triples = values.as_chunks::<3>().0.iter();
                let (shift, scale) = triples.map(|[first, median, third]| (*median, span(*first, *third))).unzip();
                Learned::Pairs(shift, scale)
            }
            _ => Learned::Values(values),
        }
    }
}

/// What a step wants of the training rows first, if anything.
fn first_stage(step: &StepSettings) -> Option<Stage> {
    match step {
        StepSettings::Impute { with: Filling::MostFrequent, .. } | StepSettings::OneHot { .. } => Some(Stage::Levels),
        StepSettings::Select { .. } => Some(Stage::Sums),
        StepSettings::Impute { with: Filling::Mean | Filling::Median, .. }
        | StepSettings::Standard { .. }
        | StepSettings::MinMax { .. }
        | StepSettings::Robust { .. }
        | StepSettings::Clip { .. }
        | StepSettings::DropColumns { missing_above: Some(_), .. } => Some(Stage::Present),
        _ => None,
    }
}

fn scaling(chosen: &[usize], mean: &[f64], counts: &[f64], squares: &[f64]) -> Learned {
    let of = |place: &usize| (mean[*place], column_scale(mean[*place], squares[*place], counts[*place]));
    let (shift, scale) = chosen.iter().map(of).unzip();
    Learned::Pairs(shift, scale)
}

fn ranks(chosen: &[usize], counts: &[f64], quantiles: &[f64]) -> Stage {
    let (mut wanted, mut parts) = (Vec::new(), Vec::new());
    for place in chosen {
        for quantile in quantiles {
            let (lower, upper, part) = quantile_ranks(*quantile, counts[*place] as usize);
            wanted.extend([(*place, lower), (*place, upper)]);
            parts.push(part);
        }
    }
    Stage::Ranks { search: RankSearch::new(wanted), parts }
}

impl PreparePass {
    /// Number of sums over rows of `column_count` columns.
    #[must_use]
    pub fn partial_len(&self, column_count: usize) -> usize {
        match self {
            Self::Present {} => 2 * column_count + 1,
            Self::Squares { .. } => column_count,
            Self::Sums {} => column_count + 2,
            Self::Moments { .. } => 2 * column_count + 1,
            Self::Levels { columns } => columns.iter().map(|column| column.levels).sum(),
            Self::Ranks { targets, .. } => targets.len() * BINS,
        }
    }
}

#[cfg(test)]
#[path = "pipeline_test.rs"]
mod tests;
