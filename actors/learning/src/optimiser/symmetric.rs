//! Small dense symmetric matrices, and linear systems with them.
//!
//! Meant for a few hundred variables on one host: what many rows add up to, never the rows.

use serde::{Deserialize, Serialize};

/// A pivot below this part of its diagonal element is held to be what rounding left of 0.
const PIVOT_MIN: f64 = 1e-13;
/// What is added to the diagonal, as part of it, when a pivot is too small.
const SHIFT: f64 = 1e-9;
/// The same in a stiff system, whose small pivots are no rounding.
const STIFF_SHIFT: f64 = 1e-14;

/// A symmetric matrix, by its upper triangle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Symmetric {
    order: usize,
    /// Row by row, each from the diagonal on.
    upper: Vec<f64>,
}

/// The lower triangle `L` of `A = L·Lᵀ`, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cholesky {
    rows: Vec<Vec<f64>>,
}

/// Elements of the upper triangle of a matrix of this order.
#[must_use]
pub fn triangle_len(order: usize) -> usize {
    order * (order + 1) / 2
}

impl Symmetric {
    /// The matrix whose upper triangle is given row by row, each row from the diagonal on.
    ///
    /// # Panics
    /// If there are not [`triangle_len`] elements.
    #[must_use]
    pub fn from_upper(order: usize, upper: Vec<f64>) -> Self {
        assert_eq!(upper.len(), triangle_len(order), "a triangle has n(n+1)/2 elements");
        Self { order, upper }
    }

    /// Rows, and columns.
    #[must_use]
    pub fn order(&self) -> usize {
        self.order
    }

    /// The element of a row and a column, in either order.
    #[must_use]
    pub fn at(&self, row: usize, column: usize) -> f64 {
        let (row, column) = (row.min(column), row.max(column));
        self.upper[row * (2 * self.order - row + 1) / 2 + column - row]
    }

    /// The same, scaled from both sides so that its diagonal is 1; a variable without curvature stands alone.
    #[must_use]
    pub fn with_unit_diagonal(&self) -> Self {
        let scale = |i: usize| match self.at(i, i) {
            diagonal if diagonal > PIVOT_MIN => 1.0 / diagonal.sqrt(),
            _ => 0.0,
        };
        let scales: Vec<f64> = (0..self.order).map(scale).collect();
        let scaled = |i: usize, j: usize| if i == j { 1.0 } else { self.at(i, j) * scales[i] * scales[j] };
        let upper = (0..self.order).flat_map(|i| (i..self.order).map(move |j| (i, j))).map(|(i, j)| scaled(i, j));
        Self { order: self.order, upper: upper.collect() }
    }

    /// The rows and columns of these variables.
    #[must_use]
    pub fn restricted(&self, variables: &[usize]) -> Self {
        let rows = variables.iter().enumerate();
        let upper = rows.flat_map(|(i, row)| variables[i..].iter().map(|column| self.at(*row, *column)));
        Self { order: variables.len(), upper: upper.collect() }
    }

    /// The factor of this matrix, which is positive semidefinite up to rounding.
    ///
    /// If rounding hides a pivot, a small part of the diagonal is added first: a solution is then
    /// that of a nearby definite system, of which a few repetitions with fresh residuals converge to the
    /// solution of least norm.
    #[must_use]
    pub fn cholesky(&self) -> Cholesky {
        let mut shift = 0.0;
        loop {
            match self.try_cholesky(shift) {
                Some(factor) => return factor,
                None => shift = if shift == 0.0 { SHIFT } else { 100.0 * shift },
            }
        }
    }

    /// The `x` of `A x = b` of a matrix whose elements are of very different sizes, as those of interior-point methods are.
    ///
    /// It is scaled to a diagonal of 1, and every pivot above 0 is taken; only where rounding leaves none is a part of the
    /// diagonal added, the resolution of a number at first.
    ///
    /// # Panics
    /// If `b` is not of the order of the matrix.
    ///
    /// # Source
    /// Wright, *Stability of linear equations solvers in interior-point methods*, SIAM J. Matrix Anal. Appl. 16(4), 1995.
    #[must_use]
    pub fn stiff_solve(&self, b: &[f64]) -> Vec<f64> {
        let scale = |i: usize| match self.at(i, i) {
            diagonal if diagonal > 0.0 => 1.0 / diagonal.sqrt(),
            _ => 1.0,
        };
        let scales: Vec<f64> = (0..self.order).map(scale).collect();
        let pairs = (0..self.order).flat_map(|i| (i..self.order).map(move |j| (i, j)));
        let upper = pairs.map(|(i, j)| self.at(i, j) * scales[i] * scales[j]).collect();
        let scaled = Self { order: self.order, upper };
        let mut shift = 0.0;
        let factor = loop {
            match scaled.factor(shift, 0.0) {
                Some(factor) => break factor,
                None => shift = if shift == 0.0 { STIFF_SHIFT } else { 100.0 * shift },
            }
        };
        let right: Vec<f64> = b.iter().zip(&scales).map(|(b, scale)| b * scale).collect();
        factor.solve(&right).iter().zip(&scales).map(|(x, scale)| x * scale).collect()
    }

