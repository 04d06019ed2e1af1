//! The actor of the master: hands messages to the core, and carries out what the core wants done.
//!
//! Decides nothing. Its handlers take microseconds; writing happens off the arbiter.

use crate::core::{CommandReceipt, MasterCore, MasterOutbox};
use crate::effect::{CommandOutcome, Effect};
use crate::messenger::{Followers, Messenger};
use crate::record::Record;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::directory::WatchError;
use odeon_protocol::messages::master_agent::{ForwardStatuses, RegisterAgent};
use odeon_protocol::messages::master_operator::{
    GetAgents, GetFrameworks, GetMaster, GetRoles, GetTasks, KillTaskByOperator,
};
use odeon_protocol::messages::master_scheduler::{
    AcceptOffers, AcknowledgeUpdates, DeclareDemand, DeclineOffers, KillFrameworkTask, ReconcileTasks, ReviveOffers,
    Subscribe, SuppressOffers, TeardownFramework,
};
use odeon_protocol::messages::members::{MembersSeen, WatchMembers};
use odeon_protocol::messages::operations::{
    DeactivateAgent, DrainAgent, ExplainFramework, ExplainTask, MarkAgentGone, ReactivateAgent, SetRolePriority,
    SetRoleWeight, TeardownFrameworkByOperator,
};
use odeon_protocol::messages::quota::{GetRoleQuotas, RemoveRoleQuota, SetRoleQuota};
use odeon_protocol::messages::reservations::{ReserveResources, UnreserveResources};
use odeon_protocol::moment::Moment;
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{
    Clock, Committer, CoreActor, CoreShell, DurableCore, Exports, From, LinkEvent, Node, NodeId, RecordLog, Reply,
};
use std::time::Duration;

/// The name behind which the master is exported.
pub(crate) const MASTER: &str = "master";

/// What a new actor begins with.
pub(crate) struct Beginning {
    pub(crate) core: MasterCore,
    /// What the core emitted when it began.
    pub(crate) first: MasterOutbox,
    pub(crate) log: Box<dyn RecordLog<Record>>,
    pub(crate) clock: Clock,
}

/// Runs the core of a master.
pub(crate) struct MasterActor {
    node: Node,
    shell: CoreShell<MasterCore>,
    /// What the committer begins with; it needs the actor's address, and is built at the start.
    beginning: Option<(MasterOutbox, Box<dyn RecordLog<Record>>)>,
    followers: Followers,
}

impl MasterActor {
    pub(crate) fn new(node: &Node, beginning: Beginning) -> Self {
        let Beginning { core, first, log, clock } = beginning;
        let beginning = Some((first, log));
        Self {
            node: node.clone(),
            shell: CoreShell::new(core, clock),
            beginning,
            followers: Followers::new(|| Err(WatchError::Ended)),
        }
    }

    /// What the master takes from peers: all of its three interfaces, each from those it is for. The framework of the
    /// deployer runs beside the master, as one.
    pub(crate) fn exports(own: &Addr<Self>) -> Exports {
        Exports::new()
            .only_from(&[PeerRole::Agent])
            .accept_from::<RegisterAgent, _>(own)
            .accept_from::<ForwardStatuses, _>(own)
            .only_from(&[PeerRole::Client, PeerRole::Master])
            .accept_from::<Subscribe, _>(own)
            .accept_from::<AcceptOffers, _>(own)
            .accept_from::<DeclineOffers, _>(own)
            .accept_from::<ReviveOffers, _>(own)
            .accept_from::<SuppressOffers, _>(own)
            .accept_from::<DeclareDemand, _>(own)
            .accept_from::<KillFrameworkTask, _>(own)
            .accept_from::<AcknowledgeUpdates, _>(own)
            .accept_from::<ReconcileTasks, _>(own)
            .accept_from::<TeardownFramework, _>(own)
            .only_from(&[PeerRole::Client])
            .accept_from::<GetMaster, _>(own)
            .accept_from::<GetAgents, _>(own)
            .accept_from::<GetTasks, _>(own)
            .accept_from::<GetFrameworks, _>(own)
            .accept_from::<GetRoles, _>(own)
            .accept_from::<KillTaskByOperator, _>(own)
            .accept_from::<SetRoleWeight, _>(own)
            .accept_from::<SetRolePriority, _>(own)
            .accept_from::<DeactivateAgent, _>(own)
            .accept_from::<ReactivateAgent, _>(own)
            .accept_from::<MarkAgentGone, _>(own)
            .accept_from::<DrainAgent, _>(own)
            .accept_from::<TeardownFrameworkByOperator, _>(own)
            .accept_from::<ExplainTask, _>(own)
            .accept_from::<ExplainFramework, _>(own)
            .accept_from::<SetRoleQuota, _>(own)
            .accept_from::<RemoveRoleQuota, _>(own)
            .accept_from::<GetRoleQuotas, _>(own)
            .accept_from::<ReserveResources, _>(own)
            .accept_from::<UnreserveResources, _>(own)
            .only_from(&[PeerRole::Client, PeerRole::ActorHost])
            .accept::<WatchMembers, _>(own)
    }

