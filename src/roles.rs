//! From the configuration of a role to what its node is started with.
//!
//! Texts that only the role understands, such as resources, are read here; their errors name the key.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use odeon_agent::{AgentLimits, AgentNode, AgentSettings, OfferedResources, detect_resources};
use odeon_allocator::{AllocatorConfig, Weight};
use odeon_deployer::{DeployerNode, DeployerSettings};
use odeon_master::{MasterNode, MasterRules, MasterSettings, RemovalRate, StartMasterError};
use odeon_protocol::id::MasterId;
use odeon_protocol::resources::{CPUS, Class, DISK, MEM, Resources, Scalar, TypedResources};
use odeon_protocol::role::Role;
use odeon_runtime::transport::{Tcp, Transport};
use odeon_runtime::trust::{CredentialFiles, Credentials, PeerRole, PeerRoles, Tls};
use odeon_runtime::{Endpoint, FabricLimits};

use crate::app::{Environment, fresh_seed};
use crate::config::{AgentConfig, HostPort, MasterConfig, RateLimit};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};

/// Starts a master on this arbiter.
///
/// # Errors
/// [`Failure`] with the code for wrong usage: the configuration, the directory or the port is at fault.
pub async fn start_master(config: &MasterConfig) -> Result<MasterNode, Failure> {
    let seed = fresh_seed();
    let standing = Standing::of(PeerRole::Master, config.bind, config.advertise.as_ref(), config.tls.files())?;
    let settings = MasterSettings {
        node_name: "master".to_owned(),
        incarnation: seed,
        seed,
        bind: endpoint(config.bind, config.port),
        advertise: standing.advertise,
        work_dir: config.work_dir.clone(),
        master_id: MasterId::new(uuid::Uuid::new_v4().to_string()).or_exit(Exit::WorkFailed)?,
        limits: FabricLimits::DEFAULT,
        rules: master_rules(config)?,
    };
    let port = config.port;
    let master = MasterNode::start(settings, standing.transport).await.map_err(|error| {
        let hint = matches!(error, StartMasterError::Listen(_)).then(|| taken_port_hint(port));
        started(error, hint)
    })?;
    master.node.serve_figures();
    Ok(master)
}

/// Starts an agent on this arbiter, under a name that is unique among the nodes of this process.
///
/// # Errors
/// As [`start_master`].
pub async fn start_agent(name: &str, config: &AgentConfig, environment: &Environment) -> Result<AgentNode, Failure> {
    let seed = fresh_seed();
    let standing = Standing::of(PeerRole::Agent, config.bind, config.advertise.as_ref(), config.tls.files())?;
    let executor_credentials = executor_credentials(config, standing.advertise.as_ref())?;
    let OfferedResources { all, reserved } = agent_resources(config)?;
    let settings = AgentSettings {
        name: name.to_owned(),
        incarnation: seed,
        seed,
        master: Endpoint::new(config.master.to_string()),
        listen: endpoint(config.bind, config.port),
        advertise: standing.advertise,
        hostname: config.hostname.clone().unwrap_or_else(hostname),
        attributes: attributes(&config.attributes)?,
        resources: all,
        reserved,
        work_dir: config.work_dir.clone(),
        environment: environment.variables.clone(),
        program: environment.program.clone(),
        executor_credentials,
        recover: config.recover,
        reconfiguration_policy: config.reconfiguration_policy,
        disk_is_measured: !config.resources.as_ref().is_some_and(|text| names_disk(text)),
        limits: agent_limits(config),
    };
    let port = config.port;
    AgentNode::start(settings, standing.transport).await.map_err(|error| {
        let hint = matches!(error, odeon_agent::StartAgentError::Listen(_)).then(|| taken_port_hint(port));
        started(error, hint)
    })
}

/// Starts the deployer of a master, on its node; its journal lies beside the master's registry.
///
/// # Errors
/// As [`start_master`].
pub async fn start_deployer(master: &MasterNode, config: &MasterConfig) -> Result<DeployerNode, Failure> {
    let standing = Standing::of(PeerRole::Master, config.bind, config.advertise.as_ref(), config.tls.files())?;
    let settings = DeployerSettings {
        node: master.node.clone(),
        master: master.endpoint.clone(),
        work_dir: config.work_dir.clone(),
        seed: fresh_seed(),
    };
    DeployerNode::start(settings, standing.transport).await.map_err(|error| started(error, None))
}

fn started(error: impl std::error::Error + Send + Sync + 'static, hint: Option<String>) -> Failure {
    let failure = Err::<(), _>(error).or_exit(Exit::Usage).expect_err("an error was given");
    match hint {
        Some(hint) => Failure::usage(format!("{failure}\n{hint}")),
        None => failure,
    }
}

