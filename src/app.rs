//! The builder of a binary: registers the user's own types and runs the whole command line, or a program of theirs.
//!
//! Executor processes are the same binary with the command `executor`; hence whoever registers a task type
//! must start through here.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use odeon_executor::{Deployable, Task, TaskRegistry};
use odeon_learning::model_registry::ModelRegistry;
use odeon_learning::trainable::Trainable;
use odeon_learning::worker::WorkerTask;
use odeon_runtime::transport::{Tcp, Transport};
use odeon_runtime::trust::{Credentials, Tls};
use odeon_runtime::{Node, run_to_end};

use crate::cli::{Cli, Command, Nothing};
use crate::config::{TlsConfig, load};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::logging;
use crate::output::escaped_lines;

/// What surrounds a command: read once at the start, handed down as a value.
#[derive(Clone)]
pub struct Environment {
    /// The variables of the process.
    pub variables: BTreeMap<String, String>,
    /// The binary that agents start as executors.
    pub program: PathBuf,
    /// The task types of this binary.
    pub tasks: TaskRegistry,
    /// The models that its users have added.
    pub models: ModelRegistry,
    /// Where the credentials are, if flags say so.
    tls: Vec<(&'static str, String)>,
    /// Whether the cluster is one of this process, which asks for no credentials.
    is_own_cluster: bool,
}

impl Environment {
    /// A fabric node for a client: it dials and is not dialled.
    ///
    /// # Errors
    /// If the node cannot start.
    pub async fn client_node(&self) -> Result<Node, Failure> {
        let builder = Node::builder("client").incarnation(fresh_seed()).transport(self.transport()?);
        builder.start().await.or_exit(Exit::WorkFailed)
    }

    /// The network as this process takes part in it: with the credentials that flags or the environment name, or within
    /// this host.
    ///
    /// # Errors
    /// If the credentials cannot be used.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, Failure> {
        Ok(match self.credentials()? {
            None => Arc::new(Tcp),
            Some(credentials) => Arc::new(Tls::new(credentials)),
        })
    }

    /// The credentials that flags or the environment name, if any.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let loaded = load::<TlsConfig>(None, &self.variables, &self.tls).or_exit(Exit::Usage)?;
        let files = loaded.value.files().filter(|_| !self.is_own_cluster);
        files.map(|files| Credentials::load(&files).or_exit(Exit::Usage)).transpose()
    }

    /// The flags that name credentials, as settings of the table of a role.
    pub(crate) fn tls_flags(&self) -> Vec<(&'static str, String)> {
        let of_role = |key: &str| match key {
            "ca" => "tls.ca",
            "cert" => "tls.cert",
            _ => "tls.key",
        };
        self.tls.iter().map(|(key, path)| (of_role(key), path.clone())).collect()
    }

    /// The same for a cluster within this process.
    pub(crate) fn of_own_cluster(&self) -> Self {
        Self { is_own_cluster: true, ..self.clone() }
    }
}

/// A number that no other process start has; seeds ids and incarnations.
pub(crate) fn fresh_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// A binary in the making; see [`app()`].
pub struct App {
    tasks: Result<TaskRegistry, Failure>,
    models: Result<ModelRegistry, Failure>,
}

/// Starts the builder of a binary.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     odeon::app().run()
/// }
/// ```
#[must_use]
pub fn app() -> App {
    App { tasks: Ok(TaskRegistry::new()), models: Ok(ModelRegistry::new()) }.task::<Nothing>()
}

impl App {
    /// Registers a task type under its name, so that executors of this binary can run it.
    #[must_use]
    pub fn task<T: Task>(self) -> Self {
        Self { tasks: self.tasks.and_then(|tasks| tasks.register::<T>().or_exit(Exit::Usage)), ..self }
    }

    /// Registers an actor type under a name, so that `odeon deploy` can put its actors on the cluster.
    #[must_use]
    pub fn actor<A: Deployable>(self, name: &'static str) -> Self {
        Self { tasks: self.tasks.and_then(|tasks| tasks.register_actor::<A>(name).or_exit(Exit::Usage)), ..self }
    }

    /// Registers a model under a name, which `type` in `[model]` of a job file is then.
    #[must_use]
    pub fn model<M: Trainable>(self, name: &'static str) -> Self {
        Self { models: self.models.and_then(|models| models.register::<M>(name).or_exit(Exit::Usage)), ..self }
    }

    /// Runs the command line.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let cli = Cli::of_executor(std::env::args_os()).unwrap_or_else(Cli::parse);
        self.start(cli, |environment, command| async move { command.perform(&environment).await })
    }

    /// Runs a program of the user's in place of the command line; only `executor`, which agents call, stays.
    #[must_use]
    pub fn run_program<P, F>(self, program: P) -> ExitCode
    where
        P: FnOnce(Environment) -> F + 'static,
        F: Future<Output = Result<(), Failure>>,
    {
        let is_executor = std::env::args_os().nth(1).is_some_and(|word| word == "executor");
        let cli = Cli::of_executor(["odeon", "executor"].map(Into::into).into_iter()).expect("it is just that");
        self.start(cli, move |environment, command| async move {
            match is_executor {
                true => command.perform(&environment).await,
                false => program(environment).await.map(|()| Exit::Done.into()),
            }
        })
    }

    fn start<P, F>(self, cli: Cli, perform: P) -> ExitCode
    where
        P: FnOnce(Environment, Command) -> F,
        F: Future<Output = Result<i32, Failure>>,
    {
        match self.prepare(&cli) {
            Ok(environment) => {
                let mut result = Ok(Exit::Done.into());
                run_to_end(Box::pin(async { result = perform(environment, cli.command).await }));
                finish(result)
            }
            Err(failure) => finish(Err(failure)),
        }
    }

    fn prepare(self, cli: &Cli) -> Result<Environment, Failure> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        logging::init(cli.log.log.as_deref(), cli.log.log_format, &variables).or_exit(Exit::Usage)?;
        let program = std::env::current_exe().or_exit(Exit::WorkFailed)?;
        let (models, tls) = (self.models?, cli.tls.flags());
        let of_workers = models.clone();
        let worker = move |context| WorkerTask::run_with(context, of_workers.clone());
        let tasks = self.tasks?.register_with(WorkerTask::NAME, worker).or_exit(Exit::Usage)?;
        Ok(Environment { variables, program, tasks, models, tls, is_own_cluster: false })
    }
}

/// Tells a failure on standard error and gives the exit code.
fn finish(result: Result<i32, Failure>) -> ExitCode {
    let code = result.unwrap_or_else(|failure| {
        tell(&failure);
        failure.exit.into()
    });
    // A code outside of a byte cannot be told to the caller; it is cut as the system does.
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}

#[expect(clippy::print_stderr, reason = "the one place where a failure is told to the person")]
fn tell(failure: &Failure) {
    eprintln!("odeon: {}", escaped_lines(&failure.to_string()));
}