    /// Whether messages to a node have no way to it.
    fn is_away(&self, node: &NodeId) -> bool {
        node != self.node.id() && !self.node.linked_nodes().contains(node)
    }
}

impl DurableCore for MasterCore {
    type Effect = Effect;
    type Record = Record;

    fn next_deadline(&self) -> Option<Duration> {
        Self::next_deadline(self)
    }

    fn on_timer(&mut self, now: Moment, out: &mut MasterOutbox) {
        Self::on_timer(self, now, out);
    }
}

impl CoreActor for MasterActor {
    type Core = MasterCore;

    fn shell(&mut self) -> &mut CoreShell<MasterCore> {
        &mut self.shell
    }
}

impl Actor for MasterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some((first, log)) = self.beginning.take() {
            let messenger = Messenger::new(&self.node, context.address(), self.followers.clone());
            let perform = move |effect| messenger.perform(effect);
            let committer = Committer::with_log(&self.node, MASTER, log, perform);
            // Effects leave by themselves; a failed write fails the node.
            drop(committer.commit(first));
            self.shell.begin(committer);
        }
        let (mut links, own) = (self.node.subscribe_links(), context.address());
        context.spawn(actix::fut::wrap_future(async move {
            while let Some(event) = links.recv().await {
                if own.send(LinkChanged(event)).await.is_err() {
                    return;
                }
            }
        }));
        self.keep_deadline(context);
    }
}

/// A link event, put into the mailbox so that it is handled between messages.
struct LinkChanged(LinkEvent);

impl Message for LinkChanged {
    type Result = ();
}

impl Handler<LinkChanged> for MasterActor {
    type Result = ();

    /// A link that is up again by now is no loss: whoever is behind it has registered anew or will.
    fn handle(&mut self, LinkChanged(event): LinkChanged, context: &mut Self::Context) {
        let suspects: Vec<NodeId> = match event {
            LinkEvent::Down { node, .. } => vec![node],
            LinkEvent::Missed { .. } => self.shell.core().nodes().into_iter().collect(),
            _ => Vec::new(),
        };
        for node in suspects.iter().filter(|node| self.is_away(node)).cloned().collect::<Vec<_>>() {
            self.note(context, |core, now, out| core.on_node_lost(&node, now, out));
        }
    }
}

/// What an agent has answered to commands that it got in one message.
pub(crate) struct CommandsAnswered {
    pub(crate) agent_id: AgentId,
    pub(crate) node: NodeId,
    pub(crate) receipts: Vec<CommandReceipt>,
    pub(crate) outcome: CommandOutcome,
}

impl Message for CommandsAnswered {
    type Result = ();
}

impl Handler<CommandsAnswered> for MasterActor {
    type Result = ();

    fn handle(&mut self, answered: CommandsAnswered, context: &mut Self::Context) {
        let CommandsAnswered { agent_id, node, receipts, outcome } = answered;
        self.note(context, |core, now, out| {
            for receipt in &receipts {
                core.on_command_outcome(&agent_id, &node, receipt, &outcome, now, out);
            }
        });
    }
}

/// Ends the actor once all that was decided is durable.
pub(crate) struct StopMaster;

impl Message for StopMaster {
    type Result = ();
}

impl Handler<StopMaster> for MasterActor {
    type Result = ();

