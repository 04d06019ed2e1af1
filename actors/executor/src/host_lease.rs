//! The lease of a hosted singleton: asked for before the actor begins, renewed while it runs, and told when it is over.
//!
//! The clock stands still while the whole process is stopped: an actor that must not act late compares epochs where it acts.

use crate::directory::Directory;
use odeon_protocol::lease::{HeldLease, LEASE_RENEWAL};
use odeon_protocol::messages::deployments::RenewLease;
use tokio::time::{Instant, sleep, timeout};

/// A lease that is being held.
pub(crate) struct HostLease {
    directory: Directory,
    asks: RenewLease,
    begun: Instant,
    held: HeldLease,
}

/// What an ask for a lease has come to.
enum Asked {
    Granted(HeldLease),
    /// Another one has it or may be given it.
    Refused(String),
    /// Nobody has answered.
    Unanswered(String),
}

impl HostLease {
    /// Waits until the lease is granted.
    ///
    /// # Errors
    /// Why it never will be.
    pub(crate) async fn obtain(directory: &Directory, asks: RenewLease) -> Result<Self, String> {
        let begun = Instant::now();
        let (directory, never) = (directory.clone(), HeldLease::asked_at(begun.elapsed()));
        let mut lease = Self { directory, asks, begun, held: never };
        loop {
            match lease.ask().await {
                Asked::Granted(held) if held.holds(begun.elapsed()) => {
                    lease.held = held;
                    return Ok(lease);
                }
                Asked::Granted(_) => {}
                Asked::Refused(reason) => return Err(reason),
                Asked::Unanswered(reason) => {
                    tracing::debug!(actor = lease.asks.actor, reason, "waiting for the lease of a singleton");
                    sleep(LEASE_RENEWAL).await;
                }
            }
        }
    }

    /// Renews the lease for as long as that goes, and says why it does not any more.
    pub(crate) async fn lost(mut self) -> String {
        let mut reason = "nobody was asked".to_owned();
        loop {
            let left = self.held.until().saturating_sub(self.begun.elapsed());
            let renewed = async {
                sleep(LEASE_RENEWAL).await;
                self.ask().await
            };
            match timeout(left, renewed).await {
                Ok(Asked::Granted(held)) => self.held = held,
                Ok(Asked::Refused(refused)) => return refused,
                Ok(Asked::Unanswered(unanswered)) => reason = unanswered,
                Err(_) => return format!("its lease was not renewed: {reason}"),
            }
        }
    }

    async fn ask(&self) -> Asked {
        let asked_at = self.begun.elapsed();
        match self.directory.deployer.send_within(self.asks.clone(), LEASE_RENEWAL).await {
            Ok(Ok(_)) => Asked::Granted(HeldLease::asked_at(asked_at)),
            Ok(Err(refused)) => Asked::Refused(refused.to_string()),
            Err(error) => Asked::Unanswered(error.to_string()),
        }
    }
}
