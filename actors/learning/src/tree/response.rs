//! What a tree is grown to tell: the targets of rows, how they differ, and how good a cut is.

use super::Criterion;

/// The targets of all training rows.
#[derive(Debug)]
pub(super) enum Response {
    /// Numbers, by squared error.
    Numbers(Vec<f64>),
    /// Classes from 0.
    Classes { of_row: Vec<usize>, class_count: usize, entropy: bool },
}

/// What rows have in common.
pub(super) struct Summary {
    pub(super) value: Vec<f64>,
    pub(super) impurity: f64,
}

impl Response {
    /// Targets of `class_count` classes, or numbers if there are none.
    pub(super) fn new(targets: &[f64], class_count: usize, criterion: Option<Criterion>) -> Self {
        match class_count {
            0 => Self::Numbers(targets.to_vec()),
            _ => {
                // The workers have checked that each is the number of a class.
                let of_row = targets.iter().map(|target| *target as usize).collect();
                Self::Classes { of_row, class_count, entropy: criterion == Some(Criterion::Entropy) }
            }
        }
    }

    pub(super) fn summary(&self, rows: &[u32]) -> Summary {
        let count = rows.len() as f64;
        match self {
            Self::Numbers(targets) => {
                let of = |row: &u32| targets[*row as usize];
                let mean = rows.iter().map(of).sum::<f64>() / count;
                let squares: f64 = rows.iter().map(|row| (of(row) - mean) * (of(row) - mean)).sum();
                Summary { value: vec![mean], impurity: squares / count }
            }
            Self::Classes { of_row, class_count, entropy } => {
                let mut counts = vec![0.0; *class_count];
                rows.iter().for_each(|row| counts[of_row[*row as usize]] += 1.0);
                let impurity = match entropy {
                    true => disorder(&counts, count) / count,
                    false => 1.0 - counts.iter().map(|n| (n / count) * (n / count)).sum::<f64>(),
                };
                Summary { value: counts.iter().map(|n| n / count).collect(), impurity }
            }
        }
    }

    /// Calls `each` with how good it is to cut `rows` before each position from 1: the larger, the less impurity is left.
    ///
    /// `mean` is that of the targets, if they are numbers.
    pub(super) fn cuts(&self, rows: &[u32], mean: f64, each: impl FnMut(usize, f64)) {
        match self {
            Self::Numbers(targets) => cut_numbers(targets, rows, mean, each),
            Self::Classes { of_row, class_count, entropy: false } => cut_by_gini(of_row, *class_count, rows, each),
            Self::Classes { of_row, class_count, entropy: true } => cut_by_entropy(of_row, *class_count, rows, each),
        }
    }
}

/// `Σ_left² / n_left + Σ_right² / n_right` of the distances from the mean, which is what the squared error falls by.
///
/// # Source
/// Breiman, Friedman, Olshen, Stone, *Classification and Regression Trees*, section 8.3.
fn cut_numbers(targets: &[f64], rows: &[u32], mean: f64, mut each: impl FnMut(usize, f64)) {
    let of = |row: &u32| targets[*row as usize] - mean;
    let whole: f64 = rows.iter().map(of).sum();
    let mut left = 0.0;
    for (at, row) in rows.iter().enumerate().take(rows.len().saturating_sub(1)) {
        left += of(row);
        let (below, above) = ((at + 1) as f64, (rows.len() - at - 1) as f64);
        let right = whole - left;
        each(at + 1, left * left / below + right * right / above);
    }
}

/// `Σ_k left_k² / n_left + Σ_k right_k² / n_right`; counts and their squares are whole numbers, and exact.
fn cut_by_gini(classes: &[usize], class_count: usize, rows: &[u32], mut each: impl FnMut(usize, f64)) {
    let (mut left, mut right) = (vec![0.0; class_count], vec![0.0; class_count]);
    rows.iter().for_each(|row| right[classes[*row as usize]] += 1.0);
    let mut squares_left = 0.0;
    let mut squares_right: f64 = right.iter().map(|n| n * n).sum();
    for (at, row) in rows.iter().enumerate().take(rows.len().saturating_sub(1)) {
        let class = classes[*row as usize];
        squares_left += 2.0 * left[class] + 1.0;
        squares_right -= 2.0 * right[class] - 1.0;
        left[class] += 1.0;
        right[class] -= 1.0;
        each(at + 1, squares_left / (at + 1) as f64 + squares_right / (rows.len() - at - 1) as f64);
    }
}

/// The disorder of both sides, turned around.
fn cut_by_entropy(classes: &[usize], class_count: usize, rows: &[u32], mut each: impl FnMut(usize, f64)) {
    let (mut left, mut right) = (vec![0.0; class_count], vec![0.0; class_count]);
    rows.iter().for_each(|row| right[classes[*row as usize]] += 1.0);
    for (at, row) in rows.iter().enumerate().take(rows.len().saturating_sub(1)) {
        let class = classes[*row as usize];
        left[class] += 1.0;
        right[class] -= 1.0;
        let (below, above) = ((at + 1) as f64, (rows.len() - at - 1) as f64);
        each(at + 1, -(disorder(&left, below) + disorder(&right, above)));
    }
}

/// `-Σ_k n_k log₂ (n_k / n)`.
fn disorder(counts: &[f64], whole: f64) -> f64 {
    counts.iter().filter(|count| **count > 0.0).map(|count| -count * libm::log2(count / whole)).sum()
}
