//! Trainings that are killed after each pass, on the example data; and checkpoints that nobody may go on from.

use std::path::Path;

use super::*;
use crate::block_store::BlockStore;
use crate::data::{DataSource, source};
use crate::local::tests::example;
use crate::local::{fit_file, run_pass};
use crate::messages::Joined;
use crate::model::TrainedModel;
use crate::optimiser::solver::SolverSetting;
use crate::program::{Step, Trainer};

fn content(path: &Path) -> String {
    content_sha256(&DataSource { paths: path.into(), test_paths: None }).unwrap()
}

/// Trains with a program that lives for one pass only, and with workers that live no longer.
fn killed_after_each_pass(job: &TrainingJob, path: &Path) -> TrainedModel {
    let table = source::scan(path, &job.data_spec()).unwrap();
    let data = table.summary();
    let binding = CheckpointBinding::new(job, data, &content(path));
    let joined = Joined { job: job.clone(), data: data.clone() };
    let mut trainer = Trainer::new(job.clone(), data).unwrap();
    for passes in 1.. {
        let pass = match trainer.step() {
            Step::Compute(pass) => pass,
            Step::Finished(model) => return *model,
        };
        let mut stores = [BlockStore::new(&joined, table.strata()).unwrap()];
        let load = |numbers: &[usize], each: &mut crate::data::RowSink<'_>| table.each_row(numbers, each);
        let sums = run_pass(&trainer, &mut stores, load, passes, &pass).unwrap();
        trainer.absorb(&sums).unwrap();
        let bytes = Checkpoint { passes, state: trainer.state() }.encode(&binding);
        let Checkpoint { passes: read, state } = Checkpoint::decode(&bytes, &binding).unwrap();
        assert_eq!(read, passes);
        trainer = Trainer::resume(job.clone(), data, state).unwrap();
    }
    unreachable!("a training ends")
}

#[track_caller]
fn assert_same_bits(job: &TrainingJob, path: &Path) {
    let (undisturbed, killed) = (fit_file(job, path, 3).unwrap(), killed_after_each_pass(job, path));
    assert_eq!(killed.model_sha256(), undisturbed.model_sha256());
    assert_eq!(killed.rounds, undisturbed.rounds);
}

#[test]
fn every_solver_goes_on_with_the_same_bits_after_each_pass() {
    let solvers = [SolverSetting::Newton, SolverSetting::QuasiNewton, SolverSetting::Lbfgs, SolverSetting::Nesterov];
    for solver in solvers {
        let (mut job, path) = example("breast_cancer");
        (job.train.solver, job.train.rounds_max) = (solver, 60);
        assert_same_bits(&job, &path);
    }
}

#[test]
fn every_kind_of_model_goes_on_with_the_same_bits_after_each_pass() {
    for name in ["iris", "diabetes_lasso", "breast_cancer_svm", "iris_classes", "iris_svm", "iris_tree", "penguins"] {
        let (job, path) = example(name);
        assert_same_bits(&job, &path);
    }
}

/// A checkpoint after the first two passes of the example, and what it is of.
fn of_iris() -> (TrainingJob, DataSummary, Vec<u8>, CheckpointBinding) {
    let (job, path) = example("iris");
    let data = source::scan(&path, &job.data_spec()).unwrap().summary().clone();
    let binding = CheckpointBinding::new(&job, &data, &content(&path));
    let state = Trainer::new(job.clone(), &data).unwrap().state();
    let bytes = Checkpoint { passes: 0, state }.encode(&binding);
    (job, data, bytes, binding)
}

#[test]
fn every_changed_or_missing_byte_is_noticed() {
    let (_, _, bytes, binding) = of_iris();
    assert!(Checkpoint::decode(&bytes, &binding).is_ok());
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(Checkpoint::decode(&changed, &binding).is_err(), "byte {place}");
        assert!(Checkpoint::decode(&bytes[..place], &binding).is_err(), "{place} bytes");
    }
    let later = String::from_utf8_lossy(&bytes[..20]).replace(" 1 ", " 2 ");
    let later = [later.as_bytes(), &bytes[20..]].concat();
    assert_eq!(Checkpoint::decode(&later, &binding).unwrap_err(), CheckpointFault::Version("2".into()));
    assert_eq!(Checkpoint::decode(b"name,value\n", &binding).unwrap_err(), CheckpointFault::NotACheckpoint);
}

