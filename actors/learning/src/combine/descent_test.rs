//! A twin of a cluster on a virtual clock: workers of given speeds sum batches at the points that they were sent.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::block_store::BlockStore;
use crate::data::source::{self, Table};
use crate::job::TrainingJob;
use crate::local::{fit_file, run_pass, tests::example};
use crate::messages::{ComputePartials, Joined};
use crate::program::{Step, Trainer};

/// Regularised enough that a first-order method gets to the digits soon.
fn job() -> (TrainingJob, PathBuf) {
    let (mut job, path) = example("breast_cancer");
    job.model.l2 = 0.1;
    job.train.workers = 4;
    (job, path)
}

/// A trainer that is about to solve, over data that are read once.
struct Problem {
    trainer: Trainer,
    table: Table,
    store: BlockStore,
    passes: u64,
}

impl Problem {
    fn new(job: &TrainingJob, path: &Path) -> Self {
        let table = source::scan(path, &job.data_spec()).unwrap();
        let joined = Joined { job: job.clone(), data: table.summary().clone() };
        let mut stores = [BlockStore::new(&joined, table.strata()).unwrap()];
        let (mut trainer, mut passes) = (Trainer::new(job.clone(), table.summary()).unwrap(), 0);
        while trainer.descent_problem(None).is_none() {
            let Step::Compute(pass) = trainer.step() else { panic!("it is not solved yet") };
            passes += 1;
            let load = |numbers: &[usize], each: &mut crate::data::RowSink<'_>| table.each_row(numbers, each);
            let sums = run_pass(&trainer, &mut stores, load, passes, &pass).unwrap();
            trainer.absorb(&sums).unwrap();
        }
        let [store] = stores;
        Self { trainer, table, store, passes }
    }

    fn descent(&self, staleness: Option<u64>) -> Descent {
        let (problem, start) = self.trainer.descent_problem(staleness).unwrap();
        Descent::new(problem, start)
    }

    fn sums(&mut self, node: NodeId, point: &[f64]) -> Vec<f64> {
        let (pass, steps) = (self.trainer.batch_pass(point), self.trainer.steps().len());
        let (pass_number, new_steps) = (self.passes, Vec::new());
        let request = ComputePartials { pass_number, pass, nodes: vec![node], steps_known: steps, new_steps };
        let load = |numbers: &[usize], each: &mut crate::data::RowSink<'_>| self.table.each_row(numbers, each);
        let mut reply = self.store.compute(&request, self.trainer.steps(), load).unwrap();
        reply.partials.remove(0).values.0
    }

    /// Value and largest slope at a point, over all rows.
    fn objective(&mut self, descent: &Descent) -> (f64, f64) {
        let nodes: Vec<NodeId> = descent.batches.iter().map(|batch| batch.node).collect();
        let sums: Vec<Vec<f64>> = nodes.into_iter().map(|node| self.sums(node, descent.point())).collect();
        let total = (0..sums[0].len()).map(|place| sums.iter().map(|sums| sums[place]).sum()).collect::<Vec<f64>>();
        let (value, gradient) = descent.outputs.objective(descent.point(), &total);
        let here = penalty::penalised(descent.point(), value, &gradient, &descent.l1);
        (here.value, here.gradient_norm())
    }
}

fn id(number: usize) -> WorkerId {
    WorkerId(format!("worker-{number}"))
}

/// The workers of a descent on a virtual clock: each takes so many ticks for a batch.
struct Twin {
    descent: Descent,
    ticks: Vec<u64>,
    now: u64,
    due: Vec<(u64, WorkerId, Vec<f64>)>,
    spread_max: u64,
}

impl Twin {
    fn new(problem: &Problem, ticks: &[u64], staleness: Option<u64>) -> Self {
        let mut descent = problem.descent(staleness);
        (0..ticks.len()).for_each(|worker| descent.join(id(worker)));
        Self { descent, ticks: ticks.to_vec(), now: 0, due: Vec::new(), spread_max: 0 }
    }

    /// The next delivery; what the held sums say, if they are of all batches.
    fn tick(&mut self, problem: &mut Problem) -> Option<Evaluated> {
        for (worker, request) in self.descent.requests() {
            let number: usize = worker.0.trim_start_matches("worker-").parse().unwrap();
            let sums = problem.sums(request.node, &request.point);
            self.due.push((self.now + self.ticks[number], worker, sums));
        }
        // A worker that waits is woken by the slowest, so somebody is always under way.
        let next = (0..self.due.len()).min_by_key(|place| (self.due[*place].0, &self.due[*place].1)).unwrap();
        let (at, worker, sums) = self.due.remove(next);
        self.now = at;
        let here = self.descent.absorb(&worker, sums).here;
        self.spread_max = self.spread_max.max(self.descent.spread());
        here
    }

    /// Ticks until the largest slope, as far as it is known, is at most this.
    fn run_to(&mut self, problem: &mut Problem, gradient_norm: f64) -> u64 {
        for _ in 0..400_000 {
            if self.tick(problem).is_some_and(|here| here.gradient_norm() <= gradient_norm) {
                return self.now;
            }
        }
        panic!("no convergence in {} sweeps", self.descent.sweeps());
    }
}

/// Relative error of the objective that all ways to combine are held to.
const ALLOWED: f64 = 1e-9;

