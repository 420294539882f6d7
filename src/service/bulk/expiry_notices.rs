//! Notices of tokens that expire soon.
//!
//! **When a notice is due.** A notice belongs to a token, its present end and a distance. It is due at the
//! later of two times, which are the end minus the distance and the time at which that end was set. Both
//! are stored in the record, so the due time is a fixed property of the end. A changed end has other
//! notices.
//!
//! **Windows.** A scan emits the notices that are due in the window `(from, to]` and returns `to`, from
//! which the next scan starts. The windows of successive scans neither overlap nor leave a gap. So each
//! notice is emitted exactly once, and no list of sent notices is needed.
//!
//! **Late commits.** A record is visible only after its write, which is later than the time in it. So a
//! window ends [`TRAIL`] before the present time, and every record that was set within the window is
//! visible when the scan starts. The scan is sorted by id and reads each id once.
//!
//! **Clocks.** The window ends by the earlier of the service's time and the clock's reading, as a purge
//! does. A window that ended too late would skip the notices of tokens that are issued afterwards with the
//! right time. So the scan refuses while a clock jump is not acknowledged, and it never moves a watermark
//! back. It decides once, before the first page, because a later jump does not change the window.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::tokens::{Tokens, View};
use crate::clock::{from_micros, micros, rfc3339};
use crate::concurrency::yield_once::yield_once;
use crate::error::ManageError;
use crate::event::{Event, Operation, Purpose};
use crate::record::{Record, State};
use crate::store::{Filter, ListRequest, MAX_PAGE_LEN, Order, TokenStore};

/// The time by which a watermark trails behind the clock. A write must be visible within this time.
const TRAIL: Duration = Duration::from_secs(60);

/// The shortest distance. A notice with a distance below [`TRAIL`] would come after the end.
const MIN_DISTANCE: Duration = Duration::from_secs(120);

/// The longest distance, which is ten years. A longer one is probably a mistake of units.
const MAX_DISTANCE: Duration = Duration::from_secs(3_660 * 86_400);

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    /// Emits [`Event::ExpiresSoon`] for each token of this view whose end has come within a distance, when
    /// it is [run](ExpiryScan::run). Name each distance with [`distance`](ExpiryScan::distance), such as 7
    /// days and 1 day.
    ///
    /// Run it on a timer, for example once an hour, from one process at a time. `from` is the watermark
    /// that the run before returned. The program stores it. [The
    /// manual](crate::manual::life#expiry-notices) has such a loop.
    ///
    /// # The first watermark
    ///
    /// Begin with the present time minus the longest distance. Then the first run reports each live token
    /// that expires within that distance, and tokens that expired recently. Begin with the present time to
    /// report only what becomes due from now on.
    ///
    /// # When a notice is due
    ///
    /// A notice is due at the end minus the distance. If that time had passed when the end was set, the
    /// notice is due at that moment, which [`Record::end_set_at`] returns. So a token that is issued with a
    /// short life is reported by the next run, for each distance, and an imported token is never due before
    /// its import. If a rotation or an amendment changes the end, the notices of the new end are due as
    /// well, and those of the old end that were not due yet are dropped.
    ///
    /// - Each token is reported once for each distance and each end that it has had.
    /// - A revoked token is not reported. Pending and suspended tokens are.
    /// - A token that expired before the run is reported too, because otherwise a program that was down
    ///   for a day would miss it. Compare `expires_at` in the event with the present time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use service_tokens::clock::ManualClock;
    /// # use service_tokens::{Event, IssueRequest, MemoryStore, TokenService, TokenType};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Arc::new(ManualClock::default());
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").clock(clock.clone())
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let day = Duration::from_secs(86_400);
    /// let request = IssueRequest::new("connector", "backup").expires_in(30 * day);
    /// let _ = service.owner("acme").issue(request).await?;
    ///
    /// let from = service.now();
    /// let view = service.all_owners();
    /// clock.advance(22 * day);
    /// let scan = view.expiry_notices(from).distance(7 * day).distance(day).run().await?;
    /// assert_eq!(scan.notices, 0);
    ///
    /// clock.advance(2 * day);
    /// let scan = view.expiry_notices(scan.watermark).distance(7 * day).distance(day).run().await?;
    /// assert_eq!(scan.notices, 1);
    /// # Ok(()) }
    /// ```
    pub fn expiry_notices(self, from: DateTime<Utc>) -> ExpiryScan<'s, S> {
        ExpiryScan { view: self.view(), from, distances: Vec::new() }
    }
}

