//! Kernel functions of two rows. Their bits do not depend on the host.

use serde::{Deserialize, Serialize};

/// Kinds of kernels, in scikit-learn's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SvmKernel {
    /// `exp(-gamma |a - b|²)`.
    #[default]
    Rbf,
    /// `a·b`.
    Linear,
    /// `(gamma a·b + coef0)^degree`.
    Poly,
    /// `tanh(gamma a·b + coef0)`.
    Sigmoid,
}

/// A kernel with its constants; what its kind does not need is there all the same. In alphabetical order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KernelFunction {
    /// Constant of a polynomial or a sigmoid.
    pub coef0: f64,
    /// Of a polynomial.
    pub degree: u32,
    /// How steep it is.
    pub gamma: f64,
    /// Which.
    pub kind: SvmKernel,
}

impl KernelFunction {
    /// Of two rows of the same length.
    #[must_use]
    pub fn value(&self, a: &[f64], b: &[f64]) -> f64 {
        match self.kind {
            SvmKernel::Rbf => {
                let square = |(a, b): (&f64, &f64)| (a - b) * (a - b);
                libm::exp(-self.gamma * a.iter().zip(b).map(square).sum::<f64>())
            }
            SvmKernel::Linear => dot(a, b),
            SvmKernel::Poly => {
                let base = self.gamma * dot(a, b) + self.coef0;
                (0..self.degree).fold(1.0, |power, _| power * base)
            }
            SvmKernel::Sigmoid => libm::tanh(self.gamma * dot(a, b) + self.coef0),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kernel_is_computed_by_hand() {
        let value = |kind| KernelFunction { coef0: 1.0, degree: 3, gamma: 0.5, kind }.value(&[1.0, 2.0], &[3.0, 1.0]);
        assert_eq!(value(SvmKernel::Linear), 5.0);
        assert_eq!(value(SvmKernel::Poly), 3.5 * 3.5 * 3.5);
        assert!((value(SvmKernel::Rbf) - (-2.5_f64).exp()).abs() < 1e-16);
        assert!((value(SvmKernel::Sigmoid) - 3.5_f64.tanh()).abs() < 1e-16);
    }
}
