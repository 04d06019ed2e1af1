//! Which solver a job runs, why, and one face for all of them.

use serde::{Deserialize, Serialize};

use super::{
    accelerated::{Accelerated, AcceleratedOptions},
    given::{Given, GivenOptions},
    lbfgs::{Evaluated, Lbfgs, LbfgsOptions, Verdict},
    newton::{Newton, NewtonOptions},
    symmetric::Symmetric,
};

/// Most variables for which a solver with the full curvature is the default: its matrix then stays
/// below 70 kB a partial, and a round costs less than the ones it saves.
pub const NEWTON_VARIABLES_DEFAULT_MAX: usize = 128;
/// Most products of rows and squared variables for which Newton's method is the default where second derivatives change:
/// beyond, reading the rows for them again and again takes longer than rounds without them.
pub const NEWTON_PRODUCTS_DEFAULT_MAX: u64 = 1 << 30;
/// Most variables for which the full curvature can be asked for: a partial then fits a frame of the fabric.
pub const NEWTON_VARIABLES_MAX: usize = 1200;

/// The solver that a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SolverSetting {
    /// The best for the model and its size.
    #[default]
    Auto,
    /// Limited-memory BFGS: one gradient a round.
    Lbfgs,
    /// Limited-memory BFGS from a matrix of second derivatives: one gradient a round, a matrix at first and now and then.
    QuasiNewton,
    /// Newton: one gradient and one matrix of second derivatives a round.
    Newton,
    /// Nesterov's accelerated gradient: one gradient a round.
    Nesterov,
    /// Interior-point method: one matrix of second derivatives a round; for the hinge loss, and no other.
    InteriorPoint,
}

/// A solver by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SolverKind {
    /// See [`Lbfgs`].
    Lbfgs,
    /// See [`LbfgsOptions::curvature`].
    QuasiNewton,
    /// See [`Newton`].
    Newton,
    /// See [`Accelerated`].
    Nesterov,
    /// See [`super::interior_point::InteriorPoint`].
    InteriorPoint,
    /// See [`Given`].
    Descent,
}

/// What the choice of a solver depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemSize {
    /// Weights and intercepts.
    pub variables: usize,
    /// Training rows.
    pub rows: usize,
    /// Whether there are absolute-value penalties.
    pub l1: bool,
    /// Whether there is one output whose second derivatives change from point to point.
    pub is_curved: bool,
    /// Whether it is the hinge loss, which has corners.
    pub has_corners: bool,
}

/// A solver that was chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SolverChoice {
    /// Which.
    pub kind: SolverKind,
    /// A sentence for people.
    pub reason: String,
}

/// Why no solver can do what a job asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SolverError {
    /// The matrix of second derivatives would be too large.
    #[error(
        "second derivatives are taken of at most {NEWTON_VARIABLES_MAX} variables, the model has {0}: set train.solver to \"lbfgs\", and no hinge"
    )]
    TooManyVariables(usize),
    /// L-BFGS needs a smooth objective.
    #[error(
        "L-BFGS, plain or \"quasi_newton\", cannot minimise model.l1, which is not smooth: set train.solver to \"newton\" or \"nesterov\""
    )]
    NotSmooth,
    /// The hinge is minimised by one solver only.
    #[error("the hinge loss has corners: leave train.solver out, or set it to \"interior_point\"")]
    Corners,
    /// The interior-point method is for the hinge.
    #[error("\"interior_point\" is for model.loss = \"hinge\": leave train.solver out")]
    NoCorners,
}

impl SolverChoice {
    /// The solver for a problem of this size.
    ///
    /// # Errors
    /// [`SolverError`] if what is asked for cannot be.
    pub fn new(asked: SolverSetting, size: ProblemSize) -> Result<Self, SolverError> {
        let ProblemSize { variables, rows, l1, is_curved, has_corners } = size;
        if has_corners {
            return Self::for_corners(asked, variables);
        }
        let products = (rows as u64).saturating_mul((variables as u64).saturating_pow(2));
        let (kind, reason) = match asked {
            SolverSetting::InteriorPoint => return Err(SolverError::NoCorners),
            SolverSetting::Lbfgs | SolverSetting::QuasiNewton if l1 => return Err(SolverError::NotSmooth),
            SolverSetting::Newton | SolverSetting::QuasiNewton if variables > NEWTON_VARIABLES_MAX => {
                return Err(SolverError::TooManyVariables(variables));
            }
            SolverSetting::Lbfgs => (SolverKind::Lbfgs, "the job asks for it".to_owned()),
            SolverSetting::QuasiNewton => (SolverKind::QuasiNewton, "the job asks for it".to_owned()),
            SolverSetting::Newton => (SolverKind::Newton, "the job asks for it".to_owned()),
            SolverSetting::Nesterov => (SolverKind::Nesterov, "the job asks for it".to_owned()),
            SolverSetting::Auto if l1 && variables > NEWTON_VARIABLES_MAX => {
                let many = format!("{variables} variables are more than {NEWTON_VARIABLES_MAX}");
                (SolverKind::Nesterov, format!("the penalty l1 is not smooth, and {many}"))
            }
            SolverSetting::Auto if l1 => (SolverKind::Newton, "the penalty l1 is not smooth".to_owned()),
            SolverSetting::Auto
                if variables <= NEWTON_VARIABLES_DEFAULT_MAX && is_curved && products > NEWTON_PRODUCTS_DEFAULT_MAX =>
            {
                let many = format!("{rows} rows of {variables} variables are many");
                (SolverKind::QuasiNewton, format!("{many}: second derivatives of a sample, then cheap readings"))
            }
            SolverSetting::Auto if variables <= NEWTON_VARIABLES_DEFAULT_MAX => {
                (SolverKind::Newton, format!("{variables} variables are few: fewest readings of the data"))
            }
            SolverSetting::Auto => {
                let many = format!("{variables} variables are more than {NEWTON_VARIABLES_DEFAULT_MAX}");
                (SolverKind::Lbfgs, format!("{many}: cheapest readings of the data"))
            }
        };
        Ok(Self { kind, reason })
    }

