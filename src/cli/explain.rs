//! How an explanation of the master is shown, for tasks and frameworks alike.

use odeon_protocol::messages::operations::Explanation;

use super::listing::{ShowFormat, lines};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{document, print};

/// Prints what a task or a framework waits for.
pub(crate) fn print_explanation(kind: &'static str, told: &Explanation, format: ShowFormat) -> Result<i32, Failure> {
    let text = match format {
        ShowFormat::Json => document("explanation", told).or_exit(Exit::WorkFailed)?,
        ShowFormat::Text => {
            let mut facts = vec![(kind, told.id.clone()), ("state", told.state.clone())];
            facts.extend(told.findings.iter().map(|finding| (finding.about.as_str(), finding.text.clone())));
            lines(&facts)
        }
    };
    print(&text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}
