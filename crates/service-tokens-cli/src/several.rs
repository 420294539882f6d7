//! Operations on several tokens, whose ids are arguments or on standard input.

use std::io::{self, BufRead};

use futures_lite::future::block_on;
use service_tokens::{AllOwners, FileStore, ManageError, Record, TokenId, Tokens};

use crate::args::Args;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::output::{description, note};
use crate::progress::Progress;
use crate::session::Session;
use crate::value;

/// The number of operations after which their events are delivered, so that the queue of events has room.
pub(crate) const MAX_WAITING: u64 = 256;

/// Returns the ids of the arguments, or those on standard input if the argument is `-`.
pub(crate) fn ids(args: &Args, yes: bool) -> Result<Vec<TokenId>, Exit> {
    match args.ids()? {
        Some(ids) => Ok(ids),
        None if yes => read_ids(),
        None => {
            Err(args
                .usage_error("- needs --yes, because standard input holds the ids and no answer"))
        }
    }
}

/// Reads all ids before the first token is changed, so that a wrong line changes nothing.
fn read_ids() -> Result<Vec<TokenId>, Exit> {
    let mut ids = Vec::new();
    for (i, line) in io::stdin().lock().lines().enumerate() {
        let line = line.map_err(Exit::input)?;
        match line.trim() {
            "" => {}
            id => ids.push(value::id(id).map_err(|error| {
                Exit::Failed(format!("line {} {error}: nothing was changed", i + 1))
            })?),
        }
    }
    match ids.is_empty() {
        true => Err(Exit::Failed("standard input contains no id".into())),
        false => Ok(ids),
    }
}

/// The records of several ids.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    unknown: u64,
}

/// Reads the records, and reports each id that is unknown.
pub(crate) fn find(view: Tokens<'_, FileStore, AllOwners>, ids: &[TokenId]) -> Result<Found, Exit> {
    let mut found = Found::default();
    for id in ids {
        match block_on(view.get(*id)) {
            Ok(stored) => found.records.push(stored.record),
            Err(error @ ManageError::NotFound { .. }) => {
                note(error);
                found.unknown += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

impl Found {
    /// Shows the tokens before a question.
    pub(crate) fn describe(&self) {
        self.records.iter().for_each(|record| note(description(record)));
    }

    /// Performs an operation on each token, which returns whether it changed the token. The word is that of
    /// the progress.
    pub(crate) fn each(
        &self,
        doing: &'static str,
        service: &Session,
        operation: impl Fn(TokenId) -> Result<bool, ManageError>,
    ) -> Outcome {
        let mut progress = Progress::new(doing);
        let (mut outcome, total) = (Outcome::default(), self.records.len() as u64);
        for (id, at) in self.records.iter().map(Record::id).zip(1..) {
            if !outcome.add_one(id, operation(id)) {
                break;
            }
            if at % MAX_WAITING == 0 {
                service.deliver();
            }
            progress.update(at, total);
        }
        outcome
    }

    /// Returns an error if one of the ids is unknown.
    pub(crate) fn expect_known(&self, ids: &[TokenId]) -> Result<(), Exit> {
        match self.unknown {
            0 => Ok(()),
            unknown => Err(Exit::Failed(format!("{unknown} of {} ids are unknown", ids.len()))),
        }
    }
}
