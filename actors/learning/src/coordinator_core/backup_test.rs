//! Late workers and bad updates: who is asked instead, whose answer counts, what is counted, and what it costs.

use super::*;

/// A worker is late after a second, or three times what others take.
const BACKUPS: CoordinatorLimits = CoordinatorLimits { backup_wait_min: Duration::from_secs(1), ..LIMITS };

/// Two workers of which one has delivered its 7 blocks in 7 seconds, and the other nothing of its 8.
fn one_is_slow() -> Simulation {
    let mut simulation = Simulation::over(BACKUPS, false, 2);
    simulation.now = seconds(7);
    simulation.deliver(0, false);
    simulation
}

#[test]
fn what_a_late_worker_owes_is_asked_of_an_idle_one_too_and_the_first_answer_counts() {
    let mut simulation = one_is_slow();
    let owed = simulation.request(1).nodes.clone();
    // Three times eight blocks of a second.
    assert_eq!(simulation.core.next_deadline(), Some(seconds(24)));
    simulation.now = seconds(23);
    simulation.act(CoordinatorCore::on_timer);
    assert_eq!(simulation.core.counts().backups, 0);
    simulation.fire_timer();
    assert_eq!((&simulation.request(0).nodes, simulation.core.counts().backups), (&owed, 1));
    simulation.deliver(1, false);
    assert_eq!((simulation.core.pass_number, simulation.request(0).pass_number), (2, 2));
    assert_eq!(simulation.request(0).nodes, subtrees(0..15, 15), "the late one still owes an answer");
    simulation.deliver(0, false);
    let counts = simulation.core.counts();
    assert_eq!((counts.stale, counts.overtaken), (owed.len() as u64, 0));
    simulation.settle();
    assert_eq!(simulation.model_sha256().as_deref(), Some(undisturbed()));
}

#[test]
fn a_late_answer_that_comes_before_its_backup_counts() {
    let mut simulation = one_is_slow();
    simulation.fire_timer();
    simulation.deliver(0, false);
    // The backup is under way still, so nobody else is free.
    assert_eq!((simulation.core.pass_number, simulation.request(1).pass_number), (2, 2));
    assert_eq!(simulation.request(1).nodes, subtrees(0..15, 15));
    simulation.settle();
    assert_eq!(simulation.model_sha256().as_deref(), Some(undisturbed()));
}

#[test]
fn a_whole_answer_takes_the_place_of_the_parts_that_backups_have_delivered() {
    let mut simulation = one_is_slow();
    simulation.join();
    simulation.fire_timer();
    let asked = [1, 0, 2].map(|worker| simulation.request(worker).nodes.clone());
    assert_eq!(asked, [subtrees(7..15, 15), subtrees(7..11, 15), subtrees(11..15, 15)]);
    // One half comes, then the whole: the sums are those of the tree.
    simulation.deliver(1, false);
    simulation.deliver(0, false);
    let counts = simulation.core.counts();
    assert_eq!((simulation.core.pass_number, counts.backups, counts.overtaken), (2, 2, 1));
    simulation.settle();
    assert_eq!(simulation.model_sha256().as_deref(), Some(undisturbed()));
}

#[test]
fn a_backup_that_is_lost_is_asked_of_another() {
    let mut simulation = one_is_slow();
    simulation.fire_timer();
    simulation.join();
    simulation.kill(0);
    simulation.replies.retain(|(worker, _)| *worker != id(0));
    simulation.fire_timer();
    assert_eq!(simulation.request(2).nodes, simulation.request(1).nodes);
    assert_eq!(simulation.core.counts().backups, 2);
}

