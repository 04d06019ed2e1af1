//! Columns on their way through the steps: which ones a step concerns, and what they are afterwards.
//!
//! The same code plans a job before it starts, when nothing is known of the training rows, and follows
//! its steps when they are fitted; so a name that does not fit is told before anything starts.

use serde::{Deserialize, Serialize};

use super::{FittedStep, Levels, PrepareError};
use crate::data::{DataColumn, nearest};
use crate::job::{Filling, StepSettings};

/// Most columns that steps may make.
pub const COLUMNS_MAX: usize = 100_000;

/// A column between two steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedColumn {
    /// For people and for the steps that follow.
    pub name: String,
    /// Its words; none if it is of numbers.
    pub levels: Vec<String>,
    /// Missing cells of the file that nothing has filled.
    pub missing_count: usize,
}

/// What the training rows say of the columns of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Learned {
    /// Nothing is needed.
    Nothing,
    /// A number for each.
    Values(Vec<f64>),
    /// Two numbers for each.
    Pairs(Vec<f64>, Vec<f64>),
    /// For each the codes that occur.
    Codes(Vec<Vec<usize>>),
    /// Whether each goes.
    Goes(Vec<bool>),
}

impl PreparedColumn {
    pub(super) fn of(column: &DataColumn) -> Self {
        Self { name: column.name.clone(), levels: column.levels.clone(), missing_count: column.missing_count }
    }

    fn number(name: String, missing_count: usize) -> Self {
        Self { name, levels: Vec::new(), missing_count }
    }

    fn kind(&self) -> &'static str {
        if self.levels.is_empty() { "numbers" } else { "words" }
    }
}

/// The kind of column that a step takes, if not any.
fn needed_kind(step: &StepSettings) -> Option<&'static str> {
    match step {
        StepSettings::Impute { with: Filling::MostFrequent | Filling::Word(_), .. }
        | StepSettings::OneHot { .. }
        | StepSettings::Ordinal { .. } => Some("words"),
        StepSettings::DropColumns { .. } => None,
        _ => Some("numbers"),
    }
}

/// The columns that a step concerns, ascending.
pub(super) fn chosen(
    index: usize,
    step: &StepSettings,
    columns: &[PreparedColumn],
) -> Result<Vec<usize>, PrepareError> {
    let kind = needed_kind(step);
    let Some(names) = step.columns() else {
        let fits = |column: &PreparedColumn| kind.is_none_or(|kind| kind == column.kind());
        return Ok((0..columns.len()).filter(|place| fits(&columns[*place])).collect());
    };
    let find = |name: &String| {
        let place = columns.iter().position(|column| column.name == *name).ok_or_else(|| {
            let nearest = nearest(name, columns.iter().map(|column| column.name.as_str()));
            PrepareError::UnknownColumn { step: index, column: name.clone(), nearest }
        })?;
        match kind {
            Some(needed) if needed != columns[place].kind() => Err(PrepareError::WrongKind {
                step: index,
                column: name.clone(),
                kind: columns[place].kind().to_owned(),
                needed: needed.to_owned(),
            }),
            _ => Ok(place),
        }
    };
    let mut places = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    Ok(places)
}

/// Makes a step of what was learned; the columns become what they are behind it.
pub(super) fn complete(
    step: &StepSettings,
    chosen: Vec<usize>,
    learned: Learned,
    columns: &mut Vec<PreparedColumn>,
) -> Result<Option<FittedStep>, PrepareError> {
    if chosen.is_empty() {
        return Ok(None);
    }
    Ok(match (step, learned) {
        (StepSettings::Impute { with, indicator, .. }, learned) => {
            Some(fill(with, *indicator, chosen, learned, columns))
        }
        (StepSettings::OneHot { drop_first, .. }, Learned::Codes(codes)) => {
            Some(one_hot(*drop_first, &chosen, codes, columns))
        }
        (StepSettings::Ordinal { .. }, _) => {
            chosen.iter().for_each(|place| columns[*place].levels.clear());
            None
        }
        (StepSettings::Log { .. }, _) => Some(FittedStep::Log { columns: chosen }),
        (StepSettings::Clip { .. }, Learned::Pairs(lower, upper)) => {
            Some(FittedStep::Clip { columns: chosen, lower, upper })
        }
        (StepSettings::Polynomial { degree, interaction_only, .. }, _) => {
            Some(products(*degree, *interaction_only, &chosen, columns)?)
        }
        (StepSettings::DropColumns { .. } | StepSettings::Select { .. }, learned) => {
            drop_columns(&chosen, &learned, columns)
        }
        (_, Learned::Pairs(shift, scale)) => Some(FittedStep::Scale { columns: chosen, shift, scale }),
        (step, learned) => unreachable!("{step:?} does not learn {learned:?}"),
    })
}

