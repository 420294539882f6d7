//! Expiry notices: when each is due.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    Collected, DAY, HOUR, Harness, MICRO, MINUTE, Stores, backup, builder, delta, incident, newer,
    plant,
};
use chrono::{DateTime, Utc};
use service_tokens::bulk::{ExpiryNotices, ExpiryScan};
use service_tokens::clock::ManualClock;
use service_tokens::{
    AmendRequest, Event, IssueRequest, Policy, ResumeRequest, RotateRequest, SuspendRequest,
    TokenId, TokenStore,
};

behaviours! {
    notice_is_due_at_distance_before_end,
    notice_of_short_life_is_due_at_issue,
    notice_for_each_distance_comes_once,
    new_end_has_notices_of_its_own,
    amended_end_has_notices_of_its_own,
    same_end_is_reported_once,
    revoked_or_endless_token_has_no_notice,
    pending_or_suspended_token_has_notices,
    expired_token_is_reported_by_next_scan,
    newer_record_is_reported,
    scan_of_view_reports_its_owner_only,
    first_watermark_reports_live_tokens,
}

pub(crate) const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// A notice as the tests compare it.
pub(crate) type Notice = (TokenId, DateTime<Utc>, Duration);

/// Returns the notices in these events, sorted. There must be no other event.
pub(crate) fn notices(events: &[Event]) -> Vec<Notice> {
    let mut notices: Vec<Notice> = events
        .iter()
        .map(|event| match event {
            Event::ExpiresSoon { id, expires_at, distance, .. } => (*id, *expires_at, *distance),
            other => panic!("{other:?}"),
        })
        .collect();
    notices.sort_unstable();
    notices
}

