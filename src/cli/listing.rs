//! What all listings have in common: their flags, and how a list is printed.

use clap::Args;

use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Format, Listed, Style, ids, print, render};

/// The flags of a listing.
#[derive(Debug, Args)]
pub(crate) struct ListingArgs {
    /// The form of the list
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Print ids only
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
}

impl ListingArgs {
    /// Prints the rows as asked for.
    pub(crate) fn print<T: Listed>(&self, rows: &[T], environment: &Environment) -> Result<i32, Failure> {
        let style = Style::of(&std::io::stdout(), &environment.variables);
        let text = match self.quiet {
            true => ids(rows),
            false => render(rows, self.output, style).or_exit(Exit::WorkFailed)?,
        };
        print(&text).or_exit(Exit::WorkFailed)?;
        Ok(Exit::Done.into())
    }
}
