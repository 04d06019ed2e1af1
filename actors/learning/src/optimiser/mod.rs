//! Minimising a smooth convex function that someone else evaluates.

pub mod conditioning;
pub mod lbfgs;
mod line_search;