/// A scan for tokens that expire soon, from [`Tokens::expiry_notices`]. No notice is emitted before
/// [`run`](Self::run).
#[must_use = "no notice is emitted before `run`"]
pub struct ExpiryScan<'t, S> {
    view: View<'t, S>,
    from: DateTime<Utc>,
    distances: Vec<Duration>,
}

/// The result of a scan for tokens that expire soon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the next scan begins at the watermark"]
#[non_exhaustive]
pub struct ExpiryNotices {
    /// The time up to which all notices were emitted. Store it and begin the next scan with it. It is in
    /// whole microseconds. A store that rounds it up would skip notices.
    pub watermark: DateTime<Utc>,
    /// The number of notices that were emitted.
    pub notices: u64,
}

/// The error returned by a scan for tokens that expire soon. The watermark stays where it was, so run the
/// next scan from the same one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExpiryNoticesError {
    /// The scan has no distance.
    #[error("at least one distance is required")]
    NoDistance,
    /// A distance is too short or too long.
    #[error("a distance must be between {min:?} and {max:?}")]
    Distance {
        /// The minimum distance.
        min: Duration,
        /// The maximum distance.
        max: Duration,
    },
    /// The watermark is after the present time, so the clock ran ahead when it was made, or it is not a
    /// watermark. Notices between the two times may have been emitted already. Scans work again when the
    /// clock has passed the watermark; tokens that are issued until then may lack a notice. With an earlier
    /// watermark no notice is missed, and some are repeated.
    #[error("the watermark is after the present time, {}", rfc3339(*now))]
    WatermarkInFuture {
        /// The present time.
        now: DateTime<Utc>,
    },
    /// The clock jumped, and the jump was not
    /// [acknowledged](crate::TokenService::acknowledge_clock_jump).
    #[error("the clock jumped, and no notice is emitted until the jump is acknowledged")]
    ClockJumped,
    /// The tokens could not be listed. The notices that were emitted are repeated by the next scan.
    #[error("the scan stopped after {notices} notices")]
    Stopped {
        /// The number of notices that were emitted.
        notices: u64,
        /// The error that stopped the scan.
        #[source]
        cause: ManageError,
    },
}

