//! A store whose keys are shared out over actors: each key has one owner, wherever in the cluster it runs.
//!
//! Run it with `cargo run --example key_value`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::time::Duration;

use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// Sets a key; the reply is its earlier value.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Put {
    key: String,
    value: String,
}
remote_message!(Put => Option<String>, "key_value.v1.Put");

/// Asks for the value of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Get {
    key: String,
}
remote_message!(Get => Option<String>, "key_value.v1.Get");

/// Asks how many keys there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Size;
remote_message!(Size => usize, "key_value.v1.Size");

interface! {
    /// What a shard hears.
    ShardApi: Put, Get, Size
}

#[derive(Default)]
struct Shard(BTreeMap<String, String>);
impl Actor for Shard {
    type Context = Context<Self>;
}

impl Handler<Put> for Shard {
    type Result = Option<String>;
    fn handle(&mut self, Put { key, value }: Put, _: &mut Self::Context) -> Self::Result {
        self.0.insert(key, value)
    }
}

impl Handler<Get> for Shard {
    type Result = Option<String>;
    fn handle(&mut self, Get { key }: Get, _: &mut Self::Context) -> Self::Result {
        self.0.get(&key).cloned()
    }
}

impl Handler<Size> for Shard {
    type Result = usize;
    fn handle(&mut self, _: Size, _: &mut Self::Context) -> usize {
        self.0.len()
    }
}

impl Deployable for Shard {
    type Args = ();

    fn build((): (), _: &ActorStart) -> Result<Self, TaskFailure> {
        Ok(Self::default())
    }

    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<Put>().accept::<Get>().accept::<Size>()
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().actor::<Shard>("examples.Shard").run_program(|environment| async move {
        let cluster = LocalCluster::start(&LocalConfig { port: 0, ..LocalConfig::default() }, &environment).await?;
        let deployments = cluster.deployments();
        let spec = DeploymentSpec::new("store", "examples.Shard", 3, &()).or_exit(Exit::Usage)?;
        deployments.run(spec, Duration::from_secs(30)).await?;

        let store = deployments.directory().keyed::<ShardApi>("store", 3);
        for number in 0..300 {
            let (key, value) = (format!("key-{number}"), (number * number).to_string());
            store.of(&key).send(Put { key: key.clone(), value }).await.or_exit(Exit::WorkFailed)?;
        }
        let owner = store.of("key-12");
        let value = owner.send(Get { key: "key-12".into() }).await.or_exit(Exit::WorkFailed)?;
        println!("key-12 is {value:?}, owned by {}", owner.name());
        for shard in store.iter() {
            println!("{} has {} keys", shard.name(), shard.send(Size).await.or_exit(Exit::WorkFailed)?);
        }
        cluster.stop().await;
        Ok(())
    })
}
