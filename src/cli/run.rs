//! `odeon run`: runs a command on the cluster as if it ran here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use clap::Args;
use odeon_framework::batch::{BatchEvent, BatchPlan, BatchResult, BatchScheduler};
use odeon_framework::{DriverSettings, EndedScheduler, Outcome};
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::ExecutorId;
use odeon_protocol::messages::master_operator::GetAgents;
use odeon_protocol::resources::{MEM, Resources};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, TaskState, TaskStatus};
use odeon_runtime::Node;
use tokio::sync::mpsc;

use super::health::HealthArgs;
use super::task_output::TaskOutputs;
use super::{MasterAddress, room};
use crate::app::{Environment, fresh_seed};
use crate::config::{ByteSize, HumanDuration};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::roles::scalar;
use crate::signals::EndSignals;

/// Events of one task that may wait to be shown: its launch, and a few states.
const EVENTS_PER_TASK_MAX: usize = 16;

/// The code of a command whose output nobody reads any more, as a shell shows it: 128 and the number of SIGPIPE.
const CODE_UNREAD: i32 = 141;

/// Runs a command on some agent, streams what it prints, and ends with its exit code
///
/// A command that a signal ends gives 128 and the number of the signal. Ctrl-C ends the tasks; a second one does not wait.
/// Example: odeon run --cpus 0.5 --instances 3 -- sh -c 'echo $ODEON_TASK_ID'
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// How many copies
    #[arg(long, default_value_t = 1)]
    instances: usize,
    /// Processors of each copy
    #[arg(long, default_value_t = 0.1)]
    cpus: f64,
    /// Memory of each copy; a bare number counts MiB
    #[arg(long, default_value = "32MiB", value_name = "SIZE", value_parser = ByteSize::from_mem)]
    mem: ByteSize,
    /// Further resources of each copy, such as "ports:[31000-31001]"
    #[arg(long, value_name = "TEXT", default_value = "")]
    resources: Resources,
    /// A name for the task; the command's own name by default
    #[arg(long)]
    name: Option<String>,
    /// The role that is charged
    #[arg(long, default_value = "*")]
    role: Role,
    /// Adds a variable to the environment of the command
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Starts a failed copy again, so often
    #[arg(long, default_value_t = 0)]
    retries: u32,
    /// Gives up (exit code 5) when copies have waited this long for a place
    #[arg(long, value_name = "DURATION")]
    placement_timeout: Option<HumanDuration>,
    /// How long a copy may take to end when it is asked to, before it is killed; the agent's default if not given
    #[arg(long, visible_alias = "grace", value_name = "DURATION")]
    kill_grace: Option<HumanDuration>,
    /// Ends a copy that takes longer; it has failed then
    #[arg(long, value_name = "DURATION")]
    max_time: Option<HumanDuration>,
    #[command(flatten)]
    health: HealthArgs,
    /// Lets the copies outlive an agent that is killed and started again; otherwise they are lost with it
    #[arg(long)]
    checkpoint: bool,
    /// Runs the copies that an agent gets in one executor process: quicker for many short ones, which then share its fate
    #[arg(long)]
    share_executor: bool,
    /// Puts the task id before every line
    #[arg(long)]
    label: bool,
    #[command(flatten)]
    master: MasterAddress,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl RunArgs {
    fn wanted(&self) -> Result<Resources, Failure> {
        let mem = Resources::empty().with_scalar(MEM, scalar("--mem", self.mem.mib())?);
        let scalars = mem.with_scalar(odeon_protocol::resources::CPUS, scalar("--cpus", self.cpus)?);
        scalars.checked_add(&self.resources).map_err(|error| Failure::usage(format!("--resources: {error}")))
    }

    /// The name of the task for people.
    fn task_name(&self) -> &str {
        let program = || Path::new(&self.command[0]).file_name().and_then(OsStr::to_str).unwrap_or("task");
        self.name.as_deref().unwrap_or_else(program)
    }

    fn plan(&self, seed: u64) -> Result<BatchPlan, Failure> {
        if self.command[0].is_empty() {
            return Err(Failure::usage("the command is empty: give a program behind --"));
        }
        let command = CommandInfo {
            argv: self.command.clone(),
            environment: self.env.iter().cloned().collect::<BTreeMap<_, _>>(),
            working_directory: None,
        };
        // The name with a random end is an id that no other run has.
        let (name, id) = (self.task_name(), format!("{}-{:08x}", self.task_name(), seed >> 32));
        let plan = BatchPlan::copies(&id, self.instances, &command, &self.wanted()?);
        let plan = plan.or_exit(Exit::Usage)?.named(name).retries(self.retries);
        let plan = match self.share_executor {
            true => plan.shared_executor(&ExecutorId::new(id).or_exit(Exit::Usage)?),
            false => plan,
        };
        let plan = match self.kill_grace {
            Some(grace) => plan.kill_grace(grace.get()),
            None => plan,
        };
        let plan = match self.max_time {
            Some(max) => plan.max_completion_time(max.get()),
            None => plan,
        };
        let plan = match self.health.check()? {
            Some(health) => plan.health_check(&health),
            None => plan,
        };
        Ok(match self.placement_timeout {
            Some(timeout) => plan.placement_timeout(timeout.get()),
            None => plan,
        })
    }
}

/// A variable is taken as it is, blanks included.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not of the form NAME=VALUE")),
    }
}

