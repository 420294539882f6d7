//! Faults in pages and filters.

use std::collections::BTreeMap;

use super::content::edited;
use super::harness::{Answer, Backend, Fault};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::store::{Order, Version};
use service_tokens::{Filter, ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

fn id(stored: &StoredRecord) -> TokenId {
    stored.record.id()
}

/// Returns the rows that a query selects, in its order. `matches` may judge another value than the row.
async fn selected(
    to: &Backend,
    query: &ListRequest,
    matches: impl Fn(&StoredRecord) -> bool,
) -> Answer<Vec<StoredRecord>> {
    let mut rows = to.rows().await?;
    rows.retain(matches);
    if query.order == Order::NewestFirst {
        rows.reverse();
    }
    Ok(rows)
}

/// Returns a page of rows that are all after the cursor.
fn page(mut rows: Vec<StoredRecord>, length: usize) -> Page {
    let next = (rows.len() > length).then(|| id(&rows[length - 1]));
    rows.truncate(length);
    Page::new(rows, next)
}

/// Defines a store whose lists are made by this function.
macro_rules! lists {
    ($(#[$doc:meta])* $name:ident, |$to:ident, $query:ident, $now:ident| $body:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        #[async_trait]
        impl Fault for $name {
            async fn list(
                &self,
                $to: &Backend,
                $query: &ListRequest,
                $now: DateTime<Utc>,
            ) -> Answer<Page> {
                $body
            }
        }
    };
}

/// Lists the rows that would match with another record in their place.
async fn as_if(
    to: &Backend,
    query: &ListRequest,
    now: DateTime<Utc>,
    other: impl Fn(&Record) -> Record,
) -> Answer<Page> {
    let matches = |stored: &StoredRecord| {
        query.is_past_cursor(id(stored))
            && query.filter.matches(&other(&stored.record), stored.last_used, now)
    };
    Ok(page(selected(to, query, matches).await?, query.limit))
}

lists!(EdgeIsSkipped, |to, query, now| {
    let page = to.list(query, now).await?;
    let Some(next) = page.next else { return Ok(page) };
    // Returns the first id of the next page instead of the last id of this one.
    let following = to.list(&query.clone().after(next).limit(1), now).await?;
    Ok(Page::new(page.items, following.items.first().map(id)))
});

lists!(EdgeIsRepeated, |to, query, now| {
    let from =
        |stored: &StoredRecord| query.is_past_cursor(id(stored)) || query.after == Some(id(stored));
    let matches = |stored: &StoredRecord| {
        from(stored) && query.filter.matches(&stored.record, stored.last_used, now)
    };
    let rows = selected(to, query, matches).await?;
    // Adds one record to the length, because the scan would not advance otherwise.
    let length = query.limit + usize::from(query.after.is_some());
    let next = (rows.len() > length).then(|| id(&rows[length - 1]));
    Ok(Page::new(rows.into_iter().take(length).collect(), next))
});

lists!(CursorDiesWithItsRecord, |to, query, now| {
    match query.after {
        Some(cursor) if to.find(cursor).await?.is_none() => Ok(Page::new(Vec::new(), None)),
        _ => to.list(query, now).await,
    }
});

lists!(CursorWithoutARecordStartsAnew, |to, query, now| {
    match query.after {
        Some(cursor) if to.find(cursor).await?.is_none() => {
            let start =
                ListRequest::from(Filter::new().states(query.filter.states)).order(query.order);
            to.list(&start.limit(query.limit), now).await
        }
        _ => to.list(query, now).await,
    }
});

lists!(
    /// Counts rows instead of referring to an id.
    CursorIsAnOffset,
    |to, query, now| {
        let all = query.clone();
        let rows = selected(to, query, |stored| all.filter.matches(&stored.record, stored.last_used, now));
        let rows = rows.await?;
        let offset = query.after.map_or(0, |cursor| {
            usize::try_from(u128::from_be_bytes(cursor.to_bytes())).unwrap_or(usize::MAX)
        });
        let end = offset.saturating_add(query.limit);
        let next = (end < rows.len()).then(|| TokenId::from_bytes((end as u128).to_be_bytes()));
        Ok(Page::new(rows.into_iter().skip(offset).take(query.limit).collect(), next))
    }
);

lists!(NewestFirstLosesTheOldest, |to, query, now| {
    let mut page = to.list(query, now).await?;
    let oldest = to.rows().await?.first().map(id);
    if query.order == Order::NewestFirst {
        page.items.retain(|stored| Some(id(stored)) != oldest);
    }
    Ok(page)
});

lists!(DirectionIsIgnored, |to, query, now| {
    to.list(&query.clone().order(Order::OldestFirst), now).await
});

lists!(
    /// Orders ids as a database without unsigned numbers does.
    IdsAreSigned,
    |to, query, now| {
        let place = |id: TokenId| i128::from_be_bytes(id.to_bytes());
        let mut rows = to.rows().await?;
        rows.retain(|stored| {
            let behind = query.after.is_none_or(|cursor| match query.order {
                Order::OldestFirst => place(id(stored)) > place(cursor),
                Order::NewestFirst => place(id(stored)) < place(cursor),
            });
            behind && query.filter.matches(&stored.record, stored.last_used, now)
        });
        rows.sort_by_key(|stored| place(id(stored)));
        if query.order == Order::NewestFirst {
            rows.reverse();
        }
        Ok(page(rows, query.limit))
    }
);

lists!(PageIsSortedByCreation, |to, query, now| {
    let mut page = to.list(query, now).await?;
    page.items.sort_by_key(|stored| stored.record.created_at());
    Ok(page)
});

lists!(PageHasOneTooMany, |to, query, now| {
    to.list(&query.clone().limit(query.limit + 1), now).await
});

lists!(
    /// Cuts the page before it filters, and treats a page that has become shorter as the last one.
    ShortPageIsTheEnd,
    |to, query, now| {
        let rows = selected(to, query, |stored| query.is_past_cursor(id(stored))).await?;
        let mut page = page(rows, query.limit);
        page.items.retain(|stored| query.filter.matches(&stored.record, stored.last_used, now));
        if page.items.len() < query.limit {
            page.next = None;
        }
        Ok(page)
    }
);

lists!(EmptyPageIsTheEnd, |to, query, now| {
    let rows = selected(to, query, |stored| query.is_past_cursor(id(stored))).await?;
    let mut page = page(rows, query.limit);
    page.items.retain(|stored| query.filter.matches(&stored.record, stored.last_used, now));
    if page.items.is_empty() {
        page.next = None;
    }
    Ok(page)
});

/// Returns the record with another owner.
fn owned(record: &Record, owner: &str) -> Record {
    edited(record, |tag, content| Some(if tag == 2 { owner.into() } else { content.to_vec() }))
}

lists!(SecondPageForgetsTheOwner, |to, query, now| {
    match (query.after, query.filter.owner.as_deref()) {
        (Some(_), Some(owner)) => as_if(to, query, now, |record| owned(record, owner)).await,
        _ => to.list(query, now).await,
    }
});

lists!(OwnerIsAPrefix, |to, query, now| {
    let Some(owner) = query.filter.owner.as_deref() else { return to.list(query, now).await };
    let other = |record: &Record| {
        if record.owner().starts_with(owner) { owned(record, owner) } else { record.clone() }
    };
    as_if(to, query, now, other).await
});

lists!(OwnerHasNoCase, |to, query, now| {
    let Some(owner) = query.filter.owner.as_deref() else { return to.list(query, now).await };
    let other = |record: &Record| {
        let alike = record.owner().to_lowercase() == owner.to_lowercase();
        if alike { owned(record, owner) } else { record.clone() }
    };
    as_if(to, query, now, other).await
});

lists!(OwnerEndsAtNul, |to, query, now| {
    let start = |text: &str| text.split('\0').next().unwrap().to_owned();
    let Some(owner) = query.filter.owner.as_deref() else { return to.list(query, now).await };
    let other = |record: &Record| {
        let alike = start(record.owner()) == start(owner);
        if alike { owned(record, owner) } else { record.clone() }
    };
    as_if(to, query, now, other).await
});

lists!(
    /// Searches an index of trimmed texts.
    LabelsAreSearchedTrimmed,
    |to, query, now| {
        let other = |record: &Record| {
            edited(record, |tag, content| {
                let text = || str::from_utf8(content).unwrap().trim().into();
                Some(if [4, 15].contains(&tag) { text() } else { content.to_vec() })
            })
        };
        as_if(to, query, now, other).await
    }
);

lists!(OnlyTheNearestIssuerIsSearched, |to, query, now| {
    let other = |record: &Record| {
        edited(record, |tag, content| {
            Some(if tag == 16 { content[..16].to_vec() } else { content.to_vec() })
        })
    };
    as_if(to, query, now, other).await
});

lists!(EndIsInclusive, |to, query, now| {
    match query.filter.expires_before {
        None => to.list(query, now).await,
        Some(end) => {
            let later = end.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(end);
            let filter = query.filter.clone().expires_before(later);
            to.list(&query.clone().filter(filter), now).await
        }
    }
});

/// Lists the rows that have ended, by this function in place of [`Filter::ended_before`].
async fn ended_by(
    to: &Backend,
    query: &ListRequest,
    now: DateTime<Utc>,
    ended: impl Fn(&Record, DateTime<Utc>) -> bool,
) -> Answer<Page> {
    let Some(before) = query.filter.ended_before else { return to.list(query, now).await };
    let mut others = query.filter.clone();
    others.ended_before = None;
    let matches = |row: &StoredRecord| {
        query.is_past_cursor(id(row))
            && others.matches(&row.record, row.last_used, now)
            && ended(&row.record, before)
    };
    Ok(page(selected(to, query, matches).await?, query.limit))
}

lists!(PastEndIsInclusive, |to, query, now| {
    let ended = |record: &Record, before| record.ended_at(now).is_some_and(|end| end <= before);
    ended_by(to, query, now, ended).await
});

// A column for the end that is compared with the given time alone.
lists!(FutureEndsArePast, |to, query, now| {
    let ended = |record: &Record, before| record.ends_at().is_some_and(|end| end < before);
    ended_by(to, query, now, ended).await
});

lists!(RevocationIsNoEnd, |to, query, now| {
    let ended = |record: &Record, before: DateTime<Utc>| {
        record.expires_at().is_some_and(|end| end < before && end <= now)
    };
    ended_by(to, query, now, ended).await
});

lists!(RevokedCountAsExpired, |to, query, now| {
    let other = |record: &Record| {
        let expired = record.expires_at().is_some_and(|end| now >= end);
        let kept = |tag: u8| !(expired && (12..=14).contains(&tag));
        edited(record, |tag, content| kept(tag).then(|| content.to_vec()))
    };
    as_if(to, query, now, other).await
});

/// Returns the encoded suspensions without their ends.
fn without_ends(mut content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while !content.is_empty() {
        out.extend(&content[..8]);
        out.push(0);
        content = &content[if content[8] == 1 { 17 } else { 9 }..];
        for _ in 0..2 {
            let text = 1 + usize::from(content[0]);
            assert!(text <= 0x80, "the texts of the suite are short");
            out.extend(&content[..text]);
            content = &content[text..];
        }
    }
    out
}

// A column for the state that is written with the record. It does not change when the suspension passes.
lists!(SuspensionsDoNotPass, |to, query, now| {
    let other = |record: &Record| {
        edited(record, |tag, content| {
            Some(match tag {
                // Each suspension has a start, a flag, its end if the flag is set, and two texts.
                19 => without_ends(content),
                _ => content.to_vec(),
            })
        })
    };
    as_if(to, query, now, other).await
});

lists!(SuspendedCountAsActive, |to, query, now| {
    let other =
        |record: &Record| edited(record, |tag, content| (tag != 19).then(|| content.to_vec()));
    as_if(to, query, now, other).await
});

lists!(OwnClock, |to, query, _now| {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = DateTime::from_timestamp_micros(since.as_micros() as i64).unwrap();
    to.list(query, now).await
});

lists!(TimesInSeconds, |to, query, now| {
    let now = DateTime::from_timestamp(now.timestamp(), 0).unwrap();
    to.list(query, now).await
});

lists!(ListShowsOtherVersions, |to, query, now| {
    let mut page = to.list(query, now).await?;
    page.items.iter_mut().for_each(|stored| stored.version = Version(stored.version.0 + 1));
    Ok(page)
});

lists!(ListShowsNoMetadata, |to, query, now| {
    let mut page = to.list(query, now).await?;
    for stored in &mut page.items {
        stored.record =
            edited(&stored.record, |tag, content| (tag != 17).then(|| content.to_vec()));
    }
    Ok(page)
});

/// Always returns the state of a record that it listed first.
#[derive(Default)]
pub(crate) struct ListIsStale(std::sync::Mutex<BTreeMap<TokenId, StoredRecord>>);

#[async_trait]
impl Fault for ListIsStale {
    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let mut page = to.list(query, now).await?;
        let mut kept = self.0.lock().unwrap();
        for stored in &mut page.items {
            *stored = kept.entry(id(stored)).or_insert_with(|| stored.clone()).clone();
        }
        Ok(page)
    }
}
