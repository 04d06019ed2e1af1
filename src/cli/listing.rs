//! What all listings have in common: their flags, and how a list is printed.

use clap::Args;

use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Format, Listed, Style, escaped, ids, print, render};

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
    /// Whether all that fits into a table is wanted.
    pub(crate) fn is_wide(&self) -> bool {
        self.output == Format::Wide && !self.quiet
    }

    /// The form that is asked for.
    pub(crate) fn format(&self) -> Format {
        self.output
    }

    /// Prints the rows as asked for.
    pub(crate) fn print<T: Listed>(&self, rows: &[T], environment: &Environment) -> Result<i32, Failure> {
        print(&self.text(rows, environment)?).or_exit(Exit::WorkFailed)?;
        Ok(Exit::Done.into())
    }

    /// The rows as asked for, dressed for standard output.
    pub(crate) fn text<T: Listed>(&self, rows: &[T], environment: &Environment) -> Result<String, Failure> {
        let style = Style::of(&std::io::stdout(), &environment.variables);
        match self.quiet {
            true => Ok(ids(rows)),
            false => render(rows, self.output, style).or_exit(Exit::WorkFailed),
        }
    }
}

/// The form of what is shown of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ShowFormat {
    /// One line for each fact
    #[default]
    Text,
    /// One JSON object with a version, for scripts
    Json,
}

/// Facts, one a line, their names aligned; a fact without a value is left out.
pub(crate) fn lines(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let told = facts.iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| format!("{:width$}  {}\n", escaped(name), escaped(value))).collect()
}
