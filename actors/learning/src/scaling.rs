//! Mean and standard deviation of columns, from their reduced sums.
//!
//! Two passes: means first, then squares around them, because `E[x²] - E[x]²` loses its digits.

use serde::{Deserialize, Serialize};

/// Mean and scale of every feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnScaling {
    /// Means, shape `[features]`, in the units of the data.
    pub mean: Vec<f64>,
    /// Population standard deviations, shape `[features]`; 1 for a constant column.
    pub scale: Vec<f64>,
}

impl ColumnScaling {
    /// The scaling of columns with these means and these sums of squares around them, over `row_count` rows.
    #[must_use]
    pub fn new(mean: Vec<f64>, centred_squares: &[f64], row_count: usize) -> Self {
        let scale =
            mean.iter().zip(centred_squares).map(|(mean, sum)| column_scale(*mean, *sum, row_count as f64)).collect();
        Self { mean, scale }
    }
}

/// The standard deviation of `n` numbers, or 1 if it is not above what rounding of the mean alone can cause.
pub(crate) fn column_scale(mean: f64, centred_squares: f64, n: f64) -> f64 {
    let variance = centred_squares / n;
    let rounding = n * f64::EPSILON * mean;
    if variance <= n * f64::EPSILON * variance + rounding * rounding { 1.0 } else { variance.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_population_deviation_divides_by_the_row_count() {
        let scaling = ColumnScaling::new(vec![2.0, 5.0], &[2.0, 36.0], 4);
        assert_eq!(scaling, ColumnScaling { mean: vec![2.0, 5.0], scale: vec![0.5_f64.sqrt(), 3.0] });
    }

    #[test]
    fn a_column_that_is_constant_up_to_rounding_keeps_its_unit() {
        let rounding = 120.0 * (0.1_f64 * f64::EPSILON).powi(2);
        assert_eq!(ColumnScaling::new(vec![0.0, 0.1], &[0.0, rounding], 120).scale, [1.0, 1.0]);
        assert_eq!(ColumnScaling::new(vec![0.0], &[4e-200], 1).scale, [2e-100]);
    }
}
