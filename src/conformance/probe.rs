//! Calls to a store that turn a wrong answer into a broken promise with a readable explanation.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};

use chrono::{DateTime, Utc};

use super::verdict::{NotKept, Verdict, broken, ensure};
use crate::record::Record;
use crate::store::{
    Filter, LastUsed, ListRequest, Order, Page, RecordRef, States, StoreError, StoredRecord,
    TokenStore, Version,
};
use crate::token::TokenId;

/// A store that is being checked.
#[derive(Clone, Copy)]
pub(super) struct Probe<'s> {
    pub(super) store: &'s dyn TokenStore,
}

impl Probe<'_> {
    pub(super) async fn insert(&self, record: &Record) -> Result<Version, NotKept> {
        answered("an insert under a free id", self.store.insert(record).await)
    }

    pub(super) async fn insert_all(&self, records: &[Record]) -> Verdict {
        for record in records {
            self.insert(record).await?;
        }
        Ok(())
    }

    pub(super) async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, NotKept> {
        answered("find", self.store.find(id).await)
    }

    /// Returns a record that must exist.
    pub(super) async fn stored(&self, id: TokenId, when: &str) -> Result<StoredRecord, NotKept> {
        match self.find(id).await? {
            Some(stored) => Ok(stored),
            None => broken(format!("{when}, find answered that there is no record {id}")),
        }
    }

    /// Checks that `find` returns this record and version.
    pub(super) async fn holds(&self, record: &Record, version: Version, when: &str) -> Verdict {
        let stored = self.stored(record.id(), when).await?;
        same_record(record, &stored.record, &format!("{when}, find answered with a record"))?;
        same(&version, &stored.version, &format!("{when}, find answered with"))
    }

    /// Checks that `find` returns this record and version, and that all other reads agree with it.
    pub(super) async fn found(&self, record: &Record, version: Version, when: &str) -> Verdict {
        self.holds(record, version, when).await?;
        self.agrees(record.id(), when).await
    }

    /// Checks that `find`, `find_now`, and the lists of all records and of the owner agree about an id.
    pub(super) async fn agrees(&self, id: TokenId, when: &str) -> Verdict {
        let found = self.find(id).await?;
        let what = format!("{when}, find_now lent");
        let mut lent: Option<Option<StoredRecord>> = None;
        self.store.find_now(id, &mut |found: Option<RecordRef<'_>>| {
            lent = Some(found.map(|found| StoredRecord {
                record: found.record.clone(),
                version: found.version,
                last_used: found.last_used(),
            }));
        });
        match (&found, lent) {
            (_, None) | (None, Some(None)) => {}
            (Some(found), Some(Some(lent))) => same_stored(found, &lent, &what)?,
            (Some(_), Some(None)) => return broken(format!("{what} no record and find has one")),
            (None, Some(Some(_))) => return broken(format!("{what} a record and find has none")),
        }
        // Both lists begin directly before the id, so that they are short.
        let before = u128::from_be_bytes(id.to_bytes()).checked_sub(1);
        let mut filters = vec![everything()];
        if let Some(found) = &found {
            let (owner, token_type) = (found.record.owner(), found.record.token_type());
            filters.push(everything().owner(owner));
            filters.push(everything().owner(owner).token_type(token_type));
            let state = found.record.state(super::samples::now());
            filters.push(everything().issued_to(found.record.issued_to()).states(state));
        }
        for filter in filters {
            let mut request = ListRequest::from(filter).order(Order::OldestFirst).limit(1);
            request.after = before.map(|place| TokenId::from_bytes(place.to_be_bytes()));
            let mut page = self.page(&request, super::samples::now()).await?;
            // A page may be empty and have a next page.
            for _ in 0..PAGES {
                let Some(next) = page.next.filter(|next| page.items.is_empty() && *next < id)
                else {
                    break;
                };
                page = self.page(&request.clone().after(next), super::samples::now()).await?;
            }
            let listed = page.items.iter().find(|stored| stored.record.id() == id);
            match (&found, listed) {
                (None, None) => {}
                (Some(found), Some(listed)) => {
                    same_stored(
                        found,
                        listed,
                        &format!("{when}, find has a record, and list showed"),
                    )?;
                }
                (Some(_), None) => {
                    return broken(format!("{when}, list did not show a record that find has"));
                }
                (None, Some(_)) => {
                    return broken(format!("{when}, list showed a record that find does not have"));
                }
            }
        }
        Ok(())
    }

    /// Checks that `find` returns no record with this id.
    pub(super) async fn lacks_single(&self, id: TokenId, when: &str) -> Verdict {
        ensure!(self.find(id).await?.is_none(), "{when}, find answered with a record {id}");
        Ok(())
    }

    /// Checks that neither `find` nor `list` returns a record with this id.
    pub(super) async fn lacks(&self, id: TokenId, when: &str) -> Verdict {
        ensure!(self.find(id).await?.is_none(), "{when}, find answered with a record {id}");
        let listed = self.scan(&every_record(), super::samples::now()).await?;
        ensure!(
            listed.iter().all(|stored| stored.record.id() != id),
            "{when}, list showed a record {id}"
        );
        Ok(())
    }

    pub(super) async fn replace(
        &self,
        record: &Record,
        expected: Version,
    ) -> Result<Version, NotKept> {
        let answer = self.store.replace(record, expected).await;
        answered("a replacement with the current version", answer)
    }

    pub(super) async fn remove(&self, id: TokenId, expected: Version) -> Verdict {
        answered("a removal with the current version", self.store.remove(id, expected).await)
    }

    pub(super) async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Verdict {
        answered("touch", self.store.touch(uses).await)
    }

    pub(super) async fn page(
        &self,
        request: &ListRequest,
        now: DateTime<Utc>,
    ) -> Result<Page, NotKept> {
        answered("list", self.store.list(request, now).await)
    }

    /// Returns all records of a list, page after page.
    pub(super) async fn scan(
        &self,
        request: &ListRequest,
        now: DateTime<Utc>,
    ) -> Result<Vec<StoredRecord>, NotKept> {
        let mut scanned = Vec::new();
        let mut request = request.clone();
        for _ in 0..PAGES {
            let page = self.page(&request, now).await?;
            scanned.extend(page.items);
            let Some(next) = page.next else { return Ok(scanned) };
            ensure!(
                request.is_past_cursor(next),
                "a page has a next page, and its cursor {next} is not after the cursor of the page"
            );
            request = request.after(next);
        }
        broken(format!("a scan did not end: after {PAGES} pages there was still a next one"))
    }
}