fn by_day_and_week<S: TokenStore>(scan: ExpiryScan<'_, S>) -> ExpiryScan<'_, S> {
    scan.distance(DAY).distance(WEEK)
}

impl<S: TokenStore> Harness<S> {
    /// Scans with one distance, and returns the notices and the new watermark.
    pub(crate) async fn scan(
        &self,
        from: DateTime<Utc>,
        distance: Duration,
    ) -> (Vec<Notice>, DateTime<Utc>) {
        let scan = self.service.all_owners().expiry_notices(from).distance(distance);
        self.finish(scan).await
    }

    async fn finish(&self, scan: ExpiryScan<'_, S>) -> (Vec<Notice>, DateTime<Utc>) {
        let _ = self.events();
        let ExpiryNotices { watermark, notices: count, .. } = scan.run().await.unwrap();
        let notices = notices(&self.events());
        assert_eq!(notices.len() as u64, count);
        (notices, watermark)
    }

    pub(crate) async fn issued_id(&self, request: IssueRequest) -> TokenId {
        self.issue(request).await.record.id()
    }
}

pub(crate) async fn notice_is_due_at_distance_before_end(stores: Stores) {
    let harness = Harness::new(stores);
    let from = harness.service.now();
    let end = from + delta(30 * DAY);
    let id = harness.issued_id(backup().expires_at(end)).await;
    let due = end - delta(DAY);
    // The watermark trails by a minute, so this scan ends a microsecond before the notice is due.
    harness.advance(29 * DAY + MINUTE - MICRO);
    let early = harness.scan(from, DAY).await;
    assert_eq!(early, (Vec::new(), due - delta(MICRO)));
    harness.advance(MICRO);
    assert_eq!(harness.scan(early.1, DAY).await, (vec![(id, end, DAY)], due));
    // The window excludes its beginning.
    harness.advance(MICRO);
    assert_eq!(harness.scan(due - delta(MICRO), DAY).await.0.len(), 1);
    assert_eq!(harness.scan(due, DAY).await, (Vec::new(), due + delta(MICRO)));
    // A distance that is longer or shorter by a microsecond moves the notice by as much.
    assert_eq!(harness.scan(due, DAY - MICRO).await.0.len(), 1);
    assert_eq!(harness.scan(due, DAY - 2 * MICRO).await.0.len(), 0);
    assert_eq!(harness.scan(due - delta(MICRO), DAY + MICRO).await.0.len(), 0);
    assert_eq!(harness.scan(due - delta(2 * MICRO), DAY + MICRO).await.0.len(), 1);
}

pub(crate) async fn notice_of_short_life_is_due_at_issue(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.service.now();
    // The notice of the last one is due a microsecond after its issue.
    let (mut all, lives) = (Vec::new(), [DAY - MICRO, DAY, DAY + MICRO]);
    for life in lives {
        let id = harness.issued_id(backup().expires_in(life)).await;
        all.push((id, issued + delta(life), DAY));
    }
    let at_issue = [all[0], all[1]];
    harness.advance(MINUTE - MICRO);
    assert_eq!(harness.scan(issued - delta(HOUR), DAY).await.0, []);
    harness.advance(MICRO);
    let (mut found, watermark) = harness.scan(issued - delta(MICRO), DAY).await;
    found.sort_by_key(|(_, end, _)| *end);
    assert_eq!((&found[..], watermark), (&at_issue[..], issued));
    harness.advance(MICRO);
    assert_eq!(harness.scan(issued, DAY).await, (vec![all[2]], issued + delta(MICRO)));
}

pub(crate) async fn notice_for_each_distance_comes_once(stores: Stores) {
    let harness = Harness::new(stores);
    let end = harness.service.now() + delta(30 * DAY);
    let mut watermark = harness.service.now() - delta(MICRO);
    let id = harness.issued_id(backup().expires_at(end)).await;
    let short = harness.issued_id(backup().expires_in(DAY)).await;
    let mut all = Vec::new();
    for _ in 0..31 * 4 {
        harness.advance(6 * HOUR);
        // A distance that is named twice counts once.
        let scan = harness.service.all_owners().expiry_notices(watermark).distance(WEEK);
        let (found, next) = harness.finish(by_day_and_week(scan)).await;
        all.extend(found);
        watermark = next;
    }
    let short_end = harness.store.find(short).await.unwrap().unwrap().record.expires_at().unwrap();
    let of_short = [(short, short_end, DAY), (short, short_end, WEEK)];
    assert_eq!(all, [of_short[0], of_short[1], (id, end, WEEK), (id, end, DAY)]);
}

pub(crate) async fn new_end_has_notices_of_its_own(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let id = harness.issued_id(backup().expires_in(8 * DAY)).await;
    harness.advance(DAY + HOUR);
    let (found, watermark) = harness.scan(start, WEEK).await;
    assert_eq!(found, [(id, start + delta(8 * DAY), WEEK)]);
    // The later end comes within the distance ten days later.
    let renewed = start + delta(18 * DAY);
    let rotation = RotateRequest::at_once().expires_at(renewed);
    let _ = harness.service.owner("acme").rotate(id, rotation).await.unwrap();
    harness.advance(10 * DAY - 2 * HOUR);
    let (found, watermark) = harness.scan(watermark, WEEK).await;
    assert_eq!(found, []);
    harness.advance(2 * HOUR);
    let (found, watermark) = harness.scan(watermark, WEEK).await;
    assert_eq!(found, [(id, renewed, WEEK)]);
    // An end that is within the distance is reported from the time at which it was set.
    let set_at = harness.service.now();
    let nearer = set_at + delta(2 * DAY);
    let rotation = RotateRequest::at_once().expires_at(nearer);
    let rotated = harness.service.owner("acme").rotate(id, rotation).await.unwrap();
    assert_eq!(rotated.record.end_set_at(), set_at);
    harness.advance(MINUTE);
    assert_eq!(harness.scan(watermark, WEEK).await, (vec![(id, nearer, WEEK)], set_at));
    // A rotation before the notice is due drops it.
    let rotation = RotateRequest::at_once().expires_at(set_at + delta(90 * DAY));
    let _ = harness.service.owner("acme").rotate(id, rotation).await.unwrap();
    harness.advance(30 * DAY);
    assert_eq!(harness.scan(set_at, DAY).await.0, []);
}

pub(crate) async fn amended_end_has_notices_of_its_own(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().allow_never(true));
    let start = harness.service.now();
    let id = harness.issued_id(backup().never_expires()).await;
    harness.advance(DAY);
    let mut watermark = start;
    // The ends are later and earlier, within the distance and beyond it, and the last one is the first again.
    let set_at = harness.service.now();
    for (nth, days) in [3, 5, 1, 3].into_iter().enumerate() {
        let end = set_at + delta(days * DAY);
        for _ in 0..2 {
            let request = AmendRequest::new().expires_at(end);
            let _ = harness.service.owner("acme").amend(id, request).await.unwrap();
        }
        harness.advance(HOUR);
        let (found, next) = harness.scan(watermark, WEEK).await;
        assert_eq!(found, [(id, end, WEEK)], "{nth}");
        watermark = next;
    }
    let request = AmendRequest::new().never_expires();
    let _ = harness.service.owner("acme").amend(id, request).await.unwrap();
    harness.advance(10 * DAY);
    assert_eq!(harness.scan(watermark, WEEK).await.0, []);
}

pub(crate) async fn same_end_is_reported_once(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let end = start + delta(8 * DAY);
    let id = harness.issued_id(backup().expires_at(end)).await;
    harness.advance(DAY + HOUR);
    let (found, watermark) = harness.scan(start, WEEK).await;
    assert_eq!(found, [(id, end, WEEK)]);
    // The first rotation sets no end, and the second one sets the present end again.
    for rotation in [RotateRequest::at_once(), RotateRequest::at_once().expires_at(end)] {
        let rotated = harness.service.owner("acme").rotate(id, rotation).await.unwrap();
        assert_eq!(rotated.record.end_set_at(), start);
    }
    harness.advance(10 * DAY);
    assert_eq!(harness.scan(watermark, WEEK).await.0, []);
}

