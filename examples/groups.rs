//! A group that follows a deployment: members come and go as it is scaled, and each change says which keys move.
//!
//! Run it with `cargo run --example groups`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// Asks a member which actors of its own type it sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct WhoIsThere;
remote_message!(WhoIsThere => Vec<String>, "groups.v1.WhoIsThere");

/// Looks for its like with the directory that it was started with.
struct Member(Directory);

impl Actor for Member {
    type Context = Context<Self>;
}

impl Handler<WhoIsThere> for Member {
    type Result = Reply<Vec<String>>;

    fn handle(&mut self, _: WhoIsThere, _: &mut Self::Context) -> Self::Result {
        let directory = self.0.clone();
        Reply::later(async move {
            let found = directory.of_type::<WhoIsThere>("examples.Member").await.unwrap_or_default();
            found.iter().map(|peer| peer.actor().to_string()).collect()
        })
    }
}

impl Deployable for Member {
    type Args = ();

    fn build((): (), start: &ActorStart) -> Result<Self, TaskFailure> {
        Ok(Self(start.directory().clone()))
    }

    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<WhoIsThere>()
    }
}

/// Follows the deployment to another size, and says what becomes of a hundred keys.
async fn scale(deployments: &Deployments, group: &mut FollowedGroup<WhoIsThere>, count: u32) -> Result<(), Failure> {
    let name = DeploymentName::new("member").or_exit(Exit::Usage)?;
    deployments.scale(&name, count).await?;
    loop {
        let change = group.changed().await;
        let keys: Vec<String> = (0..100).map(|number| format!("key-{number}")).collect();
        let moved: Vec<_> = keys.iter().filter_map(|key| change.hand_over.moved(key.as_bytes())).collect();
        let (joined, left) = (change.hand_over.joined().count(), change.hand_over.left().count());
        let as_they_should = moved.iter().all(|key| {
            change.hand_over.joined().any(|name| Some(name) == key.to)
                || change.hand_over.left().any(|name| Some(name) == key.from)
        });
        println!("{joined} joined, {left} left, only their keys moved: {}", as_they_should && !moved.is_empty());
        if group.now().all().len() == count as usize {
            return Ok(());
        }
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().actor::<Member>("examples.Member").run_program(|environment| async move {
        let cluster = LocalCluster::start(&LocalConfig { port: 0, ..LocalConfig::default() }, &environment).await?;
        let near = cluster.deployments();
        let spec = DeploymentSpec::new("member", "examples.Member", 2, &()).or_exit(Exit::Usage)?;
        near.run(spec, Duration::from_secs(30)).await?;

        let client = environment.client_node().await?;
        let far = Deployments::at(&client, cluster.endpoint());
        for deployments in [near, far] {
            let wanted = GetActors { deployment: None, actor_type: Some("examples.Member".to_owned()) };
            let directory = deployments.directory();
            let mut group = directory.group::<WhoIsThere>(wanted).await.or_exit(Exit::WorkFailed)?;
            for count in [3, 2] {
                scale(&deployments, &mut group, count).await?;
            }
            let now = group.now();
            let seen = now.one().expect("it has two").send(WhoIsThere).await.or_exit(Exit::WorkFailed)?;
            println!("a member sees {}", seen.join(" and "));
        }
        client.shut_down();
        cluster.stop().await;
        Ok(())
    })
}
