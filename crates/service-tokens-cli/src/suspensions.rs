//! The suspensions of tokens, with the options that name one and the texts that show them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::record::{Suspension, SuspensionMatch};
use service_tokens::{Record, State, TokenId};

use crate::args::Args;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::output::{description, exact_time, note, time, visible};
use crate::session::Session;
use crate::value;

/// The answer to a named suspension that no token has.
pub(crate) const NO_SUCH: &str = "No token has such a suspension. Nothing changed.";

/// The number of names of suspensions from which on no further ones are collected.
const MAX_NAMES: usize = 10;

/// The maximum number of tokens that are listed before a question.
const MAX_LISTED: usize = 20;

/// The help of the options that name a suspension.
macro_rules! named_help {
    () => {
        "  --suspended-by TEXT       the author of the suspension to end
  --suspended-for TEXT      the reason of the suspension to end. The two options
                            name it exactly: without one of them, only
                            suspensions without that text end
  --suspended-since TIME    instead of the two, the exact time at which it began
"
    };
}
pub(crate) use named_help;

/// The options that name a suspension.
#[derive(Debug, Default)]
pub(crate) struct Named {
    by: Option<String>,
    reason: Option<String>,
    since: Option<DateTime<Utc>>,
}

impl Named {
    /// Reads an option that names a suspension. Returns `false` if the option is not one.
    pub(crate) fn take(&mut self, option: &str, args: &mut Args) -> Result<bool, Exit> {
        match option {
            "suspended-by" => args.set(&mut self.by, value::text)?,
            "suspended-for" => args.set(&mut self.reason, value::text)?,
            "suspended-since" => args.set(&mut self.since, value::exact_time)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns the suspension that the command line names, if it names one.
    pub(crate) fn which(self, args: &Args) -> Result<Option<SuspensionMatch>, Exit> {
        let Self { by, reason, since } = self;
        match (since, by.is_some() || reason.is_some()) {
            (None, false) => Ok(None),
            (None, true) => Ok(Some(SuspensionMatch::ByAndReason { by, reason })),
            (Some(since), false) => Ok(Some(SuspensionMatch::Since(since))),
            (Some(_), true) => {
                Err(args
                    .usage_error("--suspended-since excludes --suspended-by and --suspended-for"))
            }
        }
    }

    /// Returns the suspension that the command line of this operation must name.
    pub(crate) fn required(self, args: &Args, operation: &str) -> Result<SuspensionMatch, Exit> {
        self.which(args)?.ok_or_else(|| {
            args.usage_error(&format!(
                "{operation} needs --suspended-by, --suspended-for or --suspended-since, because a bulk \
                 resumption names the suspension that it ends"
            ))
        })
    }
}

/// Returns the suspensions that have not passed.
pub(crate) fn running(
    suspensions: &[Suspension],
    now: DateTime<Utc>,
) -> impl Iterator<Item = &Suspension> {
    suspensions.iter().filter(move |suspension| suspension.until.is_none_or(|end| now < end))
}

/// Returns the number and the names of suspensions which are not the one of the command.
pub(crate) fn others(others: &[&Suspension]) -> String {
    let names: Vec<String> = others.iter().map(|suspension| name(suspension)).collect();
    format!("{} ({})", count_of_others(others.len()), names.join("; "))
}

/// Returns the number of suspensions which are not the one of the command.
pub(crate) fn count_of_others(count: usize) -> String {
    format!("{count} other suspension{}", if count == 1 { "" } else { "s" })
}

/// Returns the author and the reason of a suspension.
fn name(suspension: &Suspension) -> String {
    match (&suspension.by, &suspension.reason) {
        (Some(by), Some(reason)) => format!("by {}: {}", visible(by), visible(reason)),
        (Some(by), None) => format!("by {}, without a reason", visible(by)),
        (None, Some(reason)) => format!("without an author: {}", visible(reason)),
        (None, None) => "without an author and a reason".into(),
    }
}

/// The suspended tokens that a resumption selects.
pub(crate) struct Matching {
    /// The suspension to end, or `None` to end all.
    which: Option<SuspensionMatch>,
    now: DateTime<Utc>,
    tokens: BTreeSet<TokenId>,
    /// Those of the tokens that have other suspensions too.
    staying: BTreeSet<TokenId>,
    listed: Vec<String>,
    /// The names of suspensions of tokens that are not selected.
    other_names: BTreeSet<String>,
}

impl Matching {
    pub(crate) fn new(which: Option<SuspensionMatch>, now: DateTime<Utc>) -> Self {
        let (tokens, staying) = (BTreeSet::new(), BTreeSet::new());
        Self { which, now, tokens, staying, listed: Vec::new(), other_names: BTreeSet::new() }
    }

    /// Adds a token if it has a suspension to end.
    pub(crate) fn add(&mut self, record: &Record) {
        let (ends, stays): (Vec<_>, Vec<_>) = running(record.suspensions(), self.now)
            .partition(|suspension| self.selects(suspension));
        let is_suspended = record.state(self.now) == State::Suspended;
        if is_suspended && ends.is_empty() && self.other_names.len() < MAX_NAMES {
            self.other_names.extend(stays.iter().map(|suspension| name(suspension)));
        }
        if !is_suspended || ends.is_empty() || !self.tokens.insert(record.id()) {
            return;
        }
        if !stays.is_empty() {
            self.staying.insert(record.id());
        }
        if self.listed.len() == MAX_LISTED {
            return;
        }
        let mut lines = description(record);
        for suspension in ends {
            let since = exact_time(suspension.since);
            let until = suspension.until.map(|end| format!(" until {}", time(end)));
            let until = until.unwrap_or_default();
            lines.push_str(&format!("\n  suspended since {since}{until} {}", name(suspension)));
        }
        match stays.len() {
            0 => {}
            1 => lines.push_str("\n  1 other suspension remains"),
            count => lines.push_str(&format!("\n  {} remain", count_of_others(count))),
        }
        self.listed.push(lines);
    }

    fn selects(&self, suspension: &Suspension) -> bool {
        self.which.as_ref().is_none_or(|which| which.selects(suspension))
    }

    /// Returns the number of tokens.
    pub(crate) fn len(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// Returns each suspension that will end, and how many tokens stay suspended.
    pub(crate) fn notes(&self) -> String {
        let (mut notes, total) = (self.listed.join("\n"), self.tokens.len());
        if total > self.listed.len() {
            notes.push_str(&format!("\n… and {} more tokens", total - self.listed.len()));
        }
        match self.staying.len() {
            0 => {}
            _ if total == 1 => {}
            staying => notes.push_str(&format!(
                "\n{staying} of these {total} tokens have other suspensions, so they stay suspended."
            )),
        }
        notes
    }

    /// Returns a hint with the suspensions that exist, if none is selected. The command line may have a typing
    /// error.
    pub(crate) fn hint(&self) -> Option<String> {
        if !self.tokens.is_empty() || self.other_names.is_empty() {
            return None;
        }
        let names: Vec<&str> = self.other_names.iter().map(|name| &**name).collect();
        Some(format!("hint: these tokens have other suspensions: {}", names.join("; ")))
    }

    /// Returns the question whether these suspensions shall end.
    pub(crate) fn question(&self) -> String {
        match (self.tokens.len(), self.staying.len()) {
            (1, 0) => "Resume this token?".into(),
            (1, _) => "End this suspension?".into(),
            (total, _) => format!("Resume these {total} tokens?"),
        }
    }

    /// Reports the result of the resumption. A token with another suspension was not resumed, although a
    /// suspension of it has ended.
    pub(crate) fn report(&self, outcome: Outcome, service: &Session) -> Result<(), Exit> {
        let nothing = outcome.done == 0 && self.tokens.is_empty();
        let summary = match &self.which {
            None if nothing => "No token was suspended. Nothing changed.".into(),
            Some(_) if nothing => NO_SUCH.into(),
            _ => {
                let mut still = 0;
                for id in &self.staying {
                    // The report matters more than its exact numbers, so an error does not end it.
                    let Ok(stored) = block_on(service.all_owners().get(*id)) else { continue };
                    let mut suspensions = running(stored.record.suspensions(), self.now);
                    still += u64::from(!suspensions.any(|suspension| self.selects(suspension)));
                }
                let resumed = format!("Resumed {} tokens.", outcome.done.saturating_sub(still));
                match still {
                    0 => resumed,
                    1 => resumed + " 1 token is still suspended by other suspensions.",
                    _ => format!(
                        "{resumed} {still} tokens are still suspended by other suspensions."
                    ),
                }
            }
        };
        self.hint().into_iter().for_each(note);
        outcome.finish(&summary, "resumed", "tokens", service)
    }
}