    fn for_corners(asked: SolverSetting, variables: usize) -> Result<Self, SolverError> {
        let reason = match asked {
            _ if variables > NEWTON_VARIABLES_MAX => return Err(SolverError::TooManyVariables(variables)),
            SolverSetting::Auto => "the hinge loss has corners",
            SolverSetting::InteriorPoint => "the job asks for it",
            _ => return Err(SolverError::Corners),
        };
        Ok(Self { kind: SolverKind::InteriorPoint, reason: reason.to_owned() })
    }
}

/// What all solvers are told at the start.
#[derive(Debug, Clone, PartialEq)]
pub struct SolverOptions {
    /// Converged once the largest component of the (sub)gradient is at most this.
    pub gradient_norm_max: f64,
    /// Most evaluations.
    pub rounds_max: u32,
    /// Correction pairs that L-BFGS keeps.
    pub history: usize,
    /// Penalty on the absolute value of each variable, shape of the point.
    pub l1: Vec<f64>,
    /// Whether the curvature is the same everywhere.
    pub constant_curvature: bool,
}

/// Any of the solvers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Solver {
    /// See [`Lbfgs`].
    Lbfgs(Lbfgs),
    /// See [`Newton`].
    Newton(Newton),
    /// See [`Accelerated`].
    Nesterov(Accelerated),
    /// See [`Given`].
    Given(Given),
}

impl Solver {
    /// A solver of this kind that first asks for `start`.
    #[must_use]
    pub fn new(kind: SolverKind, start: Vec<f64>, options: SolverOptions) -> Self {
        let SolverOptions { gradient_norm_max, rounds_max, history, l1, constant_curvature } = options;
        match kind {
            SolverKind::Lbfgs | SolverKind::QuasiNewton => {
                let curvature = kind == SolverKind::QuasiNewton;
                Self::Lbfgs(Lbfgs::new(start, LbfgsOptions { gradient_norm_max, rounds_max, history, curvature }))
            }
            SolverKind::InteriorPoint => unreachable!("the hinge is minimised in a phase of its own"),
            SolverKind::Newton => Self::Newton(Newton::new(
                start,
                NewtonOptions { gradient_norm_max, rounds_max, l1, constant_curvature },
            )),
            SolverKind::Nesterov => {
                Self::Nesterov(Accelerated::new(start, AcceleratedOptions { gradient_norm_max, rounds_max, l1 }))
            }
            SolverKind::Descent => Self::Given(Given::new(start, GivenOptions { gradient_norm_max, rounds_max, l1 })),
        }
    }

    /// The point to evaluate next.
    #[must_use]
    pub fn point(&self) -> &[f64] {
        match self {
            Self::Lbfgs(solver) => solver.point(),
            Self::Newton(solver) => solver.point(),
            Self::Nesterov(solver) => solver.point(),
            Self::Given(solver) => solver.point(),
        }
    }

    /// Whether [`Self::tell`] needs the curvature at this point.
    #[must_use]
    pub fn wants_curvature(&self) -> bool {
        match self {
            Self::Nesterov(_) | Self::Given(_) => false,
            Self::Lbfgs(solver) => solver.wants_curvature(),
            Self::Newton(solver) => solver.wants_curvature(),
        }
    }

    /// Whether the curvature may be that of a sample of the rows.
    #[must_use]
    pub fn takes_sample(&self) -> bool {
        match self {
            Self::Nesterov(_) | Self::Given(_) | Self::Newton(_) => false,
            Self::Lbfgs(solver) => solver.takes_sample(),
        }
    }

