//! How a command fails: what is told to the person, and the exit code.

use std::fmt;

use odeon_runtime::{Endpoint, PeerError};

use crate::exit::Exit;

/// An error on its way to the end of the process.
#[derive(Debug)]
pub struct Failure {
    /// The code that the process ends with.
    pub exit: Exit,
    cause: anyhow::Error,
}

impl Failure {
    /// A failure with a text for people.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, cause: anyhow::Error::msg(message.into()) }
    }

    /// Wrong input: nothing was started, nothing has changed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The alternate form appends the chain of causes; those that repeat their cause's text are not told twice.
        let mut told = self.cause.to_string();
        for cause in self.cause.chain().skip(1) {
            let text = cause.to_string();
            if !told.contains(&text) {
                told = format!("{told}: {text}");
            }
        }
        f.write_str(&told)
    }
}

/// Gives the errors of a result their exit code.
pub trait OrExit<T> {
    /// The value, or a failure with this code.
    ///
    /// # Errors
    /// [`Failure`] with the error as its cause.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, cause: error.into() })
    }
}

/// The failure of a client whose master does not answer, with what to do about it.
pub(crate) fn not_reachable(endpoint: &Endpoint, cause: &impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::NotReachable,
        format!(
            "the master at {endpoint} cannot be reached: {cause}\n\
             start a cluster with `odeon local`, or name its master with --master HOST:PORT or ODEON_MASTER"
        ),
    )
}

/// The failure of a client that was not answered: not permitted, if it is a matter of who the client is.
pub(crate) fn not_answered(endpoint: &Endpoint, error: &PeerError) -> Failure {
    let hint = match error {
        PeerError::Untrusted { .. } => {
            "name the credentials of this client with --tls-ca, --tls-cert and --tls-key, or with ODEON_TLS__CA, \
             ODEON_TLS__CERT and ODEON_TLS__KEY; `odeon cert issue --role client` makes them"
        }
        PeerError::Forbidden { .. } => "this takes a certificate of another role: see `odeon cert issue --help`",
        _ => return not_reachable(endpoint, error),
    };
    Failure::new(Exit::NotPermitted, format!("the master at {endpoint} does not serve this client: {error}\n{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        cause: Option<Box<Layer>>,
    }

    #[test]
    fn a_cause_is_told_once() {
        let inner = |text| Some(Box::new(Layer { text, cause: None }));
        let new = Layer { text: "cannot start", cause: inner("port in use") };
        let repeated = Layer { text: "cannot start: port in use", cause: inner("port in use") };
        for layer in [new, repeated] {
            let failure = Err::<(), _>(layer).or_exit(Exit::Usage).expect_err("an error");
            assert_eq!(failure.to_string(), "cannot start: port in use");
        }
    }
}
