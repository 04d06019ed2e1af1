//! What every message looks like on the wire: a change of a schema is seen in the difference of a file.
//!
//! Which schemas agree is tested beside `odeon_protocol::schema`; here it is only noticed that one has changed.

use std::collections::BTreeMap;
use std::path::Path;

use odeon_learning::messages::*;
use odeon_protocol::messages::agent_executor::*;
use odeon_protocol::messages::binaries::*;
use odeon_protocol::messages::deployments::*;
use odeon_protocol::messages::directory::*;
use odeon_protocol::messages::hosted_actor::*;
use odeon_protocol::messages::master_agent::*;
use odeon_protocol::messages::master_operator::*;
use odeon_protocol::messages::master_scheduler::*;
use odeon_protocol::messages::members::*;
use odeon_protocol::messages::operations::*;
use odeon_protocol::messages::quota::*;
use odeon_protocol::messages::reservations::*;
use odeon_protocol::messages::sandbox::*;
use odeon_protocol::messages::topics::*;
use odeon_protocol::schema::Schema;
use odeon_protocol::wire::RemoteMessage;
use odeon_runtime::GetFigures;

/// Messages of which only measurements know.
const UNLISTED: &str = "measure.";

macro_rules! schemas {
    ($($message:ty)+) => {
        BTreeMap::from([$((<$message>::WIRE_NAME, <$message>::schema())),+])
    };
}

/// All messages but those of measurements.
fn schemas() -> BTreeMap<&'static str, &'static Schema> {
    schemas! {
        AcknowledgeStatuses KillTask LaunchTasks PingAgent ReadSandbox RegisterExecutor ShutdownAgent
        ShutdownFramework UpdateStatuses OfferBinary PutBinary ReadBinary Deploy FindActor GetActors
        GetDeployments RemoveDeployment RenewLease RollBackDeployment ScaleDeployment StartActor StopActor
        UpdateDeployment WatchActors EndTask RunTasks ShutdownExecutor CallActor DescribeActor ComputePartials
        EndTraining JoinTraining AcceptOffers AcknowledgeUpdates DeactivateAgent DeclareDemand DeclineOffers
        DrainAgent ExplainFramework ExplainTask ForwardStatuses GetAgents GetFrameworks GetMaster GetRoleQuotas
        GetRoles GetTasks KillFrameworkTask KillTaskByOperator MarkAgentGone ReactivateAgent ReconcileTasks
        RegisterAgent RemoveRoleQuota ReviveOffers SetRolePriority SetRoleQuota SetRoleWeight Subscribe
        SuppressOffers TeardownFramework TeardownFrameworkByOperator WatchMembers GetFigures AgentLost
        FrameworkFailed OfferRescinded OffersMade ReturnWanted TasksUpdated Published SubscribeToTopic
        WatchTopic ReserveResources UnreserveResources
    }
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_message_has_its_schema_listed() {
    let names: Vec<&str> = schemas().into_keys().collect();
    let known = fixture("wire_names.txt");
    let known: Vec<&str> = known.lines().filter(|name| !name.is_empty() && !name.starts_with(UNLISTED)).collect();
    assert_eq!(names, known);
}

/// Whoever changes a message looks at whether builds before it still agree, and says so in the changelog if not.
#[test]
fn schemas_are_those_of_the_golden_list() {
    let now: String = schemas().iter().map(|(name, schema)| format!("{name} {}\n", schema.fingerprint())).collect();
    let golden = fixture("schemas.txt");
    let changed = schemas()
        .into_iter()
        .filter(|(name, schema)| !golden.lines().any(|line| line == format!("{name} {}", schema.fingerprint())));
    let changed: Vec<String> = changed.map(|(name, schema)| format!("{name}\n{}", schema.text())).collect();
    assert!(changed.is_empty(), "these have changed:\n{}\nthe whole list is now:\n{now}", changed.join("\n"));
    assert_eq!(now, golden);
}

/// A place that cannot be seen hides a change: the steps of `[prepare]` are tagged by one of their fields, and two keys of a
/// job file take more than one kind of value.
#[test]
fn every_place_of_every_message_is_seen_but_a_few_of_a_job_file() {
    let is_unseen = |line: &&str| line.ends_with(" ?") || line.ends_with(" any");
    let unseen: Vec<String> = schemas()
        .iter()
        .flat_map(|(name, schema)| schema.text().lines().filter(is_unseen).map(move |line| format!("{name} {line}")))
        .collect();
    let of_job_files = [
        "learning.v1.ComputePartials in.new_steps[] any",
        "learning.v1.ComputePartials in.pass|SupportVectors.problem.settings.gamma any",
        "learning.v1.JoinTraining out|Ok.job.data.path! any",
        "learning.v1.JoinTraining out|Ok.job.model.svm.gamma any",
        "learning.v1.JoinTraining out|Ok.job.prepare.steps[] any",
    ];
    assert_eq!(unseen, of_job_files);
}
