//! Trainings without rounds under losses, joins and bad updates: the optimum is that of rounds, to a tolerance.

use super::*;
use crate::job::Combine;

/// Relative error of the objective that a training without rounds is held to.
const ALLOWED: f64 = 1e-9;

fn descending(combine: Combine, staleness: u32) -> TrainingJob {
    let mut job = job();
    job.model.l2 = 0.1;
    (job.train.combine, job.train.staleness, job.train.solver) = (combine, staleness, Default::default());
    (job.train.tolerance, job.train.rounds_max) = (1e-7, 20_000);
    job
}

fn simulation(combine: Combine, staleness: u32, workers: usize) -> Simulation {
    Simulation::of(descending(combine, staleness), LIMITS, true, workers)
}

/// The objective of the same job in rounds.
fn optimum() -> f64 {
    let job = TrainingJob { train: job().train, ..descending(Combine::Synchronous, 0) };
    fit_local(&job, &iris().0, load, 1).unwrap().objective
}

#[track_caller]
fn assert_optimal(simulation: &Simulation) {
    let Effect::Finished(model) = simulation.last() else { panic!("{:?}", simulation.last()) };
    let (found, optimum) = (model.objective, optimum());
    assert!((found - optimum).abs() / optimum < ALLOWED, "{found} and not {optimum}");
    assert!(model.converged && model.rounds > 1, "{:?} after {} rounds", model.stopped, model.rounds);
}

#[test]
fn every_way_to_combine_leads_to_the_optimum() {
    for (combine, staleness) in
        [(Combine::StaleSynchronous, 0), (Combine::StaleSynchronous, 2), (Combine::Asynchronous, 0)]
    {
        let mut simulation = simulation(combine, staleness, 3);
        simulation.settle();
        assert_optimal(&simulation);
        let counts = simulation.core.counts();
        assert!(counts.counted > 0 && counts.refused() == 0, "{counts:?}");
    }
}

#[test]
fn workers_may_be_lost_and_join_in_the_middle() {
    let mut simulation = simulation(Combine::StaleSynchronous, 1, 3);
    let mut step = 0_usize;
    while !simulation.replies.is_empty() {
        step += 1;
        match step {
            50 => simulation.kill(0),
            70 | 90 => simulation.join(),
            110 => {
                simulation.kill(1);
                simulation.kill(1);
            }
            // Out of order, and now and then twice.
            _ => simulation.deliver(step % 3, step < 500 && step.is_multiple_of(40)),
        }
    }
    assert!(step > 120, "it was over too soon");
    assert_optimal(&simulation);
}

#[test]
fn a_restarted_coordinator_goes_on_from_the_last_sweep() {
    let mut simulation = simulation(Combine::Asynchronous, 0, 2);
    for _ in 0..200 {
        simulation.deliver(0, false);
    }
    let rounds = simulation.checkpoint().unwrap().state.rounds();
    assert!(rounds > 3, "{rounds} rounds");
    simulation.restart();
    simulation.settle();
    assert_optimal(&simulation);
    let first = simulation.seen.iter().rev().filter_map(|effect| match effect {
        Effect::Progress(progress) => Some(progress.round),
        _ => None,
    });
    assert!(first.min().is_some_and(|round| round >= 1));
}

#[test]
fn bad_batches_are_asked_for_again_and_the_third_ends_the_worker() {
    let mut simulation = simulation(Combine::Asynchronous, 0, 2);
    for _ in 0..20 {
        simulation.deliver(0, false);
    }
    for _ in 0..LIMITS.bad_partials_max {
        let place = simulation.replies.iter().position(|(worker, _)| *worker == id(0)).unwrap();
        let (_, mut reply) = simulation.replies.remove(place).unwrap();
        reply.partials[0].values.0[1] = f64::NAN;
        simulation.act(|core, now, out| core.on_partials(now, &id(0), reply.pass_number, reply.partials, out));
    }
    let counts = simulation.core.counts();
    assert_eq!((counts.not_finite, counts.workers_dropped), (3, 1));
    simulation.settle();
    assert_optimal(&simulation);
}

#[test]
fn a_silent_worker_s_batches_go_to_the_others() {
    let mut simulation = simulation(Combine::StaleSynchronous, 0, 2);
    (0..20).for_each(|_| simulation.deliver(0, false));
    simulation.settle_without(&id(1));
    assert!(matches!(simulation.core.phase, Phase::Descending(_)));
    assert_eq!(simulation.core.next_deadline(), Some(seconds(30)), "everybody waits for it");
    simulation.fire_timer();
    simulation.settle();
    assert_optimal(&simulation);
}
