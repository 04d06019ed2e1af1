//! The members of the cluster, kept up to date by asking the master for what happens next.

use crate::directory::{Directory, DirectoryError};
use odeon_protocol::messages::directory::{ANSWERED_WITHIN, Revision};
use odeon_protocol::messages::members::{Member, MemberEvent, MembersOfCluster, MembersSeen, WatchMembers};
use odeon_runtime::Peer;
use std::collections::VecDeque;
use std::time::Duration;

/// Before the master is asked again after it has not answered.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What one who follows the members hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberNews {
    /// The members there are: at first, from another master, and where events were missed.
    Members {
        /// All of them.
        members: Vec<Member>,
        /// How many events are not told, because too many happened between two looks. What happened before the first
        /// look, or under another master, is not counted.
        missed: u64,
    },
    /// Something has happened to one of them.
    Event(MemberEvent),
}

/// The members of the cluster; each one that follows hears all.
///
/// It asks only while it is waited for, and keeps one answer: the master keeps the events, so many of them.
#[derive(Debug)]
pub struct FollowedMembers {
    master: Peer<MembersOfCluster>,
    seen: Option<Revision>,
    /// What was answered and not told yet.
    news: VecDeque<MemberNews>,
}

impl Directory {
    /// The members of the cluster now, agents before frameworks.
    ///
    /// # Errors
    /// [`DirectoryError`] if the master does not answer.
    pub async fn members(&self) -> Result<Vec<Member>, DirectoryError> {
        Ok(ask(&self.master, None).await?.members.unwrap_or_default())
    }

    /// Follows the members; the first news is who is there.
    #[must_use]
    pub fn follow_members(&self) -> FollowedMembers {
        FollowedMembers { master: self.master.clone(), seen: None, news: VecDeque::new() }
    }
}

impl FollowedMembers {
    /// Waits for the next news. While the master does not answer, there is none. Cancelling the wait loses nothing.
    pub async fn next(&mut self) -> MemberNews {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            match ask(&self.master, self.seen).await {
                Ok(MembersSeen { revision, missed, members, events }) => {
                    self.seen = Some(revision);
                    self.news.extend(members.map(|members| MemberNews::Members { members, missed }));
                    self.news.extend(events.into_iter().map(MemberNews::Event));
                }
                Err(error) => {
                    tracing::debug!(%error, "what happens to members may be told late");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }
}

async fn ask(master: &Peer<MembersOfCluster>, seen: Option<Revision>) -> Result<MembersSeen, DirectoryError> {
    let answer = master.send_within(WatchMembers { seen }, ANSWERED_WITHIN).await;
    Ok(answer.map_err(DirectoryError::Directory)??)
}
