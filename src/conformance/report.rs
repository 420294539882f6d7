//! The results of the checks, as data.

use std::fmt;

use super::promise::Promise;

/// The result of checking a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The store keeps the promise.
    Kept,
    /// The store breaks the promise.
    Broken {
        /// The expected and the actual result.
        what: String,
    },
    /// The promise was not checked, because the factory or the store lacks an operation for it.
    NotChecked {
        /// The reason.
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

/// The results of checking all promises.
///
/// `Display` writes one line per promise that begins with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Report {
    outcomes: Vec<(Promise, Outcome)>,
}

impl Report {
    pub(super) fn new(outcomes: Vec<(Promise, Outcome)>) -> Self {
        Self { outcomes }
    }

    /// Returns each promise with its outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (Promise, &Outcome)> {
        self.outcomes.iter().map(|(promise, outcome)| (*promise, outcome))
    }

    /// Returns the broken promises, each with the expected and the actual result. A correct store
    /// has none.
    pub fn broken(&self) -> impl Iterator<Item = (Promise, &str)> {
        self.outcomes().filter_map(|(promise, outcome)| match outcome {
            Outcome::Broken { what } => Some((promise, what.as_str())),
            _ => None,
        })
    }

    /// Returns the promises that could not be checked, each with the reason.
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
