//! Revokes the tokens that match the filters and all tokens below them, for `--with-descendants`.
//!
//! A token is below another one if that one issued it, directly or through other tokens. Each pass finds
//! the *heads*: matching tokens below which are all live descendants. Then it revokes the descendants of
//! each head, and the matching tokens themselves. Between two passes a token that is not revoked yet can
//! issue another one, so the passes repeat until no live token is left.

use std::collections::{BTreeSet, HashSet};
use std::iter;

use futures_lite::future::block_on;
use service_tokens::store::{MAX_PAGE_LEN, States};
use service_tokens::{
    AllOwners, FileStore, Filter, ListRequest, ManageError, Record, RevokeRequest, TokenId, Tokens,
};

use crate::outcome::Outcome;
use crate::progress::Progress;

/// The tokens to revoke.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// The number of live tokens.
    pub(crate) live: u64,
    /// Matching tokens, live or ended. Each live token that does not match itself is below one of them.
    heads: BTreeSet<TokenId>,
}

/// Finds the tokens to revoke. A matching token that has ended counts only for its descendants.
pub(crate) fn find(
    view: Tokens<'_, FileStore, AllOwners>,
    filter: &Filter,
) -> Result<Selection, ManageError> {
    let mut matching = HashSet::new();
    for_each(view, filter.clone().states(States::ALL), |record| {
        matching.insert(record.id());
    })?;
    let mut selection = Selection::default();
    for_each(view, Filter::new().states(States::LIVE), |record| {
        // Of several matching issuers the farthest is the head, because it is probably above the
        // descendants of the others too.
        let head = record.issuers().iter().rfind(|issuer| matching.contains(issuer));
        selection.heads.extend(head);
        selection.live += u64::from(head.is_some() || matching.contains(&record.id()));
    })?;
    Ok(selection)
}

/// Visits each record that the filter selects.
pub(crate) fn for_each(
    view: Tokens<'_, FileStore, AllOwners>,
    filter: Filter,
    mut visit: impl FnMut(&Record),
) -> Result<(), ManageError> {
    let mut request = ListRequest::from(filter).limit(MAX_PAGE_LEN);
    loop {
        let page = block_on(view.list(request.clone()))?;
        page.items.iter().for_each(|stored| visit(&stored.record));
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(()),
        }
    }
}

/// Revokes the tokens. Passes repeat until no live token is left, or until a pass revokes none.
pub(crate) fn revoke(
    view: Tokens<'_, FileStore, AllOwners>,
    filter: &Filter,
    request: &RevokeRequest,
    mut selection: Selection,
) -> Outcome {
    let mut progress = Progress::new("revoking");
    let (total, mut outcome) = (selection.live, Outcome::default());
    while selection.live > 0 {
        let before_pass = outcome.done;
        outcome.clear_failures();
        let heads = selection.heads.iter();
        let below = heads.map(|head| view.revoke_with_descendants(*head, request.clone()));
        let rest = iter::once_with(|| view.revoke_all(filter.clone(), request.clone()));
        for operation in below.chain(rest) {
            let before = outcome.done;
            let operation = operation.on_progress(|at| progress.update(before + at.done, total));
            if !outcome.add(block_on(operation.run())) {
                return outcome;
            }
        }
        selection = match find(view, filter) {
            Ok(selection) => selection,
            Err(cause) => {
                outcome.stop(cause);
                return outcome;
            }
        };
        if outcome.done == before_pass {
            break;
        }
    }
    outcome.failed = selection.live;
    outcome
}