fn taken_port_hint(port: u16) -> String {
    format!("another process may have port {port}: name another one with --port (or the key `port`), or 0 for any")
}

fn endpoint(bind: IpAddr, port: u16) -> Endpoint {
    Endpoint::new(std::net::SocketAddr::new(bind, port).to_string())
}

fn advertised(address: &HostPort) -> Endpoint {
    Endpoint::new(address.to_string())
}

/// What a role takes part in the network with. Without credentials nobody could tell who is at the other end, so that it
/// serves its own host only.
struct Standing {
    transport: Arc<dyn Transport>,
    /// What others dial, if that is another address than it listens at.
    advertise: Option<Endpoint>,
}

impl Standing {
    fn of(
        role: PeerRole,
        bind: IpAddr,
        advertise: Option<&HostPort>,
        files: Option<CredentialFiles>,
    ) -> Result<Self, Failure> {
        let advertise = advertise.map(advertised);
        let Some(files) = files else {
            return match bind.is_loopback() {
                true => Ok(Self { transport: Arc::new(Tcp), advertise }),
                false => Err(open(role, bind)),
            };
        };
        if bind.is_unspecified() && advertise.is_none() {
            return Err(Failure::usage(format!(
                "advertise: must be set, because nobody can dial {bind}: give the HOST:PORT at which others reach the {role}"
            )));
        }
        let credentials = credentials("tls.cert", role, &files)?;
        let dialled = advertise.clone().unwrap_or_else(|| endpoint(bind, 0));
        credentials.check_host(&dialled).map_err(|fault| not_for_host("tls.cert", &files, &dialled, &fault))?;
        Ok(Self { transport: Arc::new(Tls::new(credentials)), advertise })
    }
}

fn open(role: PeerRole, bind: IpAddr) -> Failure {
    Failure::usage(format!(
        "bind: {bind} can be reached from other hosts, and without credentials a {role} serves its own host only\n\
         make credentials with `odeon cert init` and `odeon cert issue --role {role}` and name them under [tls], \
         or bind to 127.0.0.1"
    ))
}

fn credentials(key: &str, role: PeerRole, files: &CredentialFiles) -> Result<Credentials, Failure> {
    let credentials = Credentials::load(files).map_err(|error| {
        let failure = Err::<(), _>(error).or_exit(Exit::Usage).expect_err("an error was given");
        Failure::usage(format!("tls: {failure}"))
    })?;
    let (name, roles) = (credentials.identity().name().unwrap_or_default(), credentials.identity().roles());
    match roles.contains(role) {
        true => Ok(credentials),
        false => Err(Failure::usage(format!(
            "{key}: the certificate in {} is that of {name} as {roles}, and this takes one of the role {role}\n\
             make one with `odeon cert issue --role {role}`",
            files.cert.display()
        ))),
    }
}

fn not_for_host(key: &str, files: &CredentialFiles, dialled: &Endpoint, fault: &str) -> Failure {
    let cert = files.cert.display();
    Failure::usage(format!(
        "{key}: others dial {dialled}, and the certificate in {cert} {fault}\nissue one with --host"
    ))
}

/// The credentials of executors: they are the holder's to use, so they must not make an agent of a task.
fn executor_credentials(config: &AgentConfig, dialled: Option<&Endpoint>) -> Result<Option<CredentialFiles>, Failure> {
    const KEY: &str = "tls.executor_cert";
    let Some(files) = config.tls.executor_files() else { return Ok(None) };
    let credentials = credentials(KEY, PeerRole::ActorHost, &files)?;
    let roles = credentials.identity().roles();
    if roles != PeerRoles::of(&[PeerRole::ActorHost]) {
        let text = format!("{KEY}: executors may be actor-host and nothing else, and this one is {roles}");
        return Err(Failure::usage(text));
    }
    let dialled = dialled.cloned().unwrap_or_else(|| endpoint(config.bind, 0));
    credentials.check_host(&dialled).map_err(|fault| not_for_host(KEY, &files, &dialled, &fault))?;
    let absolute = |path: &Path| std::path::absolute(path).or_exit(Exit::Usage);
    let CredentialFiles { ca, cert, key } = &files;
    Ok(Some(CredentialFiles { ca: absolute(ca)?, cert: absolute(cert)?, key: absolute(key)? }))
}

fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