/// Places the tasks, shows their output, and waits for their end.
pub(crate) async fn run(args: RunArgs, environment: &Environment) -> Result<i32, Failure> {
    let mut signals = EndSignals::listen()?;
    let seed = fresh_seed();
    let plan = args.plan(seed)?;
    let agents = args.master.ask(environment, GetAgents {}).await?;
    room::check_one(&agents, &args.wanted()?).map_err(Failure::usage)?;
    let node = environment.client_node().await?;
    let ended = drive(&args, plan, seed, &node, environment, &mut signals).await;
    node.shut_down();
    match ended? {
        (_, true) => Ok(CODE_UNREAD),
        (ended, false) => conclude(ended, &args, environment),
    }
}

/// Drives the scheduler to its end; also tells whether that was because nobody read the output any more.
async fn drive(
    args: &RunArgs,
    plan: BatchPlan,
    seed: u64,
    node: &Node,
    environment: &Environment,
    signals: &mut EndSignals,
) -> Result<(EndedScheduler<BatchScheduler>, bool), Failure> {
    let (events, mut heard) = mpsc::channel(args.instances.saturating_mul(EVENTS_PER_TASK_MAX));
    let tell = move |event| {
        if events.try_send(event).is_err() {
            tracing::warn!("an event of a task is not shown: too many wait");
        }
    };
    let mut info = FrameworkInfo::new(format!("run {}", args.command[0]));
    info.roles = [args.role.clone()].into();
    info.checkpoint = args.checkpoint;
    info.user = environment.variables.get("USER").cloned().unwrap_or_default();
    let driver = DriverSettings::new(args.master.or_default(environment)?, info, seed);
    let running = BatchScheduler::new(plan, tell).run(driver, node);
    let handle = running.handle();
    let mut outputs = TaskOutputs::new(node.clone(), args.label);
    let (mut interrupts, mut unread) = (0, false);
    let mut ended = std::pin::pin!(running.ended());
    let ended = loop {
        tokio::select! {
            biased;
            () = signals.next() => {
                interrupts += 1;
                match interrupts {
                    1 => { let _ = handle.with(BatchScheduler::kill_all).await; }
                    _ => handle.interrupt(),
                }
            }
            () = outputs.unread() => {
                unread = true;
                let _ = handle.with(BatchScheduler::kill_all).await;
            }
            Some(event) = heard.recv() => show(event, &mut outputs),
            ended = &mut ended => break ended.or_exit(Exit::WorkFailed)?,
        }
    };
    while let Ok(event) = heard.try_recv() {
        show(event, &mut outputs);
    }
    outputs.finish().await;
    Ok((ended, unread))
}

fn show(event: BatchEvent, outputs: &mut TaskOutputs) {
    match event {
        BatchEvent::Launched { framework_id, task_id, agent_endpoint, .. } => {
            outputs.follow(&framework_id, &task_id, &agent_endpoint);
        }
        BatchEvent::Updated { status } => {
            tracing::info!(task = %status.task_id, state = %status.state, message = status.message, "a task has a state");
            if status.state.is_terminal() {
                outputs.ended(&status.task_id);
            }
        }
    }
}

/// Tells what did not go well, and gives the exit code.
fn conclude(ended: EndedScheduler<BatchScheduler>, args: &RunArgs, environment: &Environment) -> Result<i32, Failure> {
    let EndedScheduler { scheduler, outcome } = ended;
    match outcome {
        Outcome::MasterUnreachable { cause } => {
            return Err(crate::failure::not_reachable(&args.master.or_default(environment)?, &cause));
        }
        Outcome::Failed(message) => return Err(Failure::new(Exit::WorkFailed, message)),
        Outcome::Interrupted => return Err(Failure::new(Exit::Interrupted, "interrupted; the tasks are ended")),
        _ => {}
    }
    if let BatchResult::NotPlaced(not_placed) = scheduler.result() {
        return Err(Failure::new(Exit::NotPlaced, not_placed.to_string()));
    }
    let bad: Vec<String> = scheduler.ends().filter(|status| is_worth_telling(status)).map(line).collect();
    if !bad.is_empty() {
        tell(&bad.join("\n"));
    }
    Ok(scheduler.exit_code().unwrap_or_else(|| Exit::WorkFailed.into()))
}

/// A command that ran to its own end and returned a code has spoken for itself.
fn is_worth_telling(status: &TaskStatus) -> bool {
    let was_ended = matches!(
        status.reason,
        Some(StatusReason::MaxCompletionTimeReached | StatusReason::TaskHealthCheckStatusUpdated)
    );
    let spoke = !was_ended
        && matches!(status.exit, Some(odeon_protocol::task::TaskExit::Code(code)) if !matches!(code, 126 | 127));
    status.state != TaskState::Finished && !spoke
}

fn line(status: &TaskStatus) -> String {
    let reason = status.reason.map(|reason| format!(" ({})", reason.name())).unwrap_or_default();
    format!("odeon: task {} is {}{reason}: {}", status.task_id, status.state, status.message)
}

#[expect(clippy::print_stderr, reason = "what became of a task is told to the person, beside the output of the task")]
fn tell(text: &str) {
    eprintln!("{}", crate::output::escaped_lines(text));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn plan(arguments: &[&str]) -> BatchPlan {
        let line = ["odeon", "run"].iter().chain(arguments).chain(&["--", "true"]);
        let Command::Run(args) = Cli::parse_from(line).command else { panic!("the command is `run`") };
        args.plan(1).expect("a plan")
    }

    #[test]
    fn the_grace_of_a_kill_is_that_of_the_flag_or_the_agents() {
        assert_eq!(plan(&[]).tasks()[0].kill_grace, None);
        let graces = plan(&["--kill-grace", "90s", "--instances", "2"]);
        assert!(graces.tasks().iter().all(|task| task.kill_grace == Some(std::time::Duration::from_secs(90))));
    }
}
