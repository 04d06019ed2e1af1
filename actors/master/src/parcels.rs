//! What the master sends in one message: many launches, acknowledgements or updates, and one of anything else.
//!
//! It decides nothing: it only keeps together what waits together.

use crate::core::CommandReceipt;
use crate::effect::{AgentCommand, SchedulerEvent};
use crate::lanes::Parcel;
use odeon_protocol::batch::{BatchItem, has_room};
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatus, KillTask, LaunchTask, PingAgent, ShutdownAgent, ShutdownFramework,
};
use odeon_protocol::messages::master_scheduler::{
    AgentLost, FrameworkFailed, OfferRescinded, OffersMade, ReturnWanted, TaskUpdated,
};

/// Commands of one message, and whose they are.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) agent_id: AgentId,
    pub(crate) commands: Commands,
}

/// Commands that an agent gets in one message.
#[derive(Debug)]
pub(crate) enum Commands {
    /// With about how many bytes they are.
    Launches(Vec<LaunchTask>, usize),
    Acknowledgements(Vec<AcknowledgeStatus>),
    Kill(KillTask),
    Ping(PingAgent),
    ShutdownFramework(ShutdownFramework),
    ShutdownAgent(ShutdownAgent),
}

impl Order {
    pub(crate) fn new(agent_id: AgentId, command: AgentCommand) -> Self {
        let commands = match command {
            AgentCommand::Launch(launch) => {
                let bytes = launch.bytes();
                Commands::Launches(vec![*launch], bytes)
            }
            AgentCommand::Acknowledge(acknowledge) => Commands::Acknowledgements(vec![acknowledge]),
            AgentCommand::Kill(command) => Commands::Kill(command),
            AgentCommand::Ping(command) => Commands::Ping(command),
            AgentCommand::ShutdownFramework(command) => Commands::ShutdownFramework(command),
            AgentCommand::ShutdownAgent(command) => Commands::ShutdownAgent(command),
        };
        Self { agent_id, commands }
    }
}

impl Commands {
    /// What the core has to know of them when the agent has answered.
    pub(crate) fn receipts(&self) -> Vec<CommandReceipt> {
        match self {
            Self::Launches(launches, _) => launches.iter().map(CommandReceipt::of_launch).collect(),
            Self::Kill(kill) => vec![CommandReceipt::of_kill(kill)],
            Self::Ping(_) => vec![CommandReceipt::Ping],
            Self::Acknowledgements(_) | Self::ShutdownFramework(_) | Self::ShutdownAgent(_) => {
                vec![CommandReceipt::Other]
            }
        }
    }
}

impl Parcel for Order {
    fn join(&mut self, next: Self) -> Result<(), Self> {
        if self.agent_id != next.agent_id {
            return Err(next);
        }
        match (&mut self.commands, next.commands) {
            (Commands::Launches(all, bytes), Commands::Launches(more, more_bytes)) if has_room(all.len(), *bytes) => {
                all.extend(more);
                *bytes += more_bytes;
                Ok(())
            }
            (Commands::Acknowledgements(all), Commands::Acknowledgements(more)) if has_room(all.len(), 0) => {
                all.extend(more);
                Ok(())
            }
            (_, commands) => Err(Self { commands, ..next }),
        }
    }
}

/// Events that a scheduler hears in one message.
#[derive(Debug)]
pub(crate) enum Events {
    /// With about how many bytes they are.
    Updates(Vec<TaskUpdated>, usize),
    Offers(OffersMade),
    Rescinded(OfferRescinded),
    ReturnWanted(ReturnWanted),
    AgentLost(AgentLost),
    Failed(FrameworkFailed),
}

impl From<SchedulerEvent> for Events {
    fn from(event: SchedulerEvent) -> Self {
        match event {
            SchedulerEvent::Updated(update) => {
                let bytes = update.bytes();
                Self::Updates(vec![update], bytes)
            }
            SchedulerEvent::Offers(event) => Self::Offers(event),
            SchedulerEvent::Rescinded(event) => Self::Rescinded(event),
            SchedulerEvent::ReturnWanted(event) => Self::ReturnWanted(event),
            SchedulerEvent::AgentLost(event) => Self::AgentLost(event),
            SchedulerEvent::Failed(event) => Self::Failed(event),
        }
    }
}

impl Parcel for Events {
    fn join(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Updates(all, bytes), Self::Updates(more, more_bytes)) if has_room(all.len(), *bytes) => {
                all.extend(more);
                *bytes += more_bytes;
                Ok(())
            }
            (_, next) => Err(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odeon_protocol::batch::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX};
    use odeon_protocol::executor::CommandInfo;
    use odeon_protocol::id::{FrameworkId, StatusUuid, TaskId};
    use odeon_protocol::messages::Epoch;
    use odeon_protocol::resources::Resources;
    use odeon_protocol::role::Role;
    use odeon_protocol::task::{TaskInfo, Work};

    fn agent(id: &str) -> AgentId {
        AgentId::new(id).expect("an id")
    }

    fn framework() -> FrameworkId {
        FrameworkId::new("f").expect("an id")
    }

    fn launch(argument_bytes: usize) -> Order {
        let argv = vec!["x".repeat(argument_bytes)];
        let work = Work::Command(CommandInfo { argv, environment: [].into(), working_directory: None });
        let task = TaskInfo::new(TaskId::new("t").expect("an id"), "t", Resources::empty(), work);
        let launch = LaunchTask {
            epoch: Epoch(1),
            framework_id: framework(),
            role: Role::default(),
            task,
            checkpoint: false,
            killing_state: false,
        };
        Order::new(agent("a"), AgentCommand::Launch(Box::new(launch)))
    }

    fn acknowledge(of: &str) -> Order {
        let (task_id, uuid) = (TaskId::new("t").expect("an id"), StatusUuid::new("u").expect("an id"));
        let command = AcknowledgeStatus { epoch: Epoch(1), framework_id: framework(), task_id, uuid };
        Order::new(agent(of), AgentCommand::Acknowledge(command))
    }

    /// How many of so many orders one message takes.
    fn joined(count: usize, order: impl Fn() -> Order) -> usize {
        let mut first = order();
        1 + (1..count).take_while(|_| first.join(order()).is_ok()).count()
    }

    #[test]
    fn a_message_takes_commands_of_one_kind_up_to_a_number_and_a_size() {
        assert_eq!(joined(1000, || launch(1)), BATCH_ITEMS_MAX);
        assert_eq!(joined(1000, || launch(BATCH_BYTES_MAX / 4)), 4);
        assert_eq!(joined(1000, || acknowledge("a")), BATCH_ITEMS_MAX);
        assert!(launch(1).join(acknowledge("a")).is_err() && acknowledge("a").join(launch(1)).is_err());
    }

    #[test]
    fn what_is_for_two_agents_of_a_node_travels_apart() {
        assert!(acknowledge("a").join(acknowledge("b")).is_err());
    }

    #[test]
    fn each_launch_of_a_message_has_its_receipt_and_acknowledgements_have_one() {
        let mut launches = launch(1);
        launches.join(launch(1)).expect("it is one of the same kind");
        let key = (framework(), TaskId::new("t").expect("an id"));
        assert_eq!(launches.commands.receipts(), vec![CommandReceipt::Launch(key); 2]);
        assert_eq!(acknowledge("a").commands.receipts(), [CommandReceipt::Other]);
    }
}
