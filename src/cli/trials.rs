//! Several trainings of one command: one after the other, or side by side on the cluster.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use odeon_learning::checkpoint::OpenedCheckpoint;
use odeon_learning::coordinator_core::CoordinatorLimits;
use odeon_learning::data::DataSummary;
use odeon_learning::job::TrainingJob;
use odeon_learning::training::{Training, TrainingError, TrainingNews, TrainingSettings, train};
use odeon_protocol::resources::Resources;
use odeon_runtime::Endpoint;
use odeon_runtime::transport::Transport;
use tokio::sync::watch;

use super::progress::ProgressLine;
use crate::app::{Environment, fresh_seed};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::signals::EndSignals;

/// Jobs that have been checked, with their data.
pub(super) struct Trials {
    /// In the order of their results.
    pub(super) jobs: Vec<TrainingJob>,
    pub(super) data: DataSummary,
    /// What a worker takes.
    pub(super) worker: Resources,
    /// How many are trained at a time.
    pub(super) at_once: usize,
    /// For each job, what it goes on from and where its checkpoints are; none if no place was given.
    pub(super) checkpoints: Vec<OpenedCheckpoint>,
}

/// Where a training takes place.
#[derive(Clone, Copy)]
struct Place<'a> {
    master: &'a Endpoint,
    listen: &'a str,
    transport: &'a Arc<dyn Transport>,
}

impl Trials {
    /// Trains all of them; the first that fails, or a signal, ends the others.
    pub(super) async fn run(
        &self,
        master: &Endpoint,
        listen: &str,
        environment: &Environment,
        signals: &mut EndSignals,
    ) -> Result<Vec<Training>, Failure> {
        let transport = environment.transport()?;
        let (stop, stopped) = watch::channel(false);
        let line = Rc::new(RefCell::new(ProgressLine::new(self.data.row_count)));
        self.say_where_they_go_on(&line);
        let place = Place { master, listen, transport: &transport };
        let trained = stream::iter(0..self.jobs.len()).map(|job| self.train(job, place, &line, stopped.clone()));
        let mut trained = trained.buffered(self.at_once);
        let (mut trainings, mut failure) = (Vec::new(), None);
        loop {
            tokio::select! {
                biased;
                () = signals.next() => drop(stop.send_replace(true)),
                next = trained.next() => match next {
                    None => break,
                    Some(Ok(training)) => trainings.push(training),
                    Some(Err(error)) => {
                        stop.send_replace(true);
                        failure.get_or_insert(error);
                    }
                },
            }
        }
        line.borrow_mut().end();
        match failure {
            None => Ok(trainings),
            Some(TrainingError::Interrupted) => Err(self.interrupted()),
            Some(error) => Err(told(error, master)),
        }
    }

    fn say_where_they_go_on(&self, line: &RefCell<ProgressLine>) {
        for OpenedCheckpoint { file, found } in &self.checkpoints {
            let Some(found) = found else { continue };
            let (path, rounds) = (file.path().display(), found.state.rounds());
            line.borrow_mut().say(&format!("goes on from {path}: {rounds} rounds are done"));
        }
    }

    /// An interrupt, and how to go on.
    fn interrupted(&self) -> Failure {
        let kept = self.checkpoints.iter().map(|checkpoint| checkpoint.file.path()).find(|path| path.exists());
        let hint = match kept {
            Some(path) => format!("all rounds but the open one are in {}; the same command goes on", path.display()),
            None => "nothing of it was kept; with --out DIR the same command would go on".to_owned(),
        };
        Failure::new(Exit::Interrupted, format!("the training was interrupted: {hint}"))
    }

    async fn train(
        &self,
        job: usize,
        place: Place<'_>,
        line: &Rc<RefCell<ProgressLine>>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Training, TrainingError> {
        let settings = TrainingSettings {
            job: self.jobs[job].clone(),
            data: self.data.clone(),
            master: place.master.clone(),
            listen: Endpoint::new(place.listen),
            transport: Arc::clone(place.transport),
            seed: fresh_seed(),
            limits: CoordinatorLimits::default(),
            checkpoint: self.checkpoints.get(job).cloned(),
        };
        let shown = Rc::clone(line);
        let interrupt = async move {
            // The other end lives as long as this training.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let show = move |news| match news {
            TrainingNews::Round(progress) => shown.borrow_mut().show(&progress),
            TrainingNews::Pass(_) => {}
        };
        train(settings, self.worker.clone(), show, interrupt).await
    }
}

fn told(error: TrainingError, master: &Endpoint) -> Failure {
    let exit = match &error {
        TrainingError::MasterUnreachable(cause) => return crate::failure::not_reachable(master, cause),
        TrainingError::Listen(_) | TrainingError::Node(_) => Exit::Usage,
        TrainingError::NotPlaced { .. } => Exit::NotPlaced,
        _ => Exit::WorkFailed,
    };
    Err::<(), _>(error).or_exit(exit).expect_err("an error was given")
}
