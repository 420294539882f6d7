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
//! | `caller` | the embedder or the token that asks for an operation |
//! | `issue`, `rotate`, `revoke` | one verb each |
//! | `tokens` | the views of one owner or of all owners |
//! | `bulk` | operations on all records that a filter selects |
//! | `on_behalf` | operations that a token asks for |
//! | `verify` | verification |

mod audit;
mod builder;
mod bulk;
mod cache;
mod caller;
mod core;
mod end_overlap;
mod flush_last_used;
mod follow_changes;
mod issue;
mod issue_gate;
mod last_used;
mod on_behalf;
mod pause_issuing;
mod policy;
mod recent_times;
mod records;
mod request;
mod revoke;
mod rotate;
mod tokens;
mod verify;

pub use self::core::{FlushTimeout, TokenService};
pub use builder::{BuildError, TokenServiceBuilder};
pub use bulk::{
    BulkError, BulkFailure, BulkOutcome, BulkProgress, ExpiryNotices, ExpiryNoticesError,
    ExpiryScan, Purge, RevokeAll,
};
pub use flush_last_used::Flushed;
pub use issue::Issued;
pub use on_behalf::OnBehalf;
pub use pause_issuing::ResumedIssuing;
pub use policy::{InvalidPolicy, Policy};
pub use request::{IssueRequest, RevokeRequest, RotateRequest};
pub use revoke::Revoked;
pub use tokens::{AllOwners, OneOwner, Tokens};
pub use verify::InContext;
