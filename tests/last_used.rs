//! When tokens were last used: what is noted, and what is shown of it.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::clock::Clock;
use service_tokens::store::{LastUsed, StoreError, Version};
use service_tokens::{
    Filter, ListRequest, ManageError, Page, Record, RevokeRequest, StoredRecord, TokenId,
    TokenServiceBuilder, TokenStore,
};
use support::used::{Scene, remote, scene, scene_with};
use support::{
    DAY, Fault, Faulty, HOUR, MICRO, MINUTE, Op, Open, Remote, SharedStore, any, builder,
    over_stores, requirement,
};

over_stores! {
    a_use_is_shown_at_once_and_stored_by_a_flush,
    every_path_notes_uses,
    what_is_no_use_is_not_noted,
    of_the_uses_in_a_step_the_first_is_noted,
    what_the_store_knows_is_not_noted_again,
    a_step_of_zero_notes_every_use,
    unused_since_is_careful,
    unused_since_knows_what_waits,
    without_recording_nothing_is_known,
}

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

async fn a_use_is_shown_at_once_and_stored_by_a_flush(open: Open) {
    let scene = scene(open);
    let (id, token) = scene.issue().await;
    let (other, _) = scene.issue().await;
    assert_eq!(scene.shown(id).await, LastUsed::Never);
    assert_eq!(scene.flush().await, 0);
    let used = scene.use_it(&token).await;
    assert_eq!(scene.shown(id).await, LastUsed::At(used));
    assert_eq!(scene.stored(id).await, LastUsed::Never);
    assert_eq!(scene.flush().await, 1);
    assert_eq!(scene.stored(id).await, LastUsed::At(used));
    assert_eq!(scene.shown(id).await, LastUsed::At(used));
    assert_eq!(scene.shown(other).await, LastUsed::Never);
    assert_eq!(scene.flush().await, 0);
    // What is later in the store, another process brought there.
    let later = used + TimeDelta::hours(1);
    scene.store.touch(&[(id, later)]).await.unwrap();
    assert_eq!(scene.shown(id).await, LastUsed::At(later));
}

async fn every_path_notes_uses(open: Open) {
    async fn check<S: TokenStore>(scene: Scene<S>) {
        let (id, token) = scene.issue().await;
        for uncached in [false, true, false] {
            scene.clock.advance(MINUTE);
            let outcome = match uncached {
                false => scene.service.verify(&token, &requirement("files:read")).await,
                true => scene.service.verify_uncached(&token, &requirement("files:read")).await,
            };
            outcome.unwrap();
            assert_eq!(scene.shown(id).await, LastUsed::At(scene.clock.now()), "{uncached}");
            scene.flush().await;
            assert_eq!(scene.stored(id).await, LastUsed::At(scene.clock.now()), "{uncached}");
        }
    }
    check(scene(open)).await;
    check(remote(open)).await;
    let keeping = |builder: TokenServiceBuilder<Arc<Remote>>| builder.cache_records(DAY, 100);
    check(scene_with(open, |store| Arc::new(Remote::new(store)), keeping)).await;
}

async fn what_is_no_use_is_not_noted(open: Open) {
    let scene = scene(open);
    let (id, token) = scene.issue().await;
    assert!(scene.service.verify(&token, &requirement("files:delete")).await.is_err());
    assert!(scene.service.verify_uncached(&token, &requirement("files:delete")).await.is_err());
    let (_, another) = scene.issue().await;
    let wrong = format!("{}{}", &token[..token.len() - 49], &another[another.len() - 49..]);
    assert!(scene.service.verify(&wrong, &any()).await.is_err());
    assert_eq!(scene.shown(id).await, LastUsed::Never);
    let used = scene.use_it(&token).await;
    scene.clock.advance(HOUR);
    scene.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    assert!(scene.service.verify(&token, &any()).await.is_err());
    let got = scene.service.owner("acme").get(id).await.unwrap();
    assert_eq!(got.last_used, LastUsed::At(used));
}

async fn of_the_uses_in_a_step_the_first_is_noted(open: Open) {
    for flushed in [false, true] {
        let scene = scene(open);
        let (id, token) = scene.issue().await;
        let first = scene.use_it(&token).await;
        if flushed {
            scene.flush().await;
        }
        scene.clock.advance(MINUTE - MICRO);
        scene.use_it(&token).await;
        assert_eq!(scene.shown(id).await, LastUsed::At(first));
        assert_eq!(scene.flush().await, usize::from(!flushed));
        scene.clock.advance(MICRO);
        let next = scene.use_it(&token).await;
        assert_eq!(scene.shown(id).await, LastUsed::At(next));
        assert_eq!(scene.flush().await, 1);
    }
}

/// Another process has brought a use to the store less than a step ago.
async fn what_the_store_knows_is_not_noted_again(open: Open) {
    let scene = remote(open);
    let (id, token) = scene.issue().await;
    let used = scene.clock.now();
    scene.store.touch(&[(id, used)]).await.unwrap();
    scene.clock.advance(MINUTE - MICRO);
    scene.use_it(&token).await;
    assert_eq!(scene.flush().await, 0);
    scene.clock.advance(MICRO);
    scene.use_it(&token).await;
    assert_eq!(scene.flush().await, 1);
    // One whose clock is ahead: nothing earlier counts.
    let (id, token) = scene.issue().await;
    let ahead = scene.clock.now() + TimeDelta::hours(1);
    scene.store.touch(&[(id, ahead)]).await.unwrap();
    scene.use_it(&token).await;
    assert_eq!(scene.flush().await, 0);
    assert_eq!(scene.shown(id).await, LastUsed::At(ahead));
}

