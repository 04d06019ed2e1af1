//! The signals that ask a command to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::failure::{Failure, OrExit};

/// Hears SIGINT, SIGTERM and SIGHUP from its creation on.
#[derive(Debug)]
pub struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl EndSignals {
    /// Begins to listen; from now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).or_exit(Exit::WorkFailed);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
