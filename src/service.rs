//! The service, which combines everything below it.
//!
//! These are its rooms from the ground up. A room imports only from the rows above it in this table, or
//! from a room on its left.
//!
//! | rooms | content |
//! | --- | --- |
//! | `request`, `policy` | requests, and the limits for them |
//! | `audit` | exactly one event for each management operation |
//! | `issue_gate` | the gate that pauses issuing |
//! | `owner_limit` | places in the limit of live tokens of each owner |
//! | `yield_once` | yielding to other tasks between pages |
//! | `cache` | cached records and in-flight reads |
//! | `gather` | look-ups of many verifications in one call of the store |
//! | `recent_times`, `last_used` | uses that the store does not have yet |
//! | `records` | reads and writes of records, with retries after conflicts and lost answers |
//! | `core`, `builder` | the struct that owns all of these |
//! | `flush_last_used`, `follow_changes`, `check_cached_records`, `pause_issuing`, `refusal_of` | one method each, for tasks, operators and lists |
//! | `shut_down` | the last flushes, and closing the store |
//! | `take_place` | reserving a place for a new token |
//! | `end_overlap` | the first use of a new secret ends an overlap |
//! | `present` | a presented text, parsed and hashed |
//! | `caller` | the embedder or the token that asks for an operation |
//! | `revoke_presented` | revoking a token by its holder |
//! | `issue`, `rotate`, `revoke`, `suspend`, `amend`, `end_older_secret` | one verb each; `suspend` also resumes |
//! | `draft` | tokens and revocations that the embedder stores in its own transaction |
//! | `tokens` | the views of one owner or of all owners |
//! | `import` | importing a token of an older system |
//! | `count` | counting the records that a filter selects |
//! | `bulk` | operations on all records that a filter selects |
//! | `on_behalf` | operations that a token asks for |
//! | `verify` | verification |
//! | `report_leak` | the report of a text that was found where no token should be |

mod amend;
mod audit;
mod builder;
mod bulk;
mod cache;
mod caller;
mod check_cached_records;
mod core;
mod count;
mod draft;
mod end_older_secret;
mod end_overlap;
mod flush_last_used;
mod follow_changes;
mod gather;
mod import;
mod issue;
mod issue_gate;
mod last_used;
mod on_behalf;
mod owner_limit;
mod pause_issuing;
mod policy;
mod present;
mod recent_times;
mod records;
mod refusal_of;
mod report_leak;
mod request;
mod revoke;
mod revoke_presented;
mod rotate;
mod shut_down;
mod suspend;
mod take_place;
mod tokens;
mod verify;

pub use self::core::{FlushTimeout, TokenService};
pub use amend::Amended;
pub use builder::{BuildError, TokenServiceBuilder};
pub use bulk::{
    BulkError, BulkFailure, BulkOutcome, BulkProgress, ExpiryNotices, ExpiryNoticesError,
    ExpiryScan, Purge, ResumeAll, RevokeAll, SuspendAll,
};
pub use check_cached_records::CheckedRecords;
pub use draft::{IssueDraft, RevokeDraft};
pub use end_older_secret::EndedOlder;
pub use flush_last_used::Flushed;
pub use import::Imported;
pub use issue::Issued;
pub use on_behalf::OnBehalf;
pub use pause_issuing::ResumedIssuing;
pub use policy::{InvalidPolicy, Policy};
pub use report_leak::{
    CannotTell, LeakAction, LeakOutcome, LeakReport, LeakResponse, LeakedSecret, ReportLeakError,
};
pub use request::{
    AmendRequest, EndOlderRequest, ImportRequest, IssueRequest, LeakRequest, ResumeRequest,
    RevokeRequest, RotateRequest, SuspendRequest,
};
pub use revoke::Revoked;
pub use shut_down::ShutDown;
pub use suspend::{Resumed, Suspended};
pub use tokens::{AllOwners, OneOwner, Tokens};
pub use verify::InContext;
