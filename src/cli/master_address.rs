//! Where the master is: `--master` or `ODEON_MASTER`, and how a client reaches it.

use std::time::Duration;

use clap::Args;
use odeon_protocol::messages::deployments::{DEPLOYER, DeployerForOperators};
use odeon_protocol::messages::master_operator::MasterForOperators;
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_runtime::{Endpoint, Peer};

use crate::app::Environment;
use crate::config::HostPort;
use crate::failure::{Failure, not_answered};

/// How long a client waits for one answer of the master.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Where the local cluster of this machine listens, unless it was told otherwise.
const DEFAULT_MASTER: &str = "127.0.0.1:5050";

/// The flag that names the master.
#[derive(Debug, Clone, Args)]
pub(crate) struct MasterAddress {
    /// The master [default: ODEON_MASTER, or 127.0.0.1:5050]
    #[arg(long, value_name = "HOST:PORT")]
    master: Option<String>,
}

impl MasterAddress {
    /// The address of a master that is known.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self { master: Some(endpoint.to_string()) }
    }

    /// The address that was given by flag or environment, if any.
    pub(crate) fn given(&self, environment: &Environment) -> Result<Option<Endpoint>, Failure> {
        let variable = environment.variables.get("ODEON_MASTER").filter(|text| !text.is_empty());
        let (source, text) = match (&self.master, variable) {
            (Some(text), _) => ("--master", text),
            (None, Some(text)) => ("ODEON_MASTER", text),
            (None, None) => return Ok(None),
        };
        let address = text.parse::<HostPort>().map_err(|error| Failure::usage(format!("{source}: {error}")))?;
        Ok(Some(Endpoint::new(address.to_string())))
    }

    /// The address that was given, or the usual one.
    pub(crate) fn or_default(&self, environment: &Environment) -> Result<Endpoint, Failure> {
        Ok(self.given(environment)?.unwrap_or_else(|| Endpoint::new(DEFAULT_MASTER)))
    }

    /// Asks the master one question.
    pub(crate) async fn ask<M>(&self, environment: &Environment, question: M) -> Result<M::Result, Failure>
    where
        M: RemoteMessage,
        MasterForOperators: Accepts<M>,
    {
        self.ask_actor::<MasterForOperators, M>(environment, "master", question).await
    }

    /// Asks the deployer, which is at the master, one question.
    pub(crate) async fn ask_deployer<M>(&self, environment: &Environment, question: M) -> Result<M::Result, Failure>
    where
        M: RemoteMessage,
        DeployerForOperators: Accepts<M>,
    {
        self.ask_actor::<DeployerForOperators, M>(environment, DEPLOYER, question).await
    }

    async fn ask_actor<I, M>(
        &self,
        environment: &Environment,
        actor: &'static str,
        question: M,
    ) -> Result<M::Result, Failure>
    where
        M: RemoteMessage,
        I: Accepts<M>,
    {
        let endpoint = self.or_default(environment)?;
        let node = environment.client_node().await?;
        let peer: Peer<I> = node.peer_at(&endpoint, actor);
        let answer = peer.send_within(question, ANSWER_WAIT_MAX).await;
        node.shut_down();
        answer.map_err(|error| not_answered(&endpoint, &error))
    }
}
