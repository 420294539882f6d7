//! What came out, as data.

use std::fmt;

use super::promise::Promise;

/// What came out for one promise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was kept.
    Kept,
    /// It was broken.
    Broken {
        /// What was expected and what was seen.
        what: String,
    },
    /// Nobody knows: the factory or the store does not offer what it takes.
    NotChecked {
        /// What is lacking.
        why: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::Broken { what } => write!(f, "BROKEN: {what}"),
            Self::NotChecked { why } => write!(f, "not checked: {why}"),
        }
    }
}

/// What came out for all promises.
///
/// Its `Display` is one line for each, the name first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Report {
    outcomes: Vec<(Promise, Outcome)>,
}

impl Report {
    pub(super) fn new(outcomes: Vec<(Promise, Outcome)>) -> Self {
        Self { outcomes }
    }

    /// Each promise with its outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (Promise, &Outcome)> {
        self.outcomes.iter().map(|(promise, outcome)| (*promise, outcome))
    }

    /// The broken promises, each with what was expected and seen. None for a store that can be
    /// relied on, as far as it was checked.
    pub fn broken(&self) -> impl Iterator<Item = (Promise, &str)> {
        self.outcomes().filter_map(|(promise, outcome)| match outcome {
            Outcome::Broken { what } => Some((promise, what.as_str())),
            _ => None,
        })
    }

    /// The promises that could not be checked, each with what is lacking.
    pub fn not_checked(&self) -> impl Iterator<Item = (Promise, &str)> {
        self.outcomes().filter_map(|(promise, outcome)| match outcome {
            Outcome::NotChecked { why } => Some((promise, why.as_str())),
            _ => None,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = Promise::ALL.iter().map(|promise| promise.name().len()).max().unwrap_or(0);
        for (promise, outcome) in self.outcomes() {
            writeln!(f, "{promise:widest$}  {outcome}")?;
        }
        Ok(())
    }
}
