//! A binary with a model of its own and the whole command line: Poisson regression, for counts.
//!
//! ```text
//! cargo run --example poisson -- train examples/jobs/diabetes_poisson.toml --out run
//! cargo run --example poisson -- predict run examples/data/diabetes.csv
//! ```

use odeon::prelude::*;
use odeon::trainable::{add_linear, exp, linear, log};

/// Each target is a count with mean `exp(m)`, where `m` is an intercept and a weight for each column:
/// McCullagh, Nelder, *Generalized Linear Models*, 2nd ed., chapter 6.
struct Poisson;

impl Trainable for Poisson {
    const HAS_CURVATURE: bool = true;

    /// The best prediction that is the same for all rows.
    fn start(parameter_count: usize, target_mean: f64) -> Vec<f64> {
        let mut start = vec![0.0; parameter_count];
        start[0] = log(target_mean);
        start
    }

    fn check_target(target: f64) -> Result<(), String> {
        if target >= 0.0 { Ok(()) } else { Err("a count is not below 0".to_owned()) }
    }

    /// `exp(m) - y m`, the negative logarithm of the likelihood without what does not depend on `m`.
    fn objective(rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let mut cost = 0.0;
        for (row, count) in rows.iter() {
            let margin = linear(row, parameters);
            cost += exp(margin) - count * margin;
            add_linear(exp(margin) - count, row, gradient);
        }
        cost
    }

    fn curvature(rows: LabelledRows<'_>, parameters: &[f64], curvature: &mut SecondDerivatives<'_>) {
        for (row, _) in rows.iter() {
            curvature.add_linear(exp(linear(row, parameters)), row);
        }
    }

    fn predict(row: &[f64], parameters: &[f64]) -> f64 {
        exp(linear(row, parameters))
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().model::<Poisson>("poisson").run()
}