    fn handle(&mut self, _: StopMaster, context: &mut Self::Context) {
        self.stop_when_durable(context);
    }
}

impl Handler<WatchMembers> for MasterActor {
    type Result = Reply<Result<MembersSeen, WatchError>>;

    fn handle(&mut self, question: WatchMembers, context: &mut Self::Context) -> Self::Result {
        let followers = self.followers.clone();
        self.answer_or_hold(context, &followers, |core, now| core.on_watch_members(&question, now))
    }
}

/// Declares how a message of a peer reaches the core.
macro_rules! hears {
    ($($message:ident => |$core:ident, $node:ident, $body:ident, $now:ident, $out:ident| $decision:expr;)+) => {
        $(impl Handler<From<$message>> for MasterActor {
            type Result = Reply<<$message as Message>::Result>;

            fn handle(&mut self, message: From<$message>, context: &mut Self::Context) -> Self::Result {
                let From { node: $node, message: $body } = message;
                self.decide(context, |$core, $now, $out| $decision)
            }
        })+
    };
}

hears! {
    RegisterAgent => |core, node, body, now, out| core.on_register_agent(&node, body, now, out);
    ForwardStatuses => |core, node, body, now, out| core.on_forward_statuses(&node, body, now, out);
    Subscribe => |core, node, body, now, out| core.on_subscribe(&node, body, now, out);
    AcceptOffers => |core, node, body, now, out| core.on_accept_offers(&node, body, now, out);
    DeclineOffers => |core, node, body, now, _out| core.on_decline_offers(&node, &body, now);
    ReviveOffers => |core, node, body, _now, _out| core.on_revive_offers(&node, &body);
    SuppressOffers => |core, node, body, _now, _out| core.on_suppress_offers(&node, &body);
    DeclareDemand => |core, node, body, _now, _out| core.on_declare_demand(&node, body);
    KillFrameworkTask => |core, node, body, now, out| core.on_kill_framework_task(&node, body, now, out);
    AcknowledgeUpdates => |core, node, body, _now, out| core.on_acknowledge_updates(&node, body, out);
    ReconcileTasks => |core, node, body, now, out| core.on_reconcile_tasks(&node, &body, now, out);
    TeardownFramework => |core, node, body, now, out| core.on_teardown_framework(&node, &body, now, out);
    GetMaster => |core, _node, _body, _now, _out| core.on_get_master();
    GetAgents => |core, _node, _body, _now, _out| core.on_get_agents();
    GetTasks => |core, _node, body, _now, _out| core.on_get_tasks(&body);
    GetFrameworks => |core, _node, _body, _now, _out| core.on_get_frameworks();
    GetRoles => |core, _node, _body, _now, _out| core.on_get_roles();
    KillTaskByOperator => |core, _node, body, _now, out| core.on_kill_task_by_operator(body, out);
    SetRoleWeight => |core, _node, body, _now, out| core.on_set_role_weight(body, out);
    SetRolePriority => |core, _node, body, _now, out| core.on_set_role_priority(body, out);
    DeactivateAgent => |core, _node, body, now, out| core.on_deactivate_agent(&body, now, out);
    ReactivateAgent => |core, _node, body, _now, out| core.on_reactivate_agent(&body, out);
    MarkAgentGone => |core, _node, body, now, out| core.on_mark_agent_gone(&body, now, out);
    DrainAgent => |core, _node, body, now, out| core.on_drain_agent(body, now, out);
    TeardownFrameworkByOperator => |core, _node, body, now, out| core.on_teardown_by_operator(&body, now, out);
    ExplainTask => |core, _node, body, now, _out| core.on_explain_task(&body, now);
    ExplainFramework => |core, _node, body, now, _out| core.on_explain_framework(&body, now);
    SetRoleQuota => |core, _node, body, now, out| core.on_set_role_quota(body, now, out);
    RemoveRoleQuota => |core, _node, body, _now, out| core.on_remove_role_quota(&body, out);
    GetRoleQuotas => |core, _node, _body, _now, _out| core.on_get_role_quotas();
    ReserveResources => |core, _node, body, now, out| core.on_reserve_resources(&body, now, out);
    UnreserveResources => |core, _node, body, now, out| core.on_unreserve_resources(&body, now, out);
}