    fn try_cholesky(&self, shift: f64) -> Option<Cholesky> {
        self.factor(shift, PIVOT_MIN)
    }

    /// The factor with so much added to the diagonal, if no pivot is below this part of its diagonal element.
    fn factor(&self, shift: f64, pivot_min: f64) -> Option<Cholesky> {
        // A variable without any curvature gets that of the largest.
        let largest = (0..self.order).fold(0.0, |largest: f64, i| largest.max(self.at(i, i)));
        let unit = if largest > 0.0 { largest } else { 1.0 };
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(self.order);
        for i in 0..self.order {
            let mut row = Vec::with_capacity(i + 1);
            for (j, other) in rows.iter().enumerate() {
                let sum: f64 = row.iter().zip(other).map(|(a, b): (&f64, &f64)| a * b).sum();
                row.push((self.at(i, j) - sum) / other[j]);
            }
            let diagonal = self.at(i, i) + shift * unit;
            let pivot = diagonal - row.iter().map(|a| a * a).sum::<f64>();
            // With a shift beyond all elements every pivot is large, so the loop of the caller ends.
            if pivot <= pivot_min * diagonal.max(shift * unit) || pivot <= 0.0 {
                return None;
            }
            row.push(pivot.sqrt());
            rows.push(row);
        }
        Some(Cholesky { rows })
    }
}

impl Cholesky {
    /// The `x` of `A x = b`.
    ///
    /// # Panics
    /// If `b` is not of the order of the matrix.
    ///
    /// # Source
    /// Golub, Van Loan, *Matrix Computations*, 4th ed., sections 3.1 and 4.2.
    #[must_use]
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        assert_eq!(b.len(), self.rows.len(), "the right side has the order of the matrix");
        let mut x = b.to_vec();
        for (i, row) in self.rows.iter().enumerate() {
            let sum: f64 = row[..i].iter().zip(&x).map(|(a, b)| a * b).sum();
            x[i] = (x[i] - sum) / row[i];
        }
        for (i, row) in self.rows.iter().enumerate().rev() {
            x[i] /= row[i];
            let known = x[i];
            row[..i].iter().zip(&mut x).for_each(|(a, b)| *b -= a * known);
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_by_hand() {
        // [4 2 0; 2 5 2; 0 2 5] x = [8 18 19] has x = [1 2 3].
        let matrix = Symmetric::from_upper(3, vec![4.0, 2.0, 0.0, 5.0, 2.0, 5.0]);
        assert_eq!((matrix.at(2, 1), matrix.at(1, 2), matrix.at(2, 2)), (2.0, 2.0, 5.0));
        let x = matrix.cholesky().solve(&[8.0, 18.0, 19.0]);
        assert!(x.iter().zip([1.0, 2.0, 3.0]).all(|(a, b)| (a - b).abs() < 1e-14), "{x:?}");
    }

    #[test]
    fn a_stiff_system_keeps_what_its_small_elements_say() {
        // 1e10 (x0 + x1)² + x0² + 2 x1², by rows: the sum is 0 but for 1e-10, the difference is not.
        let matrix = Symmetric::from_upper(2, vec![1e10 + 1.0, 1e10, 1e10 + 2.0]);
        let x = matrix.stiff_solve(&[1.0, -1.0]);
        assert!((x[0] - 2.0 / 3.0).abs() < 1e-5 && (x[1] + 2.0 / 3.0).abs() < 1e-5, "{x:?}");
        // Without any curvature along a direction there is a solution all the same.
        let singular = Symmetric::from_upper(2, vec![1.0, 1.0, 1.0]).stiff_solve(&[1.0, 1.0]);
        assert!((singular[0] + singular[1] - 1.0).abs() < 1e-9, "{singular:?}");
        assert_eq!(Symmetric::from_upper(1, vec![0.0]).stiff_solve(&[0.0]), [0.0]);
    }

    #[test]
    fn some_variables_have_their_own_matrix() {
        let matrix = Symmetric::from_upper(3, vec![4.0, 2.0, 1.0, 5.0, 3.0, 6.0]);
        assert_eq!(matrix.restricted(&[0, 2]), Symmetric::from_upper(2, vec![4.0, 1.0, 6.0]));
    }

    #[test]
    fn repetition_solves_a_singular_system_with_the_least_norm() {
        // The second column is the first: x0 + x1 = 3, of least norm (1.5, 1.5).
        let matrix = Symmetric::from_upper(2, vec![1.0, 1.0, 1.0]);
        let factor = matrix.cholesky();
        let mut x = [0.0, 0.0];
        for _ in 0..3 {
            let residual = 3.0 - (x[0] + x[1]);
            factor.solve(&[residual, residual]).iter().zip(&mut x).for_each(|(step, x)| *x += step);
        }
        assert!((x[0] - 1.5).abs() < 1e-7 && (x[0] + x[1] - 3.0).abs() < 1e-15, "{x:?}");
    }

    #[test]
    fn nothing_but_zeros_has_a_factor() {
        let matrix = Symmetric::from_upper(2, vec![0.0; 3]);
        assert!(matrix.cholesky().solve(&[0.0, 0.0]).iter().all(|x| *x == 0.0));
    }
}
