//! The variables of several outputs over the same columns, one after the other: an output is the margin of a class,
//! or the one prediction of a model without classes.
//!
//! What one output's variables are is told in `conditioning`.

use serde::{Deserialize, Serialize};

use super::{
    conditioning::Conditioning,
    symmetric::{Symmetric, triangle_len},
};

/// The change of variables of each output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outputs(Vec<Conditioning>);

impl Outputs {
    /// These outputs, whose scalings are the same.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(outputs: Vec<Conditioning>) -> Self {
        assert!(!outputs.is_empty(), "a model has an output");
        Self(outputs)
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> &Conditioning {
        &self.0[0]
    }

    /// Each of them.
    pub fn each(&self) -> impl Iterator<Item = &Conditioning> {
        self.0.iter()
    }

    /// Variables of all outputs.
    #[must_use]
    pub fn variable_count(&self) -> usize {
        self.0.len() * self.of_one()
    }

    /// Where the solver starts.
    #[must_use]
    pub fn start(&self) -> Vec<f64> {
        self.0.iter().flat_map(Conditioning::start).collect()
    }

    /// See [`Conditioning::absolute_penalty`].
    #[must_use]
    pub fn absolute_penalty(&self, l1: f64) -> Vec<f64> {
        self.0.iter().flat_map(|output| output.absolute_penalty(l1)).collect()
    }

    /// See [`Conditioning::gradient_norm_max`]; the least of all outputs.
    #[must_use]
    pub fn gradient_norm_max(&self, tolerance: f64) -> f64 {
        self.0.iter().map(|output| output.gradient_norm_max(tolerance)).fold(f64::INFINITY, f64::min)
    }

    /// For each output the intercept at the mean row, and the raw weights.
    #[must_use]
    pub fn parameters(&self, point: &[f64]) -> Vec<(f64, Vec<f64>)> {
        self.parts(point).map(|(output, point)| output.parameters(point)).collect()
    }

    /// Value and gradient at `point`, from the reduced sums: that of the costs, then those of each output.
    #[must_use]
    pub fn objective(&self, point: &[f64], sums: &[f64]) -> (f64, Vec<f64>) {
        let (mut value, mut gradient, mut cost) = (0.0, Vec::with_capacity(point.len()), sums[0]);
        for ((output, point), slopes) in self.parts(point).zip(sums[1..].chunks_exact(self.of_one())) {
            let of_output: Vec<f64> = std::iter::once(cost).chain(slopes.iter().copied()).collect();
            let (part, slopes) = output.objective(point, &of_output);
            value += part;
            gradient.extend(slopes);
            // The costs of all outputs came as one sum.
            cost = 0.0;
        }
        (value, gradient)
    }

    /// Second derivatives, from the reduced upper triangle over all variables.
    ///
    /// # Panics
    /// If the triangle is not that of these outputs.
    #[must_use]
    pub fn curvature(&self, triangle: &[f64]) -> Symmetric {
        let (order, of_one) = (self.variable_count(), self.of_one());
        assert_eq!(triangle.len(), triangle_len(order), "the pass was checked");
        let positions = (0..order).flat_map(|row| (row..order).map(move |column| (row, column)));
        let scaled = positions.zip(triangle).map(|((row, column), sum)| {
            let [row_output, column_output] = [row, column].map(|variable| &self.0[variable / of_one]);
            let [row_variable, column_variable] = [row, column].map(|variable| variable % of_one);
            match row / of_one == column / of_one {
                true => row_output.curvature_at(row_variable, column_variable, *sum),
                false => row_output.mixed_curvature_at(row_variable, column_output, column_variable, *sum),
            }
        });
        Symmetric::from_upper(order, scaled.collect())
    }

    /// Variables of one output.
    fn of_one(&self) -> usize {
        self.first().variable_count()
    }

    fn parts<'a>(&'a self, point: &'a [f64]) -> impl Iterator<Item = (&'a Conditioning, &'a [f64])> {
        self.0.iter().zip(point.chunks_exact(self.of_one()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::kernel::{BlockView, ClassLoss, ClassPredictor, class_curvature, class_gradient};
    use crate::optimiser::conditioning::TargetMoments;
    use crate::scaling::ColumnScaling;

    fn outputs(loss: ClassLoss) -> Outputs {
        let of_share = |share: f64| {
            let scaling = ColumnScaling { mean: vec![2.0, 40.0], scale: vec![1.5_f64.sqrt(), 107.0] };
            let target = TargetMoments { mean: share, variance: share * (1.0 - share) };
            let it = Conditioning::new(scaling, target, loss.of_one_class(), 0.3, false, 4);
            it.with_penalised_intercept(0.7, false)
        };
        Outputs::new([0.25, 0.25, 0.5].map(of_share).to_vec())
    }

    fn sums(outputs: &Outputs, loss: ClassLoss, point: &[f64]) -> Vec<f64> {
        let (x, y) = (array![[1.0, 200.0], [2.0, -100.0], [4.0, 50.0], [1.0, 10.0]], array![2.0, 0.0, 1.0, 2.0]);
        let (intercepts, weights): (Vec<f64>, Vec<Vec<f64>>) = outputs.parameters(point).into_iter().unzip();
        let predictor = ClassPredictor { mean: &[2.0, 40.0], weights: &weights.concat(), intercepts: &intercepts };
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let full = class_curvature(block, loss, predictor).unwrap();
        assert_eq!(full[..10], class_gradient(block, loss, predictor).unwrap());
        full
    }

    #[test]
    fn gradient_and_curvature_are_those_of_finite_differences() {
        for loss in [ClassLoss::Softmax, ClassLoss::OneVsRestSquaredHinge] {
            let outputs = outputs(loss);
            let at = [0.4, -0.8, 1.3, 0.1, 0.2, -0.9, -0.7, 0.5, 0.3];
            let objective = |point: &[f64]| outputs.objective(point, &sums(&outputs, loss, point)[..10]);
            let (gradient, curvature) = (objective(&at).1, outputs.curvature(&sums(&outputs, loss, &at)[10..]));
            for i in 0..outputs.variable_count() {
                let moved = |by: f64| {
                    let mut point = at;
                    point[i] += by;
                    objective(&point)
                };
                let (up, down) = (moved(1e-6), moved(-1e-6));
                assert!(((up.0 - down.0) / 2e-6 - gradient[i]).abs() < 1e-7, "{loss:?} {i}");
                for j in 0..9 {
                    assert!(((up.1[j] - down.1[j]) / 2e-6 - curvature.at(i, j)).abs() < 1e-7, "{loss:?} {i} {j}");
                }
            }
        }
    }
}
