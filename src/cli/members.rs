//! `odeon members`: who belongs to the cluster, and what happens to members as it happens.

use clap::Args;
use odeon_executor::{Directory, MemberNews};
use odeon_protocol::messages::members::{Member, MemberEvent};
use serde::Serialize;

use super::MasterAddress;
use super::listing::ListingArgs;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit, not_answered};
use crate::output::{Column, Format, Listed, Reader, document, escaped, print};
use crate::signals::EndSignals;

/// Lists the members of the cluster: its agents and frameworks, with the runs of their nodes
#[derive(Debug, Args)]
pub(crate) struct MembersArgs {
    /// Stay, and print what happens to members: one line, or with -o json one object, for each event
    #[arg(short, long, conflicts_with = "quiet")]
    watch: bool,
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// A member as it is listed.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(Member);

impl Listed for Row {
    const KIND: &'static str = "members";
    const COLUMNS: &'static [Column] = &[
        Column::always("ROLE"),
        Column::always("NAME"),
        Column::always("STATE"),
        Column::always("MEMBER"),
        Column::wide("NODE"),
        Column::wide("ENDPOINT"),
    ];

    fn cells(&self) -> Vec<String> {
        let member = &self.0;
        vec![
            member.role.name().to_owned(),
            member.name.clone(),
            member.state.name().to_owned(),
            member.id.clone(),
            run_of(member),
            member.endpoint.clone().unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.0.id.clone()
    }
}

/// Its node with the incarnation, as logs show it.
fn run_of(member: &Member) -> String {
    let run = member.node.as_ref().zip(member.incarnation);
    run.map(|(node, incarnation)| format!("{node}#{incarnation:x}")).unwrap_or_default()
}

/// Asks the master and prints the list, and with `--watch` all that follows.
pub(crate) async fn members(args: MembersArgs, environment: &Environment) -> Result<i32, Failure> {
    let master = args.master.or_default(environment)?;
    let node = environment.client_node().await?;
    let directory = Directory::at(&node, &master);
    let unreachable = |error| match error {
        odeon_executor::DirectoryError::Directory(cause) => not_answered(&master, &cause),
        other => Failure::new(Exit::NotReachable, other.to_string()),
    };
    // Also before following, which waits for a master for ever.
    let members = directory.members().await.map_err(unreachable)?;
    if !args.watch {
        node.shut_down();
        return args.listing.print(&rows(members), environment);
    }
    let (mut followed, mut signals) = (directory.follow_members(), EndSignals::listen()?);
    loop {
        let news = tokio::select! {
            biased;
            () = signals.next() => return Ok(Exit::Interrupted.into()),
            news = followed.next() => news,
        };
        let reader = match news {
            MemberNews::Members { members, missed } => {
                if missed > 0 {
                    tracing::warn!(missed, "more has happened than the master keeps");
                }
                args.listing.print(&rows(members), environment)?;
                Reader::Present
            }
            MemberNews::Event(event) => print(&told(&event, args.listing.format())?).or_exit(Exit::WorkFailed)?,
        };
        if reader == Reader::Gone {
            return Ok(Exit::Done.into());
        }
    }
}

fn rows(members: Vec<Member>) -> Vec<Row> {
    members.into_iter().map(Row).collect()
}

fn told(event: &MemberEvent, format: Format) -> Result<String, Failure> {
    if format == Format::Json {
        return document("event", event).or_exit(Exit::WorkFailed);
    }
    let member = &event.member;
    let words = [event.change.name(), member.role.name(), &member.name, &member.id, &run_of(member)];
    Ok(format!("{}\n", escaped(words.join("  ").trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use odeon_protocol::messages::members::{MemberChange, MemberRole, MemberState};

    #[test]
    fn an_event_is_one_line() {
        let member = Member {
            role: MemberRole::Agent,
            id: "m-1-S0".into(),
            name: "host\n1".into(),
            state: MemberState::Up,
            node: Some("agent".into()),
            incarnation: Some(0x2a),
            endpoint: None,
        };
        let event = MemberEvent { at_ms: 0, change: MemberChange::Returned, member };
        assert_eq!(told(&event, Format::Table).expect("a line"), "returned  agent  host\\n1  m-1-S0  agent#2a\n");
    }
}
