//! A word count over many actors: readers split lines and send each word to the tally that owns it; run it with
//! `cargo run --example word_count`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use odeon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, rc::Rc, time::Duration};

const TEXT: [&str; 3] = ["to be or not to be", "that is the question", "to count the words to be counted"];
const TALLIES: u32 = 2;

/// Adds one to a word.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Count(String);
remote_message!(Count => (), "word_count.v1.Count");

/// Asks for the count of a word.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CountOf(String);
remote_message!(CountOf => u64, "word_count.v1.CountOf");

/// Reads a line; the reply comes when each of its words is counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Read(String);
remote_message!(Read => Result<(), String>, "word_count.v1.Read");

#[derive(Default)]
struct Tally(BTreeMap<String, u64>);
impl Actor for Tally {
    type Context = Context<Self>;
}
impl Handler<Count> for Tally {
    type Result = ();
    fn handle(&mut self, Count(word): Count, _: &mut Self::Context) {
        *self.0.entry(word).or_default() += 1;
    }
}
impl Handler<CountOf> for Tally {
    type Result = u64;
    fn handle(&mut self, CountOf(word): CountOf, _: &mut Self::Context) -> u64 {
        self.0.get(&word).copied().unwrap_or(0)
    }
}
impl Deployable for Tally {
    type Args = ();
    fn build((): (), _: &ActorStart) -> Result<Self, TaskFailure> {
        Ok(Self::default())
    }
    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<Count>().accept::<CountOf>()
    }
}

struct Reader(Rc<KeyedActors<Count>>);
impl Actor for Reader {
    type Context = Context<Self>;
}
impl Handler<Read> for Reader {
    type Result = Reply<Result<(), String>>;
    fn handle(&mut self, Read(line): Read, _: &mut Self::Context) -> Self::Result {
        let tallies = Rc::clone(&self.0);
        Reply::later(async move {
            for word in line.split_whitespace() {
                tallies.of(word).send(Count(word.to_owned())).await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }
}
impl Deployable for Reader {
    type Args = ();
    fn build((): (), start: &ActorStart) -> Result<Self, TaskFailure> {
        Ok(Self(Rc::new(start.directory().keyed("tally", TALLIES))))
    }
    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<Read>()
    }
}

fn main() -> std::process::ExitCode {
    let app = odeon::app().actor::<Tally>("examples.Tally").actor::<Reader>("examples.Reader");
    app.run_program(|environment| async move {
        let cluster = LocalCluster::start(&LocalConfig { port: 0, ..LocalConfig::default() }, &environment).await?;
        let (deployments, directory) = (cluster.deployments(), cluster.deployments().directory());
        for (name, actor_type, instances) in [("tally", "examples.Tally", TALLIES), ("reader", "examples.Reader", 3)] {
            let spec = DeploymentSpec::new(name, actor_type, instances, &()).or_exit(Exit::Usage)?;
            deployments.run(spec, Duration::from_secs(30)).await?;
        }
        for (reader, line) in directory.keyed::<Read>("reader", 3).iter().zip(TEXT) {
            reader.send(Read(line.to_owned())).await.or_exit(Exit::WorkFailed)?.map_err(Failure::usage)?;
        }
        let tallies = directory.keyed::<CountOf>("tally", TALLIES);
        for word in ["to", "be", "the"] {
            println!("{word} {:?}", tallies.of(word).send(CountOf(word.to_owned())).await);
        }
        cluster.stop().await;
        Ok(())
    })
}
