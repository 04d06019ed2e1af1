//! Trainings that are ended in the middle and started again: they go on, and the model has the same bits.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{Stage, Trained, eventually, slow_job, slow_job_model};

/// Starts the slow job in `run` and lets it get to a checkpoint that is not its first; returns the process.
fn begun(stage: &Stage, job: &str) -> crate::support::Running {
    let mut training = stage.odeon(["train", job, "--out", "run", "-o", "json"]).start();
    training.wait_for_stderr("round");
    let checkpoint = stage.here().join("run/checkpoint");
    let first = fs::read(&checkpoint).expect("what was told is on disk");
    eventually("another checkpoint", || (fs::read(&checkpoint).ok()? != first).then_some(()));
    training
}

/// How many rounds a training that goes on says are done.
fn rounds_done(stderr: &str) -> u32 {
    let (_, rest) = stderr.split_once("run/checkpoint: ").unwrap_or_else(|| panic!("it began anew: {stderr}"));
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number: {rest}"))
}

#[test]
fn a_killed_training_goes_on_and_gives_the_model_of_an_undisturbed_one() {
    let stage = Stage::new();
    let job = slow_job(&stage);
    begun(&stage, &job).kill();
    assert!(!stage.here().join("run/model").exists(), "it was killed in the middle");
    let second = begun(&stage, &job);
    let first_rounds = rounds_done(&second.stderr_so_far());
    second.kill();
    // With another number of workers, too.
    let last = stage.odeon(["train", &job, "--out", "run", "-o", "json", "--workers", "3"]).end();
    let rounds = rounds_done(&last.stderr);
    assert!(first_rounds >= 1 && rounds > first_rounds, "{first_rounds} rounds, then {rounds}");
    assert_eq!(Trained::of(last).digest(), slow_job_model());
    let mut files: Vec<_> = fs::read_dir(stage.here().join("run")).expect("it is there").flatten().collect();
    files.retain(|file| file.file_name() != ".checkpoint.partial");
    assert_eq!(files.len(), 4, "the model and what was measured: {files:?}");
}

#[test]
fn an_interrupted_training_says_how_it_goes_on() {
    let stage = Stage::new();
    let job = slow_job(&stage);
    let training = begun(&stage, &job);
    training.signal(Signal::SIGINT);
    let finished = training.end().expect(130);
    assert!(finished.stderr.contains("run/checkpoint; the same command goes on"), "{}", finished.stderr);
    stage.assert_nothing_left();
}

#[test]
fn a_checkpoint_that_is_damaged_or_foreign_is_refused_by_its_path() {
    let stage = Stage::new();
    let job = slow_job(&stage);
    let training = begun(&stage, &job);
    let refused = |arguments: &[&str]| {
        let finished = stage.odeon(["train", &job, "--out", "run"].iter().chain(arguments)).end().expect(2);
        assert!(finished.stderr.contains("run"), "{}", finished.stderr);
        finished.stderr
    };
    assert!(refused(&[]).contains("another training writes there"));
    training.kill();

    let other = refused(&["--set", "model.l2=0.5"]);
    assert!(other.contains("run/checkpoint: it is of another job: model.l2 is 0.00001 there and 0.5 here"), "{other}");
    let path = stage.here().join("run/checkpoint");
    let mut bytes = fs::read(&path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("it can be written to");
    let damaged = refused(&[]);
    assert!(damaged.contains("run/checkpoint: it is damaged") && damaged.contains("remove it"), "{damaged}");
    assert!(!stage.here().join("run/model").exists());
}