async fn a_step_of_zero_notes_every_use(open: Open) {
    let set =
        |builder: TokenServiceBuilder<SharedStore>| builder.last_used_resolution(Duration::ZERO);
    let scene = scene_with(open, |store| store, set);
    let (id, token) = scene.issue().await;
    for _ in 0..3 {
        let used = scene.use_it(&token).await;
        assert_eq!(scene.shown(id).await, LastUsed::At(used));
        assert_eq!(scene.flush().await, 1);
        scene.clock.advance(MICRO);
    }
    let last = scene.clock.now() - MICROSECOND;
    scene.clock.advance(HOUR);
    assert_eq!(scene.unused_since(last).await, []);
    assert_eq!(scene.unused_since(last + MICROSECOND).await, [id]);
}

/// To the microsecond: a use that was noted stands for one at any time of its step.
async fn unused_since_is_careful(open: Open) {
    for flushed in [false, true] {
        let scene = scene(open);
        let (id, token) = scene.issue().await;
        scene.clock.advance(HOUR);
        let before = scene.clock.now();
        assert_eq!(scene.unused_since(before).await, [id], "never used");
        let noted = scene.use_it(&token).await;
        scene.clock.advance(MINUTE - MICRO);
        let unnoted = scene.use_it(&token).await;
        assert_eq!(scene.shown(id).await, LastUsed::At(noted));
        if flushed {
            scene.flush().await;
        }
        scene.clock.advance(HOUR);
        for time in [before, noted, noted + MICROSECOND, unnoted] {
            assert_eq!(scene.unused_since(time).await, [], "{time}");
        }
        assert_eq!(scene.unused_since(unnoted + MICROSECOND).await, [id]);
    }
}

async fn unused_since_knows_what_waits(open: Open) {
    let scene = scene(open);
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(scene.issue().await);
    }
    scene.clock.advance(DAY);
    let since = scene.clock.now();
    scene.clock.advance(HOUR);
    for (_, token) in tokens.iter().step_by(2) {
        scene.use_it(token).await;
    }
    // Page for page, and no use has reached the store.
    let mut query = ListRequest::from(Filter::new().unused_since(since)).limit(3);
    let mut unused = Vec::new();
    loop {
        let page = scene.service.all_owners().list(query.clone()).await.unwrap();
        unused.extend(page.items.iter().map(|stored| stored.record.id()));
        match page.next {
            Some(next) => query = query.after(next),
            None => break,
        }
    }
    unused.sort_unstable();
    let mut expected: Vec<_> = tokens.iter().skip(1).step_by(2).map(|(id, _)| *id).collect();
    expected.sort_unstable();
    assert_eq!(unused, expected);
}

async fn without_recording_nothing_is_known(open: Open) {
    let off = |builder: TokenServiceBuilder<Arc<Faulty>>| builder.disable_last_used();
    let scene = scene_with(open, |store| Arc::new(Faulty::new(store)), off);
    let (id, token) = scene.issue().await;
    scene.service.store().arm(&[], Fault::None);
    scene.use_it(&token).await;
    assert_eq!(scene.flush().await, 0);
    assert_eq!(scene.service.store().calls(), [(Op::Find, Fault::None)]);
    // Not "never", which would be wrong, nor what others say.
    assert_eq!(scene.shown(id).await, LastUsed::NotTracked);
    scene.store.touch(&[(id, scene.clock.now())]).await.unwrap();
    assert_eq!(scene.shown(id).await, LastUsed::NotTracked);
    let query = ListRequest::from(Filter::new().unused_since(scene.clock.now()));
    let refused = scene.service.owner("acme").list(query).await;
    let Err(ManageError::Store(StoreError::Unsupported { .. })) = refused else {
        panic!("{refused:?}")
    };
    // So it is on a store that does not track.
    let forgetful = builder(Forgetful(scene.store.clone())).clock(scene.clock.clone());
    let forgetful = forgetful.build().unwrap();
    forgetful.verify(&token, &any()).await.unwrap();
    assert_eq!(forgetful.flush_last_used().await.unwrap().tokens, 0);
    assert_eq!(forgetful.owner("acme").get(id).await.unwrap().last_used, LastUsed::NotTracked);
    let query = ListRequest::from(Filter::new().unused_since(scene.clock.now()));
    let refused = forgetful.owner("acme").list(query).await;
    let Err(ManageError::Store(StoreError::Unsupported { .. })) = refused else {
        panic!("{refused:?}")
    };
}

/// A store that does not track last use, over one that does.
struct Forgetful(SharedStore);

fn forgotten(mut stored: StoredRecord) -> StoredRecord {
    stored.last_used = LastUsed::NotTracked;
    stored
}

#[async_trait]
impl TokenStore for Forgetful {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.0.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.0.find(id).await?.map(forgotten))
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.0.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.0.remove(id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        if query.filter.unused_since.is_some() {
            return Err(StoreError::last_use_not_tracked());
        }
        let page = self.0.list(query, now).await?;
        Ok(Page::new(page.items.into_iter().map(forgotten).collect(), page.next))
    }
}