fn fill(
    with: &Filling,
    indicator: bool,
    chosen: Vec<usize>,
    learned: Learned,
    columns: &mut Vec<PreparedColumn>,
) -> FittedStep {
    let values = match (with, learned) {
        (Filling::Constant(value), _) => vec![*value; chosen.len()],
        (Filling::Word(word), _) => chosen.iter().map(|place| code_of(word, &mut columns[*place]) as f64).collect(),
        (_, Learned::Values(values)) => values,
        (with, learned) => unreachable!("{with:?} does not learn {learned:?}"),
    };
    let indicators = match indicator {
        true => chosen.iter().copied().filter(|place| columns[*place].missing_count > 0).collect(),
        false => Vec::new(),
    };
    let names = indicators.iter().map(|place: &usize| format!("{}_missing", columns[*place].name));
    let added: Vec<PreparedColumn> = names.map(|name| PreparedColumn::number(name, 0)).collect();
    columns.extend(added);
    chosen.iter().for_each(|place| columns[*place].missing_count = 0);
    FittedStep::Fill { columns: chosen, values, indicators }
}

/// The code of a word, which becomes a new level if it is none.
fn code_of(word: &str, column: &mut PreparedColumn) -> usize {
    column.levels.iter().position(|level| level == word).unwrap_or_else(|| {
        column.levels.push(word.to_owned());
        column.levels.len() - 1
    })
}

fn one_hot(
    drop_first: bool,
    chosen: &[usize],
    codes: Vec<Vec<usize>>,
    columns: &mut Vec<PreparedColumn>,
) -> FittedStep {
    let skipped = usize::from(drop_first);
    let encodings = chosen.iter().zip(codes);
    let encodings: Vec<Levels> = encodings
        .map(|(column, codes)| Levels { column: *column, codes: codes.into_iter().skip(skipped).collect() })
        .collect();
    let mut encoded = encodings.iter().peekable();
    let mut after = Vec::with_capacity(columns.len());
    for (place, column) in columns.drain(..).enumerate() {
        match encoded.next_if(|encoding| encoding.column == place) {
            Some(encoding) => after.extend(encoding.codes.iter().map(|code| {
                PreparedColumn::number(format!("{}={}", column.name, column.levels[*code]), column.missing_count)
            })),
            None => after.push(column),
        }
    }
    *columns = after;
    FittedStep::OneHot { encodings }
}

fn drop_columns(chosen: &[usize], learned: &Learned, columns: &mut Vec<PreparedColumn>) -> Option<FittedStep> {
    let goes = |place: usize| match learned {
        Learned::Goes(goes) => chosen.binary_search(&place).is_ok_and(|index| goes[index]),
        _ => chosen.binary_search(&place).is_ok(),
    };
    let keep: Vec<usize> = (0..columns.len()).filter(|place| !goes(*place)).collect();
    if keep.len() == columns.len() {
        return None;
    }
    *columns = keep.iter().map(|place| columns[*place].clone()).collect();
    Some(FittedStep::Keep { columns: keep })
}

/// Products in the order of their degree, then of their columns.
fn products(
    degree: u32,
    interaction_only: bool,
    chosen: &[usize],
    columns: &mut Vec<PreparedColumn>,
) -> Result<FittedStep, PrepareError> {
    let mut last: Vec<Vec<usize>> = chosen.iter().map(|place| vec![*place]).collect();
    let mut terms = Vec::new();
    for _ in 1..degree {
        let mut next = Vec::new();
        for term in &last {
            let top = term.last().copied().unwrap_or_default();
            for place in chosen.iter().filter(|place| **place > top || (**place == top && !interaction_only)) {
                next.push([term.as_slice(), &[*place]].concat());
                if columns.len() + terms.len() + next.len() > COLUMNS_MAX {
                    return Err(PrepareError::TooManyColumns);
                }
            }
        }
        terms.extend(next.iter().cloned());
        last = next;
    }
    let added: Vec<PreparedColumn> = terms.iter().map(|term| product(term, columns)).collect();
    columns.extend(added);
    Ok(FittedStep::Products { terms })
}

/// `a`, `b`, `b` is called `a*b^2`.
fn product(term: &[usize], columns: &[PreparedColumn]) -> PreparedColumn {
    let factors = term.chunk_by(|a, b| a == b).map(|factor| match factor.len() {
        1 => columns[factor[0]].name.clone(),
        power => format!("{}^{power}", columns[factor[0]].name),
    });
    let missing_count = term.iter().map(|place| columns[*place].missing_count).max().unwrap_or_default();
    PreparedColumn::number(factors.collect::<Vec<_>>().join("*"), missing_count)
}
