//! Minimising a convex function that someone else evaluates.

pub mod accelerated;
pub mod conditioning;
pub mod given;
pub mod interior_point;
pub mod lbfgs;
mod line_search;
pub mod newton;
pub mod outputs;
mod penalised_quadratic;
pub(crate) mod penalty;
pub mod solver;
pub mod symmetric;