/// Many more pages than any scan of the suite needs.
pub(super) const PAGES: usize = 2_000;

/// Requests every record, oldest first.
pub(super) fn every_record() -> ListRequest {
    ListRequest::from(everything()).order(Order::OldestFirst)
}

/// Selects every record.
pub(super) fn everything() -> Filter {
    Filter::new().states(States::ALL)
}

pub(super) fn answered<T>(what: &str, answer: Result<T, StoreError>) -> Result<T, NotKept> {
    answer.or_else(|error| broken(format!("{what} failed: {}", with_sources(&error))))
}

pub(super) fn with_sources(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// Checks that an answer is the error that the contract requires.
pub(super) fn refused<T>(what: &str, answer: Result<T, StoreError>, kind: Refusal) -> Verdict {
    let expected = format!("{what} should have failed with `{kind:?}`");
    match (answer, kind) {
        (Err(StoreError::Exists), Refusal::Exists)
        | (Err(StoreError::Conflict), Refusal::Conflict)
        | (Err(StoreError::NewerFormat), Refusal::NewerFormat)
        | (Err(StoreError::Unsupported { .. }), Refusal::Unsupported) => Ok(()),
        (Ok(_), _) => broken(format!("{expected} but succeeded")),
        (Err(error), _) => broken(format!("{expected} but failed with: {}", with_sources(&error))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Exists,
    Conflict,
    NewerFormat,
    Unsupported,
}

pub(super) fn same<T: PartialEq + Debug>(expected: &T, seen: &T, what: &str) -> Verdict {
    ensure!(expected == seen, "{what} {seen:?} instead of {expected:?}");
    Ok(())
}

/// Checks that two records are equal. If not, the message names the first field that differs.
pub(super) fn same_record(expected: &Record, seen: &Record, what: &str) -> Verdict {
    match difference(expected, seen) {
        None => Ok(()),
        Some(difference) => broken(format!("{what} that differs: {difference}")),
    }
}

pub(super) fn same_stored(expected: &StoredRecord, seen: &StoredRecord, what: &str) -> Verdict {
    same_record(&expected.record, &seen.record, &format!("{what} a record"))?;
    same(&expected.version, &seen.version, what)?;
    same(&expected.last_used, &seen.last_used, &format!("{what} the last use"))
}

fn difference(expected: &Record, seen: &Record) -> Option<String> {
    fn field(name: &str, expected: impl Debug, seen: impl Debug) -> Option<String> {
        let (expected, seen) = (format!("{expected:?}"), format!("{seen:?}"));
        (expected != seen)
            .then(|| format!("{name} is {} instead of {}", short(&seen), short(&expected)))
    }
    if expected == seen && expected.to_bytes() == seen.to_bytes() {
        return None;
    }
    let revocation = |record: &Record| {
        let revocation = record.revocation()?;
        Some((revocation.at, revocation.by.clone(), revocation.reason.clone()))
    };
    let start = expected.created_at();
    field("the id", expected.id(), seen.id())
        .or_else(|| field("the owner", expected.owner(), seen.owner()))
        .or_else(|| field("the type", expected.token_type(), seen.token_type()))
        .or_else(|| field("issued-to", expected.issued_to(), seen.issued_to()))
        .or_else(|| field("the scopes", expected.scopes(), seen.scopes()))
        .or_else(|| field("the creation time", start, seen.created_at()))
        .or_else(|| field("the start", expected.not_before(), seen.not_before()))
        .or_else(|| field("the end", expected.expires_at(), seen.expires_at()))
        .or_else(|| field("the revocation", revocation(expected), revocation(seen)))
        .or_else(|| field("issued-by", expected.issued_by(), seen.issued_by()))
        .or_else(|| field("the issuers", expected.issuers(), seen.issuers()))
        .or_else(|| {
            let entries = |record: &Record| {
                record.metadata().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<Vec<_>>()
            };
            field("the metadata", entries(expected), entries(seen))
        })
        .or_else(|| field("the format", expected.format(), seen.format()))
        .or_else(|| {
            let secrets = (expected.secret_created_at(), expected.overlap(start));
            field("the secrets' times", secrets, (seen.secret_created_at(), seen.overlap(start)))
        })
        .or_else(|| Some("its secrets, or fields that only a newer program can read".into()))
}

/// Cuts a long text.
pub(super) fn short(text: &str) -> String {
    const LONG: usize = 160;
    if text.chars().count() <= LONG {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONG).collect();
    format!("{start}… ({} bytes)", text.len())
}

/// Escapes a text for a message, and cuts it if it is long.
pub(super) fn quote(text: &str) -> String {
    short(&format!("{text:?}"))
}

/// Checks that a list has exactly these ids, each once, in any order.
pub(super) fn same_ids(
    expected: &BTreeSet<TokenId>,
    seen: impl IntoIterator<Item = TokenId>,
    what: &str,
) -> Verdict {
    let mut met = BTreeSet::new();
    let (mut repeated, mut foreign) = (Vec::new(), Vec::new());
    for id in seen {
        if !met.insert(id) {
            repeated.push(id);
        } else if !expected.contains(&id) {
            foreign.push(id);
        }
    }
    let missed: Vec<TokenId> = expected.difference(&met).copied().collect();
    let mut faults = Vec::new();
    for (verb, ids) in [("missed", &missed), ("repeated", &repeated), ("wrongly showed", &foreign)]
    {
        if !ids.is_empty() {
            faults.push(format!("{verb} {}", count_and_first(ids)));
        }
    }
    let faults = faults.join(" and ");
    ensure!(faults.is_empty(), "{what} should have shown {} records; it {faults}", expected.len());
    Ok(())
}

/// Formats the number of ids and the first few of them.
pub(super) fn count_and_first(ids: &[impl Display]) -> String {
    let first: Vec<String> = ids.iter().take(3).map(ToString::to_string).collect();
    let more = if ids.len() > first.len() { ", …" } else { "" };
    format!("{} ({}{more})", ids.len(), first.join(", "))
}

/// Returns the last use that a record without a touch must have.
pub(super) fn untouched(store: &dyn TokenStore) -> LastUsed {
    if store.tracks_last_used() { LastUsed::Never } else { LastUsed::NotTracked }
}

/// Ends a check that is possible only on a store that tracks last use.
pub(super) fn tracked(probe: Probe<'_>) -> Verdict {
    if probe.store.tracks_last_used() {
        return Ok(());
    }
    Err(NotKept::NotChecked("the store does not track last use"))
}
