//! A singleton: an actor of which never more than one runs, on whichever agent. It writes its epoch into a file, again and
//! again; the file shows that none writes behind the back of a later one.
//!
//! Start a cluster with `cargo run --example singleton -- local`, then, beside it:
//!
//! ```text
//! cargo run --example singleton -- deploy examples/deployments/singleton.toml
//! tail -f /tmp/odeon-singleton.txt
//! ```

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use actix::AsyncContext;
use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// Between two lines.
const INTERVAL: Duration = Duration::from_millis(50);

/// Asks for the epoch of the run.
#[derive(Debug, Serialize, Deserialize)]
struct Epoch;
remote_message!(Epoch => u64, "singleton.v1.Epoch");

struct Scribe {
    epoch: u64,
    file: PathBuf,
}

/// `[args]` of its deployment.
#[derive(Deserialize)]
struct ScribeArgs {
    file: PathBuf,
}

impl Scribe {
    /// A store that can compare would refuse an epoch below the greatest that it has seen; a file just takes the line.
    fn write(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).expect("the file can be written");
        file.write_all(format!("{}\n", self.epoch).as_bytes()).expect("the disk has room");
    }
}

impl Actor for Scribe {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(INTERVAL, |scribe, _| scribe.write());
    }
}

impl Handler<Epoch> for Scribe {
    type Result = u64;

    fn handle(&mut self, _: Epoch, _: &mut Self::Context) -> u64 {
        self.epoch
    }
}

impl Deployable for Scribe {
    type Args = ScribeArgs;

    fn build(ScribeArgs { file }: ScribeArgs, start: &ActorStart) -> Result<Self, TaskFailure> {
        Ok(Self { epoch: start.epoch(), file })
    }

    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<Epoch>()
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().actor::<Scribe>("examples.Scribe").run()
}
