//! Makes a failing plan smaller, as long as the same invariant is violated: fewer faults, less work.

use crate::plan::Plan;
use crate::run::simulate;

/// Runs that the search for a smaller plan may take.
pub const SHRINK_RUNS_MAX: usize = 200;

/// The smallest plan that was found to violate the invariant that `plan` violates; `plan` if it violates none.
#[must_use]
pub fn shrink(plan: &Plan) -> Plan {
    let Some(violation) = simulate(plan).violation else { return plan.clone() };
    let mut search = Search { invariant: violation.invariant, best: plan.clone(), runs: 1 };
    search.drop_faults();
    search.drop_work();
    search.drop_faults();
    search.best
}

struct Search {
    invariant: &'static str,
    best: Plan,
    runs: usize,
}

impl Search {
    /// Takes a plan over if it fails the same way.
    fn try_plan(&mut self, plan: Plan) -> bool {
        if self.runs >= SHRINK_RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let fails = simulate(&plan).violation.is_some_and(|violation| violation.invariant == self.invariant);
        if fails {
            self.best = plan;
        }
        fails
    }

    /// First large parts of the list, then ever smaller ones, down to single faults.
    fn drop_faults(&mut self) {
        let mut part = self.best.faults.len().div_ceil(2);
        while part > 0 {
            let mut begin = 0;
            while begin < self.best.faults.len() {
                let mut plan = self.best.clone();
                plan.faults.drain(begin..(begin + part).min(plan.faults.len()));
                if !self.try_plan(plan) {
                    begin += part;
                }
            }
            part /= 2;
        }
    }

    fn drop_work(&mut self) {
        for index in 0..self.best.frameworks.len() {
            while self.best.frameworks[index].jobs > 0 {
                let mut plan = self.best.clone();
                plan.frameworks[index].jobs /= 2;
                if !self.try_plan(plan) {
                    break;
                }
            }
        }
    }
}
