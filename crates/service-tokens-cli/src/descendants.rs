//! Tokens that filters select, with everything that was issued below them.

use std::collections::{BTreeSet, HashSet};
use std::iter;

use futures_lite::future::block_on;
use service_tokens::store::{MAX_PAGE_LEN, States};
use service_tokens::{
    AllOwners, FileStore, Filter, ListRequest, ManageError, Record, RevokeRequest, TokenId, Tokens,
};

use crate::outcome::Outcome;
use crate::progress::Progress;

/// What is to be revoked.
#[derive(Debug, Default)]
pub(crate) struct RecordRef {
    /// How many live tokens that is.
    pub(crate) live: u64,
    /// Selected tokens, dead or alive, below which is every live one that is not selected itself.
    heads: BTreeSet<TokenId>,
}

/// Looks for them. A selected token that is dead counts by what it issued.
pub(crate) fn find(
    view: Tokens<'_, FileStore, AllOwners>,
    selected: &Filter,
) -> Result<RecordRef, ManageError> {
    let mut chosen = HashSet::new();
    each(view, selected.clone().states(States::ALL), |record| {
        chosen.insert(record.id());
    })?;
    let mut found = RecordRef::default();
    each(view, Filter::new().states(States::LIVE), |record| {
        // Of several the farthest: it tends to stand above the others' other descendants too.
        let head = record.issuers().iter().rfind(|issuer| chosen.contains(issuer));
        found.heads.extend(head);
        found.live += u64::from(head.is_some() || chosen.contains(&record.id()));
    })?;
    Ok(found)
}

fn each(
    view: Tokens<'_, FileStore, AllOwners>,
    filter: Filter,
    mut look: impl FnMut(&Record),
) -> Result<(), ManageError> {
    let mut request = ListRequest::from(filter).limit(MAX_PAGE_LEN);
    loop {
        let page = block_on(view.list(request.clone()))?;
        page.items.iter().for_each(|stored| look(&stored.record));
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(()),
        }
    }
}

/// Revokes them, again and again until none is left or nothing helps.
pub(crate) fn revoke(
    view: Tokens<'_, FileStore, AllOwners>,
    selected: &Filter,
    request: &RevokeRequest,
    mut found: RecordRef,
) -> Outcome {
    let mut progress = Progress::new("revoking");
    let (total, mut all) = (found.live, Outcome::default());
    while found.live > 0 {
        let before_pass = all.done;
        all.try_again();
        let heads = found.heads.iter();
        let below = heads.map(|head| view.revoke_with_descendants(*head, request.clone()));
        let rest = iter::once_with(|| view.revoke_all(selected.clone(), request.clone()));
        for act in below.chain(rest) {
            let before = all.done;
            let act = act.on_progress(|at| progress.show(before + at.done, total));
            if !all.add(block_on(act.run())) {
                return all;
            }
        }
        found = match find(view, selected) {
            Ok(found) => found,
            Err(cause) => {
                all.stopped(cause);
                return all;
            }
        };
        if all.done == before_pass {
            break;
        }
    }
    all.failed = found.live;
    all
}
