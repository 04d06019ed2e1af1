//! Absolute-value penalties `Σ l1_j |x_j|` on a smooth function, for all solvers that take them.

use super::lbfgs::Evaluated;

/// The function with its penalties at `point`, from value and gradient of the smooth part; the gradient is the
/// subgradient of least size, which is 0 at the minimum.
pub(crate) fn penalised(point: &[f64], value: f64, gradient: &[f64], l1: &[f64]) -> Evaluated {
    let penalty = |(x, l1): (&f64, &f64)| if *l1 == 0.0 { 0.0 } else { l1 * x.abs() };
    let value = value + point.iter().zip(l1).map(penalty).sum::<f64>();
    let terms = gradient.iter().zip(point).zip(l1);
    let gradient = terms.map(|((g, x), l1)| match () {
        () if *l1 == 0.0 => *g,
        () if *x == 0.0 => (g.abs() - l1).max(0.0).copysign(*g),
        () => g + l1.copysign(*x),
    });
    Evaluated { gradient: gradient.collect(), point: point.to_vec(), value }
}

/// `value` moved towards 0 by `by`, and no further.
pub(crate) fn soft_threshold(value: f64, by: f64) -> f64 {
    (value.abs() - by).max(0.0).copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_are_added_and_the_least_subgradient_taken() {
        // Beyond 0 the slope of the penalty is added; at 0 it takes off what it can; without one nothing changes.
        let here =
            penalised(&[2.0, -1.0, 0.0, 0.0, 3.0], 1.0, &[0.5, 0.5, -3.0, 0.25, 7.0], &[1.0, 1.0, 2.0, 2.0, 0.0]);
        assert_eq!((here.value, here.gradient), (4.0, vec![1.5, -0.5, -1.0, 0.0, 7.0]));
    }

    #[test]
    fn a_value_never_crosses_zero() {
        assert_eq!([3.0, -3.0, 0.5, -0.5].map(|value| soft_threshold(value, 1.0)), [2.0, -2.0, 0.0, 0.0]);
    }
}
