//! What a user writes to have an actor type that can be deployed: [`Deployable`], and what such an actor is told.

use crate::directory::Directory;
use crate::messages::Messages;
use crate::task::TaskFailure;
use actix::{Actor, Context};
use odeon_runtime::Node;
use serde::de::DeserializeOwned;

/// An actor type that hosts can start, by the name under which it is registered.
///
/// It is an actix actor like any other; here it says what it is started with and which messages it takes from afar.
pub trait Deployable: Actor<Context = Context<Self>> {
    /// What it is started with: the `[args]` of its deployment. A field that it does not have is refused.
    type Args: DeserializeOwned;

    /// Builds the actor, at first and again after each panic.
    ///
    /// # Errors
    /// Whatever makes a start senseless; the actor is given up then, with the text.
    fn build(args: Self::Args, start: &ActorStart) -> Result<Self, TaskFailure>;

    /// Lists the messages that it takes from other nodes and from the command line; all others are refused.
    fn messages(list: Messages<Self>) -> Messages<Self>;
}

/// What an actor is told when it is built.
#[derive(Debug, Clone)]
pub struct ActorStart {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) instances: u32,
    pub(crate) epoch: u64,
    pub(crate) node: Node,
    pub(crate) directory: Directory,
}

impl ActorStart {
    /// Its name in the cluster, `deployment/index`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which one of its deployment it is, from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// How many its deployment had when this one was placed.
    #[must_use]
    pub fn instances(&self) -> u32 {
        self.instances
    }

    /// Grows with each placement: of two runs of an actor the later one has the greater epoch. Whoever is told it can
    /// refuse the orders of a run that came before the one it has heard of.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The node of its host.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Finds other actors by name.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
}
