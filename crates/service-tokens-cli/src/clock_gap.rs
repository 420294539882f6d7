//! The check of the expiry times of a purge against the gaps between the times in the token file.
//!
//! The newest time in the file shows that a clock is ahead only until the first write under that clock. The
//! gap that the clock skipped stays. A living token can be purged only if it expired after the last time of a
//! right clock, and more than the retention before the present reading. So its expiry is in a gap between two
//! neighbouring times that are further apart than the retention. This does not hold if the clock has been wrong
//! for longer than the retention. But then the service has refused the token as expired for that long.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use service_tokens::store::{MAX_PAGE_LEN, States};
use service_tokens::{FileStore, Filter, ListRequest, StoredRecord, TokenService};

use crate::clock_check::times_of;
use crate::exit::Exit;

/// A gap between two neighbouring times in the file, in which tokens expired whose records would be removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
    /// The number of the tokens, of those in older gaps too.
    pub(crate) expired: u64,
}

/// Returns the newest gap that is longer than the retention and in which a token expired whose record would be
/// removed. A revoked token is not alive under any clock, so it is not counted.
pub(crate) fn before_removing(
    service: &TokenService<FileStore>,
    owner: Option<&str>,
    include_imported: bool,
    retention: Duration,
) -> Result<Option<Gap>, Exit> {
    let clock = service.now();
    let mut expiries = Vec::new();
    let ended = Filter::new().ended_before(clock - retention);
    for_each(service, owner, ended, |stored| {
        let record = &stored.record;
        let removed = include_imported || !record.is_imported();
        if removed && record.revocation().is_none() {
            expiries.extend(record.expires_at());
        }
    })?;
    if expiries.is_empty() {
        return Ok(None);
    }
    let mut times = Vec::new();
    for_each(service, None, Filter::new().states(States::ALL), |stored| {
        times.extend(times_of(stored));
    })?;
    times.sort_unstable();
    let retention = TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
    let mut newest: Option<Gap> = None;
    let mut count = 0;
    for expiry in expiries {
        let later = times.partition_point(|time| *time <= expiry);
        let Some(&from) = later.checked_sub(1).and_then(|last| times.get(last)) else { continue };
        let to = times.get(later).copied().unwrap_or(clock);
        if to - from > retention {
            count += 1;
            if newest.is_none_or(|gap| gap.to < to) {
                newest = Some(Gap { from, to, expired: 0 });
            }
        }
    }
    Ok(newest.map(|gap| Gap { expired: count, ..gap }))
}

/// Calls a function with each record of an owner, or of all owners, that the filter selects.
fn for_each(
    service: &TokenService<FileStore>,
    owner: Option<&str>,
    filter: Filter,
    mut visit: impl FnMut(&StoredRecord),
) -> Result<(), Exit> {
    let mut request = ListRequest::from(filter).limit(MAX_PAGE_LEN);
    loop {
        let page = block_on(service.owner_or_all(owner).list(request.clone()))?;
        page.items.iter().for_each(&mut visit);
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(()),
        }
    }
}
