//! Reserving a place in the owner's limit for a new token.

use super::core::TokenService;
use super::owner_limit::Place;
use crate::error::ManageError;
use crate::store::{Filter, ListRequest, MAX_PAGE_LEN, States, TokenStore};
use crate::token::TokenId;

impl<S: TokenStore> TokenService<S> {
    /// Reserves a place in the owner's limit for a new token, or refuses if the owner has the maximum of
    /// live tokens. Returns `None` if the policy has no limit.
    ///
    /// It counts by the earlier time. After the clock ran ahead and was corrected, tokens that have expired by
    /// the service's time are live elsewhere and after a restart, and they would not be counted.
    ///
    /// The store counts, if that is likely to decide. Otherwise it lists the tokens.
    pub(super) async fn take_place(
        &self,
        owner: &str,
        id: TokenId,
    ) -> Result<Option<Place<'_>>, ManageError> {
        let Some(max) = self.core.policy.max_active_per_owner else { return Ok(None) };
        let now = self.earlier().time;
        let mut count = self.core.owner_limits.count(owner, &self.core.clock);
        let filter = Filter::new().owner(owner).states(States::LIVE);
        if count.is_alone() {
            let live = self.core.records.store.count(&filter, now).await?;
            let live = usize::try_from(live).unwrap_or(usize::MAX);
            if live >= max {
                return Err(ManageError::TooManyActive { max });
            }
            if let Some(place) = count.take_counted(id, live, max) {
                return Ok(Some(place));
            }
        }
        let mut request = ListRequest::from(filter).limit(max.clamp(1, MAX_PAGE_LEN));
        loop {
            let page = self.core.records.store.list(&request, now).await?;
            // The store may return more records than the filter selects.
            let live = page
                .items
                .iter()
                .filter(|stored| request.filter.matches(&stored.record, stored.last_used, now));
            if count.add(live.map(|stored| stored.record.id())) >= max {
                return Err(ManageError::TooManyActive { max });
            }
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
        count.take(id, max).map(Some).ok_or(ManageError::TooManyActive { max })
    }
}