#[test]
fn a_checkpoint_of_another_job_is_refused_by_the_key_that_differs() {
    let (job, data, bytes, binding) = of_iris();
    let refusal = |job: &TrainingJob| {
        let other =
            CheckpointBinding { rows_sha256: binding.rows_sha256.clone(), ..CheckpointBinding::new(job, &data, "") };
        Checkpoint::decode(&bytes, &other).err().map(|fault| fault.to_string())
    };
    let mut other = job.clone();
    other.model.l2 = 0.5;
    assert_eq!(refusal(&other).unwrap(), "it is of another job: model.l2 is 0.0 there and 0.5 here");
    other = job.clone();
    other.train.solver = SolverSetting::Nesterov;
    assert!(refusal(&other).unwrap().ends_with("there and \"nesterov\" here"));
    // None of these changes a bit of the model.
    other = job;
    (other.train.workers, other.train.checkpoint_rounds, other.train.checkpoint_seconds) = (7, 7, 7);
    (other.resources.mem_mib, other.data.path) = (7, "elsewhere.csv".into());
    assert_eq!(refusal(&other), None);
}

#[test]
fn a_checkpoint_of_other_rows_is_refused() {
    let (job, data, bytes, _) = of_iris();
    let refusal = |data: &DataSummary, content: &str| {
        Checkpoint::decode(&bytes, &CheckpointBinding::new(&job, data, content)).unwrap_err()
    };
    let content = content(&example("iris").1);
    let one_less = DataSummary { row_count: data.row_count - 1, ..data.clone() };
    assert!(matches!(refusal(&one_less, &content), CheckpointFault::OtherRows { .. }));
    assert!(matches!(refusal(&data, "another"), CheckpointFault::OtherRows { .. }));
}

#[test]
fn rows_are_told_apart_by_every_byte_of_every_file_and_by_what_they_are_for() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (a, b, c) = (write("a.csv", "x,y\n1,2\n"), write("b.csv", "x,y\n1,3\n"), write("c.csv", "x,y\n1,2\n"));
    let of = |train: &std::path::PathBuf, test: Option<&std::path::PathBuf>| {
        content_sha256(&DataSource { paths: train.clone().into(), test_paths: test.map(|path| path.clone().into()) })
    };
    assert_eq!(of(&a, None).unwrap(), of(&c, None).unwrap(), "the name does not matter");
    let all =
        [of(&a, None), of(&b, None), of(&a, Some(&b)), of(&b, Some(&a)), of(&directory.path().join("*.csv"), None)];
    let all: std::collections::BTreeSet<String> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.len(), 5);
    let generated = |name: &str| of(&name.into(), None).unwrap();
    assert_ne!(generated("synthetic:dense?rows=9&seed=1"), generated("synthetic:dense?rows=9&seed=2"));
    assert!(of(&directory.path().join("none.csv"), None).unwrap_err().to_string().contains("none.csv"));
}

#[test]
fn a_file_holds_the_last_checkpoint_and_names_itself_when_it_is_refused() {
    let (job, data, bytes, binding) = of_iris();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint");
    let OpenedCheckpoint { file, found } = CheckpointFile::open(&path, binding.clone()).unwrap();
    assert!(found.is_none() && !path.exists());
    let state = Checkpoint::decode(&bytes, &binding).unwrap().state;
    for passes in [7, 8] {
        file.write(&Checkpoint { passes, state: state.clone() }).unwrap();
        let found = CheckpointFile::open(&path, binding.clone()).unwrap().found;
        assert_eq!(found.map(|found| found.passes), Some(passes));
    }
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "nothing is left beside it");
    let other = CheckpointBinding::new(&job, &data, "another file");
    let refused = CheckpointFile::open(&path, other).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("{}: it is of other data", path.display())), "{refused}");
    let nowhere = CheckpointFile::open(&directory.path().join("none/checkpoint"), binding).unwrap();
    let refused = nowhere.file.write(&Checkpoint { passes: 1, state }).unwrap_err().to_string();
    assert!(refused.starts_with("cannot write") && refused.ends_with("none/checkpoint"), "{refused}");
}