pub(crate) async fn revoked_or_endless_token_has_no_notice(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().allow_never(true));
    let start = harness.service.now();
    let _ = harness.issued_id(backup().never_expires()).await;
    let revoked = harness.issued_id(backup().expires_in(DAY)).await;
    let _ = harness.service.owner("acme").revoke(revoked, incident()).await.unwrap();
    harness.advance(HOUR);
    assert_eq!(harness.scan(start - delta(MICRO), WEEK).await.0, []);
    let longest = Duration::from_secs(3_660 * 86_400);
    assert_eq!(harness.scan(DateTime::<Utc>::MIN_UTC, longest).await.0, []);
}

pub(crate) async fn pending_or_suspended_token_has_notices(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let request = backup().not_before(start + delta(5 * DAY)).expires_in(6 * DAY);
    let pending = harness.issued_id(request).await;
    let suspended = harness.issued_id(backup().expires_in(5 * DAY)).await;
    let request = SuspendRequest::new().lasting(MINUTE / 2);
    let _ = harness.service.owner("acme").suspend(suspended, request).await.unwrap();
    let resumed = harness.issued_id(backup().expires_in(4 * DAY)).await;
    let _ = harness.service.owner("acme").suspend(resumed, SuspendRequest::new()).await.unwrap();
    let _ = harness.service.owner("acme").resume(resumed, ResumeRequest::new()).await.unwrap();
    let lasting = harness.issued_id(backup().expires_in(3 * DAY)).await;
    let _ = harness.service.owner("acme").suspend(lasting, SuspendRequest::new()).await.unwrap();
    harness.advance(HOUR);
    let mut found = harness.scan(start - delta(MICRO), WEEK).await.0;
    found.sort_by_key(|(_, end, _)| *end);
    let ids: Vec<TokenId> = found.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, [lasting, resumed, suspended, pending]);
}

pub(crate) async fn expired_token_is_reported_by_next_scan(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let end = start + delta(30 * DAY);
    let id = harness.issued_id(backup().expires_at(end)).await;
    harness.advance(100 * DAY);
    let scan = by_day_and_week(harness.service.all_owners().expiry_notices(start));
    assert_eq!(harness.finish(scan).await.0, [(id, end, DAY), (id, end, WEEK)]);
}

pub(crate) async fn newer_record_is_reported(stores: Stores) {
    let harness = Harness::new(stores);
    // The real clock issues this token.
    let (id, _) = plant(&*harness.store, backup().expires_in(DAY), newer).await;
    let end = harness.store.find(id).await.unwrap().unwrap().record.expires_at().unwrap();
    let clock = Arc::new(ManualClock::new(end));
    let collected = Collected::default();
    let service =
        builder(harness.store.clone()).clock(clock).events(collected.sink()).build().unwrap();
    let scan = service.all_owners().expiry_notices(end - delta(2 * DAY)).distance(DAY);
    assert_eq!(scan.run().await.unwrap().notices, 1);
    assert_eq!(notices(&collected.take(&service)), [(id, end, DAY)]);
}

pub(crate) async fn scan_of_view_reports_its_owner_only(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let acme = harness.issued_id(backup().expires_in(DAY)).await;
    let globex = harness.issue_for("globex", backup().expires_in(DAY)).await.record.id();
    harness.advance(HOUR);
    for (owner, id) in [("acme", acme), ("globex", globex)] {
        let scan = harness.service.owner(owner).expiry_notices(start - delta(MICRO)).distance(DAY);
        let _ = harness.events();
        assert_eq!(scan.run().await.unwrap().notices, 1);
        let events = harness.events();
        assert_eq!((events[0].id(), events[0].owner()), (Some(id), Some(owner)));
    }
    let scan =
        harness.service.owner("no such owner").expiry_notices(start - delta(DAY)).distance(DAY);
    assert_eq!(scan.run().await.unwrap().notices, 0);
}

pub(crate) async fn first_watermark_reports_live_tokens(stores: Stores) {
    let harness = Harness::new(stores);
    let near = harness.issued_id(backup().expires_in(30 * DAY)).await;
    let _ = harness.issued_id(backup().expires_in(40 * DAY)).await;
    harness.advance(25 * DAY);
    let now = harness.service.now();
    let found = harness.scan(now - delta(WEEK), WEEK).await.0;
    assert_eq!(found, [(near, now + delta(5 * DAY), WEEK)]);
    assert_eq!(harness.scan(now, WEEK).await, (Vec::new(), now));
}
