//! Sets up the log: to standard error only, as text or JSON, filtered by target and level.
//!
//! Standard output belongs to results. Reads no environment itself; the caller hands in what it found.

use std::collections::BTreeMap;
use std::io;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::output::{Style, escaped};

/// The filter when neither `--log` nor `ODEON_LOG` says anything.
pub const DEFAULT_FILTER: &str = "warn";

/// The environment variable that holds the filter.
pub const FILTER_VARIABLE: &str = "ODEON_LOG";

/// The form of log lines (`--log-format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One line of text for each event
    #[default]
    Text,
    /// One JSON object a line for each event
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// A part of the filter is neither a level nor a target with a level. The user's to mend.
    #[error(
        "{source_name}: `{}` is no log filter, write LEVEL or TARGET=LEVEL (off, error, warn, info, debug or trace)",
        escaped(part)
    )]
    BadFilter {
        /// What gave the filter: `--log` or the variable.
        source_name: &'static str,
        /// The part at fault.
        part: String,
    },
    /// A log was set up before.
    #[error("the log is already set up")]
    AlreadySet(#[source] SetGlobalDefaultError),
}

/// Reads the filter: `flag` if given, else `ODEON_LOG` unless empty, else [`DEFAULT_FILTER`].
///
/// # Errors
/// [`LoggingError::BadFilter`] names the part that cannot be read.
pub fn filter(flag: Option<&str>, environment: &BTreeMap<String, String>) -> Result<Targets, LoggingError> {
    let variable = environment.get(FILTER_VARIABLE).filter(|text| !text.trim().is_empty());
    match (flag, variable) {
        (Some(text), _) => parse_filter("--log", text),
        (None, Some(text)) => parse_filter(FILTER_VARIABLE, text),
        (None, None) => parse_filter(FILTER_VARIABLE, DEFAULT_FILTER),
    }
}

/// `Targets` reads such a list too, but takes a mistyped level for a target that is to be logged in full.
fn parse_filter(source_name: &'static str, text: &str) -> Result<Targets, LoggingError> {
    let mut targets = Targets::new();
    for part in text.split(',').map(str::trim) {
        let bad = || LoggingError::BadFilter { source_name, part: part.to_owned() };
        let (target, level) = part.rsplit_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        let level: LevelFilter = level.trim().parse().ok().filter(|_| !level.trim().is_empty()).ok_or_else(bad)?;
        targets = match target.map(str::trim) {
            None => targets.with_default(level),
            Some(target) if is_target(target) => targets.with_target(target, level),
            Some(_) => return Err(bad()),
        };
    }
    Ok(targets)
}

fn is_target(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '/');
    !text.is_empty() && text.chars().all(allowed)
}

/// Starts the log of this process on standard error. Call it once, before anything logs.
///
/// # Errors
/// [`LoggingError::BadFilter`], or [`LoggingError::AlreadySet`] on a second call.
pub fn init(flag: Option<&str>, format: LogFormat, environment: &BTreeMap<String, String>) -> Result<(), LoggingError> {
    let targets = filter(flag, environment)?;
    let style = Style::of(&io::stderr(), environment);
    let subscriber = subscriber(targets, format, style, io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(LoggingError::AlreadySet)
}

fn subscriber<W>(targets: Targets, format: LogFormat, style: Style, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_ansi(style == Style::Terminal).log_internal_errors(false);
    let layer = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Registry::default().with(layer.with_filter(targets))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Level;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written when two events of different targets and levels occur.
    fn logged(filter_text: &str, format: LogFormat, style: Style) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let targets = filter(Some(filter_text), &BTreeMap::new()).unwrap();
        let subscriber = subscriber(targets, format, style, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "odeon_master", agent = 7, "agent is silent");
            tracing::info!(target: "odeon_agent", "task is done");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn refused_part(text: &str) -> String {
        match filter(Some(text), &BTreeMap::new()) {
            Err(LoggingError::BadFilter { part, .. }) => part,
            other => panic!("{text} gave {other:?}"),
        }
    }

    #[test]
    fn a_filter_names_a_level_for_all_and_for_single_targets() {
        let targets = filter(Some("info, odeon_master=debug,hyper=off"), &BTreeMap::new()).unwrap();
        assert!(targets.would_enable("anything", &Level::INFO));
        assert!(!targets.would_enable("anything", &Level::DEBUG));
        assert!(targets.would_enable("odeon_master::core", &Level::DEBUG));
        assert!(!targets.would_enable("hyper", &Level::ERROR));
    }

    #[test]
    fn the_flag_wins_over_the_variable_and_both_over_the_default() {
        let environment = |text: &str| BTreeMap::from([("ODEON_LOG".to_owned(), text.to_owned())]);
        let level = |flag, environment| filter(flag, &environment).unwrap().default_level();
        assert_eq!(level(Some("trace"), environment("info")), Some(LevelFilter::TRACE));
        assert_eq!(level(None, environment("info")), Some(LevelFilter::INFO));
        assert_eq!(level(None, environment("")), Some(LevelFilter::WARN));
        assert_eq!(level(None, BTreeMap::new()), Some(LevelFilter::WARN));
    }

    #[test]
    fn a_mistyped_filter_is_refused_by_the_part_at_fault() {
        let texts = ["inof", "info,odeon_master=debgu", "info,", "", "=info", "a b=info", "a[span]=info", "a="];
        let parts = ["inof", "odeon_master=debgu", "", "", "=info", "a b=info", "a[span]=info", "a="];
        assert_eq!(texts.map(refused_part), parts);
    }

    #[test]
    fn a_refusal_names_what_gave_the_filter() {
        let environment = BTreeMap::from([("ODEON_LOG".to_owned(), "loud".to_owned())]);
        assert!(filter(None, &environment).unwrap_err().to_string().starts_with("ODEON_LOG: `loud` is no log filter"));
        assert!(filter(Some("loud"), &environment).unwrap_err().to_string().starts_with("--log: `loud`"));
    }

    #[test]
    fn text_lines_hold_what_the_filter_lets_pass() {
        let text = logged("warn,odeon_master=debug", LogFormat::Text, Style::Plain);
        assert!(text.trim_end().ends_with("DEBUG odeon_master: agent is silent agent=7"), "{text}");
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}'));
        assert!(logged("debug", LogFormat::Text, Style::Terminal).contains('\u{1b}'));
    }

    #[test]
    fn json_lines_are_objects_with_fields_at_the_top() {
        let text = logged("debug", LogFormat::Json, Style::Terminal);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["level"], &first["message"], &first["agent"]),
            (&"DEBUG".into(), &"agent is silent".into(), &7.into())
        );
        assert_eq!(text.lines().count(), 2);
    }
}
