//! An actor that writes down what it handles, in files that outlive it: afterwards they tell which run of it has handled
//! what, and that no message was handled twice. `tests/hosts` cuts and kills hosts under it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// Enters a number; the reply is the run of the actor that has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Enter {
    number: u64,
}
remote_message!(Enter => String, "ledger.v1.Enter");

/// One run of the actor, with a page of its own.
struct Ledger {
    run: String,
    page: File,
}

/// `[args]` of its deployment.
#[derive(Deserialize)]
struct LedgerArgs {
    /// Where the pages are kept.
    directory: PathBuf,
}

impl Actor for Ledger {
    type Context = Context<Self>;
}

impl Handler<Enter> for Ledger {
    type Result = String;

    /// A page that cannot be written to ends the run: what is not written down is not confirmed.
    fn handle(&mut self, Enter { number }: Enter, _: &mut Self::Context) -> String {
        writeln!(self.page, "{number}").expect("the page can be written to");
        self.run.clone()
    }
}

impl Ledger {
    /// Takes the first page that no other run has.
    fn open(LedgerArgs { directory }: LedgerArgs, start: &ActorStart) -> io::Result<Self> {
        let name = format!("{}@{}", start.name().replace('/', "-"), start.node().id());
        for attempt in 0_u32.. {
            let run = format!("{name}.{attempt}");
            match OpenOptions::new().append(true).create_new(true).open(directory.join(&run)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return Ok(Self { run, page: opened? }),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Deployable for Ledger {
    type Args = LedgerArgs;

    fn build(args: LedgerArgs, start: &ActorStart) -> Result<Self, TaskFailure> {
        let directory = args.directory.display().to_string();
        Self::open(args, start).map_err(|error| TaskFailure::new(format!("no page in {directory}: {error}")))
    }

    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<Enter>()
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().actor::<Ledger>("examples.Ledger").run()
}