#[test]
fn who_sends_again_and_again_what_nobody_waits_for_is_dropped_for_good() {
    let mut simulation = Simulation::new(2);
    let (worker, reply) = simulation.replies[0].clone();
    let mut times = 0;
    while simulation.core.worker_count() == 2 {
        let (partials, pass_number) = (reply.partials.clone(), if times % 2 == 0 { 1 } else { 9 });
        simulation.act(|core, now, out| core.on_partials(now, &worker, pass_number, partials, out));
        times += 1;
    }
    let dropped = simulation.seen.iter().find_map(|effect| match effect {
        Effect::WorkerDropped { reason: DropReason::Unsolicited(count), .. } => Some(*count),
        _ => None,
    });
    assert!(dropped.is_some_and(|count| count >= LIMITS.unsolicited_max), "{dropped:?}");
    simulation.act(|core, now, out| {
        assert_eq!(core.on_worker_joined(now, worker.clone(), out), Err(JoinError::Dropped(worker)));
    });
    let counts = simulation.core.counts();
    assert!(counts.stale > 0 && counts.repeated > 0, "{counts:?}");
}

#[test]
fn each_fault_is_counted_by_its_kind() {
    let mut simulation = Simulation::new(2);
    let asked = simulation.request(0).nodes[0];
    simulation.send(0, asked, vec![f64::NAN; 9]);
    simulation.send(0, asked, vec![0.0; 5]);
    simulation.send(0, NodeId { level: 0, index: 14 }, vec![0.0; 9]);
    simulation.stores.remove(&id(0));
    simulation.settle();
    let counts = simulation.core.counts();
    assert_eq!((counts.not_finite, counts.wrong_shape, counts.not_asked_for, counts.refused()), (1, 1, 1, 3));
    assert_eq!((counts.workers_joined, counts.workers_dropped), (2, 1));
    assert!(counts.counted > 0);
}

/// Runs a job whose workers take so many milliseconds a block; returns how long it takes, and the model.
fn timed(block_ms: &[u64]) -> (Duration, String) {
    let limits = CoordinatorLimits { backup_wait_min: Duration::from_millis(1), ..LIMITS };
    let mut simulation = Simulation::over(limits, false, 0);
    let mut due: Vec<(Duration, WorkerId, Partials)> = Vec::new();
    let mut idle_from: BTreeMap<WorkerId, Duration> = BTreeMap::new();
    (0..block_ms.len()).for_each(|_| simulation.join());
    let start = simulation.now;
    while simulation.core.next_deadline().is_some() {
        while let Some((worker, reply)) = simulation.replies.pop_front() {
            let number: usize = worker.0.trim_start_matches("worker-").parse().unwrap();
            let blocks: usize = reply.partials.iter().map(|partial| 1 << partial.node.level).sum();
            let from = idle_from.get(&worker).copied().unwrap_or_default().max(simulation.now);
            let at = from + Duration::from_millis(block_ms[number] * blocks as u64);
            idle_from.insert(worker.clone(), at);
            due.push((at, worker, reply));
        }
        due.sort_by_key(|(at, ..)| *at);
        let timer = simulation.core.next_deadline().unwrap();
        match due.first().is_none_or(|(at, ..)| timer < *at) {
            true => simulation.fire_timer(),
            false => {
                let (at, worker, reply) = due.remove(0);
                simulation.now = at;
                simulation.act(|core, now, out| {
                    core.on_partials(now, &worker, reply.pass_number, reply.partials, out);
                });
            }
        }
    }
    (simulation.now - start, simulation.model_sha256().unwrap())
}

/// Without backups a job would take as long as with four workers as slow as the slowest.
#[test]
fn one_worker_of_four_that_is_five_times_slower_does_not_hold_the_others_up_for_long() {
    let (even, model) = timed(&[10, 10, 10, 10]);
    let (uneven, same) = timed(&[10, 10, 10, 50]);
    let ratio = uneven.as_secs_f64() / even.as_secs_f64();
    println!("{even:?} with equal workers, {uneven:?} with a slow one: {ratio:.2} times");
    assert!(ratio <= 1.5, "{ratio}");
    assert_eq!((model.as_str(), same.as_str()), (undisturbed(), undisturbed()));
}