impl<S: TokenStore> ExpiryScan<'_, S> {
    /// Adds a distance before the end, from 2 minutes to 3,660 days, in whole microseconds. At least one is
    /// required. A distance that was added before has no further effect.
    ///
    /// Keep the distances from one run to the next. A notice for a new distance that was due before the
    /// watermark is not emitted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let day = Duration::from_secs(86_400);
    /// let from = service.now() - 30 * day;
    /// let scan = service.all_owners().expiry_notices(from).distance(30 * day).distance(3 * day);
    /// assert_eq!(scan.run().await?.notices, 0);
    /// # Ok(()) }
    /// ```
    pub fn distance(mut self, distance: Duration) -> Self {
        self.distances.push(distance);
        self
    }

    /// Emits the notices that are due after the watermark and at least 60 seconds ago, and returns the new
    /// watermark.
    ///
    /// The 60 seconds are for writes that become visible later than the time in them, and for clocks that
    /// differ. If a write takes longer than that, or if the clocks of two processes differ by more, a
    /// notice that was due when its end was set can be missed. A run within 60 seconds of the last one
    /// emits nothing and returns the same watermark.
    ///
    /// The run waits while the queue of events is three quarters full, so no notice is lost there. A sink
    /// that hangs stops it. When it returns, the last notices may still wait in the queue. So [flush the
    /// events](crate::TokenService::flush_events) before you store the watermark.
    ///
    /// The future may be dropped at any time. A run that failed or was dropped has emitted some of its
    /// notices, and the next run from the same watermark emits them again. It emits [`Event::Failed`]. A
    /// run that succeeds emits only its notices.
    ///
    /// It reads all tokens that are not revoked and that end before the present time plus the longest
    /// distance. Expired tokens are among them until they are [purged](Tokens::purge).
    ///
    /// # Errors
    ///
    /// - [`ExpiryNoticesError::NoDistance`] and [`ExpiryNoticesError::Distance`].
    /// - [`ExpiryNoticesError::ClockJumped`] if the clock has jumped and that was not acknowledged.
    /// - [`ExpiryNoticesError::WatermarkInFuture`] if the watermark is after the present time.
    /// - [`ExpiryNoticesError::Stopped`] if the store failed or has a damaged record.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// use service_tokens::bulk::ExpiryNoticesError;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let from = service.now() - week;
    /// let done = service.owner("acme").expiry_notices(from).distance(week).run().await?;
    /// println!("{} tokens expire soon, next from {}", done.notices, done.watermark);
    ///
    /// let without_distance = service.owner("acme").expiry_notices(from).run().await;
    /// assert!(matches!(without_distance, Err(ExpiryNoticesError::NoDistance)));
    /// # Ok(()) }
    /// ```
    pub async fn run(self) -> Result<ExpiryNotices, ExpiryNoticesError> {
        let audit = self.view.service.audit(Operation::NotifyExpiry, None);
        audit.end_if_failed(self.scan().await)
    }

    async fn scan(&self) -> Result<ExpiryNotices, ExpiryNoticesError> {
        let mut done = ExpiryNotices { watermark: self.from, notices: 0 };
        let Some(window) = self.window()? else { return Ok(done) };
        let (service, mut cursor) = (self.view.service, None);
        loop {
            let request = ListRequest {
                after: cursor,
                ..ListRequest::from(window.filter()).order(Order::OldestFirst).limit(MAX_PAGE_LEN)
            };
            let page = self.view.page(request, service.earlier().time).await;
            let page =
                page.map_err(|cause| ExpiryNoticesError::Stopped { notices: done.notices, cause })?;
            for stored in &page.items {
                for notice in window.notices(&stored.record) {
                    let _room = service.core.events.room(Purpose::Bulk).await;
                    service.core.events.emit(notice);
                    done.notices += 1;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                done.watermark = window.to;
                return Ok(done);
            }
            yield_once().await;
        }
    }

    /// Returns the window of this scan, or `None` if it is empty.
    fn window(&self) -> Result<Option<Window>, ExpiryNoticesError> {
        let distances = self.checked_distances()?;
        let earlier = self.view.service.earlier();
        if earlier.doubted {
            return Err(ExpiryNoticesError::ClockJumped);
        }
        if self.from > earlier.time {
            return Err(ExpiryNoticesError::WatermarkInFuture { now: earlier.time });
        }
        let to = before(earlier.time, micros(TRAIL));
        Ok((self.from < to).then_some(Window { from: self.from, to, distances }))
    }

    /// Returns the distances in microseconds, the longest first and each once.
    fn checked_distances(&self) -> Result<Vec<i64>, ExpiryNoticesError> {
        let (min, max) = (MIN_DISTANCE, MAX_DISTANCE);
        if self.distances.iter().any(|distance| !(min..=max).contains(distance)) {
            return Err(ExpiryNoticesError::Distance { min, max });
        }
        let mut distances: Vec<i64> = self.distances.iter().map(|each| micros(*each)).collect();
        distances.sort_unstable_by(|one, other| other.cmp(one));
        distances.dedup();
        if distances.is_empty() { Err(ExpiryNoticesError::NoDistance) } else { Ok(distances) }
    }
}

/// The window of due times after `from` and up to `to`.
struct Window {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// The distances in microseconds, the longest first and never empty.
    distances: Vec<i64>,
}

impl Window {
    /// Returns a filter that selects every record with a notice in the window. It does not depend on the
    /// time of the list, so a clock that jumps during the scan has no effect.
    fn filter(&self) -> Filter {
        let longest = self.distances.iter().copied().max().unwrap_or_default();
        // The filter excludes its time, and a token that ends exactly there belongs to the window.
        Filter::new()
            .states([State::Pending, State::Active, State::Suspended, State::Expired])
            .expires_before(before(self.to, -(longest + 1)))
    }

    /// Returns the notices of a record that are due in the window.
    fn notices(&self, record: &Record) -> impl Iterator<Item = Event> {
        let due = |end, distance| before(end, distance).max(record.end_set_at());
        self.distances.iter().filter_map(move |distance| {
            let end = record.expires_at()?;
            let due = due(end, *distance);
            (self.from < due && due <= self.to).then(|| Event::ExpiresSoon {
                id: record.id(),
                owner: record.owner().to_owned(),
                token_type: record.token_type().to_owned(),
                issued_to: record.issued_to().to_owned(),
                expires_at: end,
                distance: Duration::from_micros(distance.unsigned_abs()),
            })
        })
    }
}

/// Returns the time that many microseconds earlier, or the nearest time that can be expressed.
fn before(time: DateTime<Utc>, micros: i64) -> DateTime<Utc> {
    from_micros(time.timestamp_micros().saturating_sub(micros))
}

impl<S> fmt::Debug for ExpiryScan<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpiryScan")
            .field("view", &self.view)
            .field("from", &self.from)
            .field("distances", &self.distances)
            .finish()
    }
}
