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
//! | `cache` | cached records and in-flight reads |
//! | `recent_times`, `last_used` | uses that the store does not have yet |
//! | `records` | reads and writes of records, with retries after conflicts and lost answers |
//! | `core`, `builder` | the struct that owns all of these |
//! | `flush_last_used`, `follow_changes`, `pause_issuing` | one method each, for tasks and operators |
//! | `end_overlap` | the first use of a new secret ends an overlap |
//! | `present` | a presented text, parsed and hashed |
//! | `caller` | the embedder or the token that asks for an operation |
//! | `revoke_presented` | revoking a token by its holder |
//! | `issue`, `rotate`, `revoke`, `suspend`, `amend`, `end_older_secret` | one verb each; `suspend` also resumes |
//! | `tokens` | the views of one owner or of all owners |
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
mod core;
mod end_older_secret;
mod end_overlap;
mod flush_last_used;
mod follow_changes;
mod issue;
mod issue_gate;
mod last_used;
mod on_behalf;
mod pause_issuing;
mod policy;
mod present;
mod recent_times;
mod records;
mod report_leak;
mod request;
mod revoke;
mod revoke_presented;
mod rotate;
mod suspend;
mod tokens;
mod verify;

pub use self::core::{FlushTimeout, TokenService};
pub use amend::Amended;
pub use builder::{BuildError, TokenServiceBuilder};
pub use bulk::{
    BulkError, BulkFailure, BulkOutcome, BulkProgress, ExpiryNotices, ExpiryNoticesError,
    ExpiryScan, Purge, ResumeAll, RevokeAll, SuspendAll,
};
pub use end_older_secret::EndedOlder;
pub use flush_last_used::Flushed;
pub use issue::Issued;
pub use on_behalf::OnBehalf;
pub use pause_issuing::ResumedIssuing;
pub use policy::{InvalidPolicy, Policy};
pub use report_leak::{
    CannotTell, LeakAction, LeakOutcome, LeakReport, LeakResponse, LeakedSecret, ReportLeakError,
};
pub use request::{
    AmendRequest, EndOlderRequest, IssueRequest, LeakRequest, ResumeRequest, RevokeRequest,
    RotateRequest, SuspendRequest, SuspensionMatch,
};
pub use revoke::Revoked;
pub use suspend::{Resumed, Suspended};
pub use tokens::{AllOwners, OneOwner, Tokens};
pub use verify::InContext;