fn master_rules(config: &MasterConfig) -> Result<MasterRules, Failure> {
    let cpus = scalar("min_allocatable_cpus", config.min_allocatable_cpus)?;
    let mem = scalar("min_allocatable_mem", config.min_allocatable_mem.mib())?;
    let minimum = vec![Resources::empty().with_scalar(CPUS, cpus), Resources::empty().with_scalar(MEM, mem)];
    let allocator = AllocatorConfig {
        allocation_interval: config.allocation_interval.get(),
        minimum,
        weights: weights(&config.weights)?,
        seed: 0,
        ..AllocatorConfig::default()
    };
    Ok(MasterRules {
        ping_interval: config.agent_ping_timeout.get(),
        pings_missed_max: config.agent_ping_timeouts_max,
        agent_return_timeout: config.agent_reregister_timeout.get(),
        agent_removal_rate: match config.agent_removal_rate_limit {
            RateLimit::Unlimited => None,
            RateLimit::AtMost { count, per } => Some(RemovalRate { count, per: per.get() }),
        },
        recovery_removal_percent_max: config.recovery_agent_removal_limit,
        agents_max: config.agents_max,
        frameworks_max: config.frameworks_max,
        preemption_grace: config.preemption_grace.get(),
        offer_timeout: Some(config.offer_timeout.get()),
        allocator,
        ended_tasks_max: config.completed_tasks_per_framework_max,
        ended_frameworks_max: config.completed_frameworks_max,
        ..MasterRules::default()
    })
}

fn weights(given: &BTreeMap<String, f64>) -> Result<BTreeMap<Role, Weight>, Failure> {
    let weight = |(role, weight): (&String, &f64)| {
        let key = format!("weights.{role}");
        let role = Role::new(role.as_str()).map_err(|error| Failure::usage(format!("{key}: {error}")))?;
        let weight = Weight::new(scalar(&key, *weight)?);
        Ok((role, weight.map_err(|error| Failure::usage(format!("{key}: {error}")))?))
    };
    given.iter().map(weight).collect()
}

fn agent_limits(config: &AgentConfig) -> AgentLimits {
    AgentLimits {
        registration_backoff_min: config.registration_backoff_min.get(),
        registration_backoff_max: config.registration_backoff_max.get(),
        executor_registration_timeout: config.executor_registration_timeout.get(),
        executor_shutdown_grace: config.executor_shutdown_grace.get(),
        executor_reregistration_timeout: config.executor_reregistration_timeout.get(),
        recovery_timeout: config.recovery_timeout.get(),
        task_kill_grace: config.task_kill_grace.get(),
        status_retry_min: config.status_retry_min.get(),
        status_retry_max: config.status_retry_max.get(),
        sandboxes_max: config.completed_executors_max,
        sandbox_age_max: config.gc_delay.get(),
        disk_headroom_permille: config.gc_disk_headroom_percent * 10,
        disk_watch_interval: config.disk_watch_interval.get(),
        sandbox_keep: config.sandbox_keep,
        ..AgentLimits::DEFAULT
    }
}

fn names_disk(resources: &str) -> bool {
    let named = resources.parse::<TypedResources>().map(|named| named.of(&Class::default()));
    named.is_ok_and(|named| named.scalars().any(|(name, _)| name == DISK))
}

fn agent_resources(config: &AgentConfig) -> Result<OfferedResources, Failure> {
    let found = detect_resources(Path::new(&config.work_dir), config.resources.as_deref());
    found.map_err(|error| Failure::usage(format!("resources: {error}")))
}

/// Reads `rack:a;zone:b`.
fn attributes(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    let attribute = |entry: &str| match entry.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => {
            Err(Failure::usage(format!("attributes: {entry:?} is not of the form name:value, as in \"rack:a;zone:b\"")))
        }
    };
    entries.map(attribute).collect()
}

/// An amount with at most three decimals; `key` is named if it is none.
pub(crate) fn scalar(key: &str, amount: f64) -> Result<Scalar, Failure> {
    let no_amount =
        || Failure::usage(format!("{key}: {amount} is not an amount: a number from 0 with at most three decimals"));
    // The shortest decimal form is what the user has typed.
    format!("{amount}").parse().map_err(|()| no_amount())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_pairs() {
        let pairs = attributes("rack:a; zone:b:c ;").expect("two pairs");
        assert_eq!(pairs, BTreeMap::from([("rack".into(), "a".into()), ("zone".into(), "b:c".into())]));
        assert!(attributes("rack").is_err_and(|failure| failure.to_string().contains("\"rack\"")));
    }

    #[test]
    fn an_amount_is_taken_as_typed_or_refused() {
        assert_eq!(scalar("cpus", 0.1).expect("an amount"), Scalar::from_thousandths(100));
        for amount in [-1.0, 0.0005, f64::NAN, f64::INFINITY, 1e300] {
            assert!(scalar("cpus", amount).is_err(), "{amount}");
        }
    }
}
