//! Drafts of tokens and of revocations, which the embedder stores in a transaction of its own.
//!
//! The service prepares a record and does not store it. The embedder writes it with the rows of its
//! application, commits, and confirms the draft. The service does not see the transaction, so a confirmation
//! decides by the store alone. It reads the record from the store, never from the cache.
//!
//! **No secret appears before its record is stored.** A new token is in the draft until a confirmation finds its
//! digest in the store. So a transaction that is rolled back leaves no record, and a process that ends leaves at
//! most a record whose secret is unknown.
//!
//! **The issuing token is read after the record.** That closes the race with a revocation of the issuing
//! token with its descendants, as after an issue on its behalf. If the record was stored before the
//! revocation, its passes find the new token. If not, this reading sees the revocation.
//!
//! **A pause of issuing ends the drafts of this service.** It cannot wait for a transaction of the embedder.
//! Operators revoke tokens during a pause, and a transaction may commit after that. So the confirmation of a
//! draft that was prepared before a pause returns no token, and revokes what was stored.
//!
//! **Nothing is retried in the transaction of the embedder.** After a conflict, the embedder rolls back and
//! prepares another draft.
//!
//! The types of drafts have no type of a store, so that a program can pass them through its layers. The store
//! is behind a private trait, one for each kind.

mod issue;
mod revoke;

use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::record::Record;
use crate::token::TokenId;

pub use issue::IssueDraft;
pub use revoke::RevokeDraft;

/// Whether a draft can still be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It may be stored, now or later.
    Open,
    /// It was confirmed, or cannot be stored any more, or what was stored has ended.
    Ended,
}

impl Stage {
    /// Checks that the draft has not ended.
    fn expect_open(self, id: TokenId) -> Result<(), ManageError> {
        match self {
            Self::Open => Ok(()),
            Self::Ended => Err(ManageError::DraftEnded { id }),
        }
    }
}

/// The fields that the events of a draft share.
#[derive(Clone)]
struct Origin {
    operation: Operation,
    by: Option<String>,
    on_behalf_of: Option<TokenId>,
}

impl Origin {
    fn prepared_event(self, record: &Record) -> Event {
        let Self { operation, by, on_behalf_of } = self;
        let (id, owner) = (record.id(), record.owner().to_owned());
        Event::Prepared { id, owner, operation, by, on_behalf_of }
    }

    fn not_confirmed_event(self, record: &Record) -> Event {
        let Self { operation, by, on_behalf_of } = self;
        let (id, owner) = (record.id(), record.owner().to_owned());
        Event::NotConfirmed { id, owner, operation, by, on_behalf_of }
    }
}