    /// Evaluations so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        match self {
            Self::Lbfgs(solver) => solver.rounds(),
            Self::Newton(solver) => solver.rounds(),
            Self::Nesterov(solver) => solver.rounds(),
            Self::Given(solver) => solver.rounds(),
        }
    }

    /// The point of the last verdict, its value and (sub)gradient with all penalties.
    #[must_use]
    pub fn solution(&self) -> Option<&Evaluated> {
        match self {
            Self::Lbfgs(solver) => solver.solution(),
            Self::Newton(solver) => solver.solution(),
            Self::Nesterov(solver) => solver.solution(),
            Self::Given(solver) => solver.solution(),
        }
    }

    /// The point to evaluate with this value and gradient of the smooth part, its penalties added.
    #[must_use]
    pub fn penalised(&self, value: f64, gradient: &[f64]) -> Evaluated {
        match self {
            Self::Lbfgs(solver) => Evaluated { point: solver.point().to_vec(), value, gradient: gradient.to_vec() },
            Self::Newton(solver) => solver.penalised(value, gradient),
            Self::Nesterov(solver) => solver.penalised(value, gradient),
            Self::Given(solver) => solver.penalised(value, gradient),
        }
    }

    /// Takes the smooth part of the objective, as [`Newton::tell`] and [`Lbfgs::tell`] do.
    pub fn tell(&mut self, value: f64, gradient: Vec<f64>, curvature: Option<Symmetric>) -> Verdict {
        match self {
            Self::Lbfgs(solver) => solver.tell(value, gradient, curvature),
            Self::Newton(solver) => solver.tell(value, &gradient, curvature),
            Self::Nesterov(solver) => solver.tell(value, gradient),
            Self::Given(solver) => solver.tell(value, &gradient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_follows_size_and_penalty_and_says_why() {
        let size = |variables, l1| ProblemSize { variables, rows: 1000, l1, is_curved: true, has_corners: false };
        let kind = |asked, variables, l1| SolverChoice::new(asked, size(variables, l1)).map(|choice| choice.kind);
        assert_eq!(kind(SolverSetting::Auto, 128, false), Ok(SolverKind::Newton));
        assert_eq!(kind(SolverSetting::Auto, 129, false), Ok(SolverKind::Lbfgs));
        assert_eq!(kind(SolverSetting::Auto, 129, true), Ok(SolverKind::Newton));
        assert_eq!(kind(SolverSetting::Lbfgs, 3, false), Ok(SolverKind::Lbfgs));
        assert_eq!(kind(SolverSetting::Lbfgs, 3, true), Err(SolverError::NotSmooth));
        assert_eq!(kind(SolverSetting::Newton, 1201, false), Err(SolverError::TooManyVariables(1201)));
        assert_eq!(kind(SolverSetting::Auto, 1201, true), Ok(SolverKind::Nesterov));
        assert_eq!(kind(SolverSetting::Nesterov, 3, false), Ok(SolverKind::Nesterov));
        assert_eq!(kind(SolverSetting::QuasiNewton, 3, false), Ok(SolverKind::QuasiNewton));
        assert_eq!(kind(SolverSetting::QuasiNewton, 3, true), Err(SolverError::NotSmooth));
        assert_eq!(kind(SolverSetting::QuasiNewton, 1201, false), Err(SolverError::TooManyVariables(1201)));
        let reason = SolverChoice::new(SolverSetting::Auto, size(500, false)).unwrap().reason;
        assert_eq!(reason, "500 variables are more than 128: cheapest readings of the data");
    }

    #[test]
    fn the_hinge_has_a_solver_of_its_own() {
        let size = ProblemSize { variables: 31, rows: 1000, l1: false, is_curved: true, has_corners: true };
        let kind = |asked, size| SolverChoice::new(asked, size).map(|choice| choice.kind);
        assert_eq!(kind(SolverSetting::Auto, size), Ok(SolverKind::InteriorPoint));
        assert_eq!(kind(SolverSetting::InteriorPoint, size), Ok(SolverKind::InteriorPoint));
        assert_eq!(kind(SolverSetting::Newton, size), Err(SolverError::Corners));
        let smooth = ProblemSize { has_corners: false, ..size };
        assert_eq!(kind(SolverSetting::InteriorPoint, smooth), Err(SolverError::NoCorners));
        let many = ProblemSize { variables: 1201, ..size };
        assert_eq!(kind(SolverSetting::Auto, many), Err(SolverError::TooManyVariables(1201)));
    }

    #[test]
    fn many_rows_are_read_for_second_derivatives_once_only() {
        let many = ProblemSize { variables: 64, rows: (1 << 18) + 1, l1: false, is_curved: true, has_corners: false };
        let kind = |size| SolverChoice::new(SolverSetting::Auto, size).unwrap().kind;
        assert_eq!(kind(many), SolverKind::QuasiNewton);
        assert_eq!(kind(ProblemSize { rows: 1 << 18, ..many }), SolverKind::Newton);
        assert_eq!(kind(ProblemSize { is_curved: false, ..many }), SolverKind::Newton);
        assert_eq!(kind(ProblemSize { l1: true, ..many }), SolverKind::Newton);
    }
}
