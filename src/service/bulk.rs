//! Operations on all records that a filter selects.
//!
//! **Passes.** The driver lists the selected records page by page, oldest first, and runs the operation
//! on each. A pass can miss a token that is issued while it runs. So the driver makes passes until one
//! finds no record that it could still process. A revoked or removed record is not selected again, so
//! an interrupted operation can simply be run again. A suspended token stays live and is listed again, so
//! each operation decides [which listed records need work](progress::BulkOperation::needs).
//!
//! **Calls.** The records of one page are processed concurrently, within the task of the caller. Each begins
//! with the record as it was listed, and its write waits until all others of the page wait as well. Then
//! [they travel as one call](batched). A record is read again only after a conflict or a lost answer. Before
//! each record the driver waits until the queue of events has room, so no event is lost.
//!
//! **Failures.** An error that concerns one token is counted, and the pass continues. An error that
//! would concern each token, such as a store that fails, stops the operation; records in progress are
//! finished first.
//!
//! [`expiry_notices`] does not use the driver, because it changes no record and makes one pass.

mod batched;
mod driver;
mod expiry_notices;
mod outcome;
mod progress;
mod purge;
mod resume_all;
mod revoke_all;
mod suspend_all;

pub use expiry_notices::{ExpiryNotices, ExpiryNoticesError, ExpiryScan};
pub use outcome::{BulkError, BulkFailure, BulkOutcome, BulkProgress};
pub use purge::Purge;
pub use resume_all::ResumeAll;
pub use revoke_all::RevokeAll;
pub use suspend_all::SuspendAll;
