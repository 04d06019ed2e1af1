//! Whether output may carry colour and other terminal attributes.

use std::collections::BTreeMap;
use std::io::IsTerminal;

/// How output is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Text only: for pipes, files and those who asked for it.
    #[default]
    Plain,
    /// With terminal attributes.
    Terminal,
}

impl Style {
    /// The style for `stream`: attributes only on a terminal, and never if `NO_COLOR` is set to anything.
    #[must_use]
    pub fn of(stream: &impl IsTerminal, environment: &BTreeMap<String, String>) -> Self {
        Self::decide(stream.is_terminal(), environment)
    }

    fn decide(is_terminal: bool, environment: &BTreeMap<String, String>) -> Self {
        let refused = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        if is_terminal && !refused { Self::Terminal } else { Self::Plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_need_a_terminal_and_no_refusal() {
        let environment = |value: &str| BTreeMap::from([("NO_COLOR".to_owned(), value.to_owned())]);
        assert_eq!(Style::decide(true, &BTreeMap::new()), Style::Terminal);
        assert_eq!(Style::decide(true, &environment("")), Style::Terminal);
        assert_eq!(Style::decide(true, &environment("1")), Style::Plain);
        assert_eq!(Style::decide(false, &BTreeMap::new()), Style::Plain);
    }
}