#[test]
fn every_bound_on_staleness_leads_to_the_optimum_with_equal_and_unequal_workers() {
    let (job, path) = job();
    let optimum = fit_file(&job, &path, 1).unwrap().objective;
    let mut problem = Problem::new(&job, &path);
    for ticks in [[10, 10, 10, 10], [10, 10, 10, 100]] {
        for staleness in [Some(0), Some(1), Some(3), Some(10), None] {
            let mut twin = Twin::new(&problem, &ticks, staleness);
            let time = twin.run_to(&mut problem, 1e-7);
            let (value, slope) = problem.objective(&twin.descent);
            let error = (value - optimum).abs() / optimum;
            println!("{ticks:?} {staleness:?}: {time} ticks, {} sweeps, error {error:.1e}", twin.descent.sweeps());
            assert!(error < ALLOWED && slope < 1e-6, "{ticks:?} {staleness:?}: {error:e} {slope:e}");
            assert!(staleness.is_none_or(|staleness| twin.spread_max <= staleness + 1), "{}", twin.spread_max);
        }
    }
}

#[test]
fn absolute_penalties_lead_to_the_same_optimum_and_the_same_zeros() {
    let (mut job, path) = example("diabetes");
    (job.model.l1, job.model.l2) = (1.0, 0.1);
    let model = fit_file(&job, &path, 1).unwrap();
    let mut problem = Problem::new(&job, &path);
    let mut twin = Twin::new(&problem, &[10, 15, 30], Some(2));
    twin.run_to(&mut problem, 1e-6);
    let (value, _) = problem.objective(&twin.descent);
    assert!((value - model.objective).abs() / model.objective < ALLOWED, "{value} {}", model.objective);
    let zeros = |values: &[f64]| values.iter().map(|value| *value == 0.0).collect::<Vec<_>>();
    let weights: Vec<f64> = model.coefficients.iter().map(|weight| weight.value).collect();
    assert_eq!(zeros(&twin.descent.point()[1..]), zeros(&weights));
}

/// Its batches go over to the others, one by one.
#[test]
fn a_slow_worker_does_not_hold_the_others_up_for_long() {
    let (job, path) = job();
    let mut problem = Problem::new(&job, &path);
    let mut time = |ticks: &[u64]| {
        let mut twin = Twin::new(&problem, ticks, Some(1));
        twin.run_to(&mut problem, 1e-4)
    };
    let (even, uneven) = (time(&[10, 10, 10, 10]), time(&[10, 10, 10, 100]));
    println!("{even} ticks with equal workers, {uneven} with one that is ten times slower");
    assert!(uneven <= 2 * even, "{uneven} ticks beside {even}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the speeds, whoever comes and goes: nobody is further ahead than allowed, every batch has one owner, and
    /// somebody is always under way.
    #[test]
    fn no_worker_is_ever_further_ahead_than_the_bound(
        ticks in prop::collection::vec(1..200_u64, 2..7),
        staleness in 0..4_u64,
        comings in prop::collection::vec((0..7_usize, any::<bool>()), 0..12),
    ) {
        let (problem, start) = small();
        let mut descent = Descent::new(DescentProblem { staleness: Some(staleness), ..problem }, start);
        (0..ticks.len()).for_each(|worker| descent.join(id(worker)));
        let (mut due, mut now, mut comings): (Vec<(u64, WorkerId)>, u64, _) = (Vec::new(), 0, comings.into_iter());
        for event in 0..400 {
            if event % 30 == 29 && let Some((number, joins)) = comings.next() {
                let worker = id(number % ticks.len());
                match joins {
                    true => descent.join(worker),
                    false if descent.workers.len() > 1 => {
                        descent.leave(&worker);
                        due.retain(|(_, asked)| *asked != worker);
                    }
                    false => {}
                }
            }
            let before = descent.spread();
            for (worker, _) in descent.requests() {
                let number: usize = worker.0.trim_start_matches("worker-").parse().unwrap();
                due.push((now + ticks[number], worker));
            }
            let next = (0..due.len()).min_by_key(|place| due[*place].clone());
            prop_assert!(next.is_some(), "everybody waits");
            let (at, worker) = due.remove(next.unwrap());
            now = at;
            descent.absorb(&worker, vec![1.0, 0.1, 0.1]);
            let bound = before.max(staleness + 1);
            prop_assert!(descent.spread() <= bound, "{} epochs apart", descent.spread());
            let mut owned: Vec<usize> = descent.workers.values().flat_map(|clock| clock.own.clone()).collect();
            owned.sort_unstable();
            prop_assert_eq!(owned, (0..descent.batches.len()).collect::<Vec<_>>());
        }
    }
}

/// One column, sixteen batches.
fn small() -> (DescentProblem, Vec<f64>) {
    use crate::optimiser::conditioning::{Conditioning, TargetMoments};
    let scaling = crate::scaling::ColumnScaling { mean: vec![0.0], scale: vec![1.0] };
    let target = TargetMoments { mean: 0.5, variance: 0.25 };
    let output = Conditioning::new(scaling, target, crate::kernel::Loss::Logistic, 0.1, true, 16);
    let batches = (0..16).map(|index| NodeId { level: 0, index }).collect();
    (DescentProblem { outputs: Outputs::new(vec![output]), l1: vec![0.0; 2], batches, staleness: None }, vec![0.0; 2])
}
