//! The solver of a training without rounds: points are given to it, and it judges them.
//!
//! What leads to them is a descent, which is told apart in `combine`; here is only when that is over.

use serde::{Deserialize, Serialize};

use super::{
    lbfgs::{Evaluated, StopReason, Verdict},
    penalty,
};

/// When to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GivenOptions {
    /// Converged once the largest component of the (sub)gradient is at most this.
    pub gradient_norm_max: f64,
    /// Most rounds, in which points are given; each counts as often as all rows were read for it.
    pub rounds_max: u32,
    /// Penalty on the absolute value of each variable, shape of the point; 0 for none.
    pub l1: Vec<f64>,
}

/// The solver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Given {
    options: GivenOptions,
    trial: Vec<f64>,
    /// Whether the trial is to be judged; if not, another is to be given.
    is_given: bool,
    /// Why no better point will come, if that is so.
    last: Option<StopReason>,
    judged: Option<Evaluated>,
    rounds: u32,
    verdict: Verdict,
}

impl Given {
    /// A solver that waits for a point; descents start from `start`.
    #[must_use]
    pub fn new(start: Vec<f64>, options: GivenOptions) -> Self {
        assert_eq!(options.l1.len(), start.len(), "a penalty for each variable");
        let (judged, last) = (None, None);
        Self { options, trial: start, is_given: false, last, judged, rounds: 0, verdict: Verdict::Evaluate }
    }

    /// The point to judge, or to start from.
    #[must_use]
    pub fn point(&self) -> &[f64] {
        &self.trial
    }

    /// Whether a point is to be given.
    #[must_use]
    pub fn wants_point(&self) -> bool {
        !self.is_given && self.verdict == Verdict::Evaluate
    }

    /// Gives a point, for which so many rounds were made.
    pub fn give(&mut self, point: Vec<f64>, rounds: u32) {
        self.trial = point;
        self.rounds += rounds;
    }

    /// The point given last is to be judged; no better one will come if there is a reason.
    pub fn judge(&mut self, last: Option<StopReason>) {
        (self.is_given, self.last) = (true, last);
    }

    /// Rounds so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Rounds that may still be made.
    #[must_use]
    pub fn rounds_left(&self) -> u32 {
        self.options.rounds_max.saturating_sub(self.rounds)
    }

    /// The largest component of the (sub)gradient that will do.
    #[must_use]
    pub fn gradient_norm_max(&self) -> f64 {
        self.options.gradient_norm_max
    }

    /// The point judged last, penalties included.
    #[must_use]
    pub fn solution(&self) -> Option<&Evaluated> {
        self.judged.as_ref()
    }

    /// The trial with its penalties, and the subgradient of least size.
    #[must_use]
    pub fn penalised(&self, value: f64, gradient: &[f64]) -> Evaluated {
        penalty::penalised(&self.trial, value, gradient, &self.options.l1)
    }

    /// Takes value and gradient, both finite and without penalties, at [`Self::point`].
    pub fn tell(&mut self, value: f64, gradient: &[f64]) -> Verdict {
        if self.verdict != Verdict::Evaluate {
            return self.verdict;
        }
        self.rounds += 1;
        let here = self.penalised(value, gradient);
        let converged = here.gradient_norm() <= self.options.gradient_norm_max;
        self.judged = Some(here);
        self.is_given = false;
        self.verdict = match self.last {
            _ if converged => Verdict::Converged,
            Some(reason) => Verdict::Stopped(reason),
            None if self.rounds >= self.options.rounds_max => Verdict::Stopped(StopReason::RoundsMax),
            None => Verdict::Evaluate,
        };
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given::new(vec![0.0], GivenOptions { gradient_norm_max: 1e-3, rounds_max: 10, l1: vec![0.0] })
    }

    #[test]
    fn a_point_is_judged_and_another_wanted_until_one_is_good() {
        let mut solver = given();
        assert!(solver.wants_point());
        solver.give(vec![2.0], 3);
        solver.judge(None);
        assert!(!solver.wants_point());
        assert_eq!(solver.tell(4.0, &[0.5]), Verdict::Evaluate);
        assert!(solver.wants_point());
        solver.give(vec![1.0], 2);
        solver.judge(None);
        assert_eq!((solver.tell(1.0, &[1e-4]), solver.rounds()), (Verdict::Converged, 7));
        assert_eq!(solver.solution().map(|here| here.point.clone()), Some(vec![1.0]));
    }

    #[test]
    fn it_stops_when_no_better_point_will_come_or_rounds_are_used_up() {
        let mut solver = given();
        solver.give(vec![2.0], 3);
        solver.judge(Some(StopReason::FloatingPointFloor));
        assert_eq!(solver.tell(4.0, &[0.5]), Verdict::Stopped(StopReason::FloatingPointFloor));
        let mut solver = given();
        solver.give(vec![2.0], 9);
        solver.judge(None);
        assert_eq!(solver.rounds_left(), 1);
        assert_eq!(solver.tell(4.0, &[0.5]), Verdict::Stopped(StopReason::RoundsMax));
    }
}
