//! Look-ups of concurrent verifications in one call of the store: which look-ups share a call, when a call is
//! sent, and how old its answer is.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use service_tokens::store::Gathering;
use service_tokens::{Issued, Refusal, TokenId, VerifiedToken, VerifyError};

use super::harness::{Gathers, Harness, MAX_AGE, MICRO, Stores, any, refusal_of, text};

behaviours! {
    lone_look_up_is_sent_at_once,
    waiting_look_ups_share_the_next_call,
    look_up_after_revocation_reads_again,
    revoked_token_is_not_accepted_from_queue,
    look_ups_of_one_id_share_a_result,
    calls_respect_the_sizes_in_order,
    calls_may_answer_out_of_order,
    staleness_counts_from_sending,
    cached_age_counts_from_sending,
    cached_reads_are_gathered,
    still_active_is_gathered,
    store_without_gathering_gets_single_calls,
    one_poll_sends_few_calls,
}

pub(crate) type Verification<'v> =
    Pin<Box<dyn Future<Output = Result<VerifiedToken, VerifyError>> + Send + 'v>>;

/// Issues tokens without a look-up of the service.
pub(crate) async fn issue(harness: &Harness<Arc<Gathers>>, number: usize) -> Vec<Issued> {
    let mut issued = Vec::new();
    for _ in 0..number {
        issued.push(harness.issue_elsewhere().await);
    }
    issued
}

pub(crate) fn ids(issued: &[Issued]) -> Vec<TokenId> {
    issued.iter().map(|issued| issued.record.id()).collect()
}

/// Begins an uncached verification.
pub(crate) fn verification<'v>(
    harness: &'v Harness<Arc<Gathers>>,
    issued: &Issued,
) -> Verification<'v> {
    let (token, service) = (text(issued), &harness.service);
    Box::pin(async move { service.verify_uncached(&token, &any()).await })
}

/// Begins a verification of each token, which waits for the store.
pub(crate) async fn waiting<'v>(
    harness: &'v Harness<Arc<Gathers>>,
    issued: &[Issued],
) -> Vec<Verification<'v>> {
    let mut waiting = Vec::new();
    for issued in issued {
        let mut verification = verification(harness, issued);
        assert!(poll_once(&mut verification).await.is_none());
        waiting.push(verification);
    }
    waiting
}

pub(crate) async fn lone_look_up_is_sent_at_once(stores: Stores) {
    for max_calls in [1, 2] {
        let harness = Harness::gathering(stores, 8, max_calls);
        let issued = issue(&harness, 2).await;
        for issued in &issued {
            verification(&harness, issued).await.unwrap();
        }
        let expected: Vec<_> = ids(&issued).into_iter().map(|id| vec![id]).collect();
        assert_eq!(harness.gathers().calls(), expected);
    }
}

pub(crate) async fn waiting_look_ups_share_the_next_call(stores: Stores) {
    for max_calls in [1, 2, 3] {
        let harness = Harness::gathering(stores, 8, max_calls);
        harness.gathers().hold(true);
        let issued = issue(&harness, max_calls + 3).await;
        let mut verifications = waiting(&harness, &issued).await;
        assert_eq!(harness.gathers().calls().len(), max_calls);
        harness.gathers().release(0);
        // The look-up that gets its answer also sends the next call.
        poll_once(&mut verifications[0]).await.unwrap().unwrap();
        let calls = harness.gathers().calls();
        assert_eq!(calls.len(), max_calls + 1);
        assert_eq!(calls[max_calls], ids(&issued[max_calls..]));
        for call in 1..=max_calls {
            harness.gathers().release(call);
        }
        for verification in verifications.into_iter().skip(1) {
            verification.await.unwrap();
        }
        assert_eq!(harness.gathers().calls().len(), max_calls + 1);
        assert_eq!(harness.gathers().most_in_flight(), max_calls);
    }
}

/// The call that was sent first has read the token before it was revoked. A verification that begins after
/// the revocation must not get that answer.
pub(crate) async fn look_up_after_revocation_reads_again(stores: Stores) {
    for max_calls in [1, 2, 3] {
        for others in [0, 1] {
            let harness = Harness::gathering(stores, 8, max_calls);
            harness.gathers().hold(true);
            let other = issue(&harness, others).await;
            let issued = issue(&harness, 1).await;
            let _others = waiting(&harness, &other).await;
            let mut before = waiting(&harness, &issued).await;
            let sent = harness.gathers().calls().len();
            harness.revoke_elsewhere(issued[0].record.id()).await;
            let mut after = waiting(&harness, &issued).await;
            for call in 0..sent {
                harness.gathers().release(call);
            }
            let queued = sent == others;
            let before = poll_once(&mut before[0]).await;
            if !queued {
                assert!(before.unwrap().is_ok(), "it was read before the revocation");
            }
            harness.gathers().hold(false);
            if sent < harness.gathers().calls().len() {
                harness.gathers().release(sent);
            }
            assert_eq!(refusal_of(after.remove(0).await), Some(Refusal::Revoked));
        }
    }
}

/// A token that is revoked while its look-up waits in the queue is read after the revocation.
pub(crate) async fn revoked_token_is_not_accepted_from_queue(stores: Stores) {
    let harness = Harness::gathering(stores, 8, 1);
    harness.gathers().hold(true);
    let issued = issue(&harness, 2).await;
    let mut verifications = waiting(&harness, &issued).await;
    harness.revoke_elsewhere(issued[1].record.id()).await;
    // This one joins the look-up in the queue.
    verifications.extend(waiting(&harness, &issued[1..]).await);
    harness.gathers().release(0);
    harness.gathers().hold(false);
    let mut outcomes = Vec::new();
    for verification in verifications {
        outcomes.push(verification.await.map(drop).map_err(|error| error.refusal()));
    }
    let revoked = Err(Some(Refusal::Revoked));
    assert_eq!(outcomes, [Ok(()), revoked, revoked]);
    assert_eq!(harness.gathers().calls().len(), 2);
}

pub(crate) async fn look_ups_of_one_id_share_a_result(stores: Stores) {
    let harness = Harness::gathering(stores, 2, 1);
    harness.gathers().hold(true);
    let issued = issue(&harness, 3).await;
    let mut verifications = waiting(&harness, &issued[..1]).await;
    for _ in 0..5 {
        verifications.extend(waiting(&harness, &issued[1..]).await);
    }
    harness.gathers().hold(false);
    harness.gathers().release(0);
    for verification in verifications {
        verification.await.unwrap();
    }
    let id = ids(&issued);
    assert_eq!(harness.gathers().calls(), [vec![id[0]], vec![id[1], id[2]]]);
}

pub(crate) async fn calls_respect_the_sizes_in_order(stores: Stores) {
    for (max_ids, max_calls) in [(1, 1), (1, 3), (2, 1), (3, 2), (100, 2)] {
        let harness = Harness::gathering(stores, max_ids, max_calls);
        harness.gathers().hold(true);
        let issued = issue(&harness, 12).await;
        let mut verifications = waiting(&harness, &issued).await;
        let mut released = 0;
        while !verifications.is_empty() {
            let sent = harness.gathers().calls().len();
            (released..sent).for_each(|call| harness.gathers().release(call));
            released = sent;
            let mut left = Vec::new();
            for mut verification in verifications {
                match poll_once(&mut verification).await {
                    None => left.push(verification),
                    Some(outcome) => drop(outcome.unwrap()),
                }
            }
            verifications = left;
        }
        let calls = harness.gathers().calls();
        assert!(calls.iter().all(|ids| (1..=max_ids).contains(&ids.len())), "{calls:?}");
        assert_eq!(calls.concat(), ids(&issued), "first in, first out");
        assert_eq!(harness.gathers().most_in_flight(), max_calls);
        assert_eq!(harness.gathers().in_flight(), 0);
    }
}

pub(crate) async fn calls_may_answer_out_of_order(stores: Stores) {
    let harness = Harness::gathering(stores, 2, 3);
    harness.gathers().hold(true);
    let issued = issue(&harness, 7).await;
    let mut verifications = waiting(&harness, &issued).await;
    // Call 2 answers first, and the next call has the numbers 3 and 4 of the look-ups.
    harness.gathers().release(2);
    assert!(poll_once(&mut verifications[2]).await.unwrap().is_ok());
    harness.gathers().release(3);
    for number in [3, 4] {
        let verified = poll_once(&mut verifications[number]).await.unwrap().unwrap();
        assert_eq!(verified.id(), issued[number].record.id());
    }
    for number in [0, 1] {
        assert!(poll_once(&mut verifications[number]).await.is_none());
    }
    for call in [4, 1, 0] {
        harness.gathers().release(call);
    }
    for number in [5, 6, 1, 0] {
        let verified = poll_once(&mut verifications[number]).await.unwrap().unwrap();
        assert_eq!(verified.id(), issued[number].record.id());
    }
}

pub(crate) async fn staleness_counts_from_sending(stores: Stores) {
    let harness = Harness::gathering(stores, 8, 1);
    harness.gathers().hold(true);
    let issued = issue(&harness, 2).await;
    let mut verifications = waiting(&harness, &issued).await;
    harness.clock.advance(Duration::from_secs(3));
    harness.gathers().release(0);
    let first = poll_once(&mut verifications[0]).await.unwrap().unwrap();
    assert_eq!(first.staleness(), Duration::from_secs(3));
    harness.clock.advance(Duration::from_secs(2));
    harness.gathers().release(1);
    // It waited for three seconds in the queue, and for two after it was sent.
    assert_eq!(verifications.remove(1).await.unwrap().staleness(), Duration::from_secs(2));
}

fn cached(stores: Stores, sizes: Gathering) -> Harness<Arc<Gathers>> {
    Harness::over_gathers(stores, Some(sizes), |service| service.cache_records(MAX_AGE, 1_000))
}

pub(crate) async fn cached_age_counts_from_sending(stores: Stores) {
    let harness = cached(stores, Gathering::new(8, 1));
    let requirement = any();
    harness.gathers().hold(true);
    let issued = issue(&harness, 2).await;
    let texts: Vec<String> = issued.iter().map(text).collect();
    let mut verifications: Vec<_> =
        texts.iter().map(|token| Box::pin(harness.service.verify(token, &requirement))).collect();
    for verification in &mut verifications {
        assert!(poll_once(verification).await.is_none());
    }
    harness.clock.advance(MAX_AGE);
    harness.gathers().release(0);
    assert!(poll_once(&mut verifications[0]).await.unwrap().is_ok());
    harness.gathers().release(1);
    let second = poll_once(&mut verifications[1]).await.unwrap().unwrap();
    assert_eq!(second.staleness(), Duration::ZERO);
    // The first entry is as old as it may be, and the second one is new.
    harness.clock.advance(MAX_AGE);
    assert_eq!(harness.verify(&texts[1]).await.unwrap().staleness(), MAX_AGE);
    assert_eq!(harness.gathers().calls().len(), 2);
    harness.clock.advance(MICRO);
    harness.gathers().hold(false);
    assert_eq!(harness.verify(&texts[1]).await.unwrap().staleness(), Duration::ZERO);
    assert_eq!(harness.gathers().calls().len(), 3);
}

pub(crate) async fn cached_reads_are_gathered(stores: Stores) {
    let harness = cached(stores, Gathering::new(8, 1));
    let requirement = any();
    harness.gathers().hold(true);
    let issued = issue(&harness, 4).await;
    let texts: Vec<String> = issued.iter().chain(&issued).map(text).collect();
    let mut verifications: Vec<_> =
        texts.iter().map(|token| Box::pin(harness.service.verify(token, &requirement))).collect();
    for verification in &mut verifications {
        assert!(poll_once(verification).await.is_none());
    }
    harness.gathers().hold(false);
    harness.gathers().release(0);
    for verification in verifications {
        verification.await.unwrap();
    }
    assert_eq!(harness.gathers().calls(), [vec![ids(&issued)[0]], ids(&issued)[1..].to_vec()]);
}

pub(crate) async fn still_active_is_gathered(stores: Stores) {
    let harness = Harness::gathering(stores, 8, 1);
    let issued = issue(&harness, 3).await;
    let mut verified = Vec::new();
    for issued in &issued {
        verified.push(harness.verified(issued).await);
    }
    harness.gathers().hold(true);
    let mut checks: Vec<_> =
        verified.iter().map(|token| Box::pin(harness.service.still_active(token))).collect();
    for check in &mut checks {
        assert!(poll_once(check).await.is_none());
    }
    harness.revoke_elsewhere(issued[2].record.id()).await;
    harness.clock.advance(Duration::from_secs(1));
    harness.gathers().release(3);
    assert!(poll_once(&mut checks[0]).await.unwrap().is_ok());
    harness.clock.advance(Duration::from_secs(2));
    harness.gathers().release(4);
    assert_eq!(checks.remove(1).await.unwrap().staleness(), Duration::from_secs(2));
    assert_eq!(refusal_of(checks.remove(1).await), Some(Refusal::Revoked));
    assert_eq!(harness.gathers().calls()[4], ids(&issued)[1..]);
}

pub(crate) async fn store_without_gathering_gets_single_calls(stores: Stores) {
    let harness = Harness::over_gathers(stores, None, |service| service);
    harness.gathers().hold(true);
    let issued = issue(&harness, 4).await;
    let verifications = waiting(&harness, &issued).await;
    for call in 0..4 {
        harness.gathers().release(call);
    }
    for verification in verifications {
        verification.await.unwrap();
    }
    assert_eq!(harness.gathers().calls().len(), 4);
}

/// The store answers each call when it is polled first. The look-up that is polled must not work for the
/// whole queue.
pub(crate) async fn one_poll_sends_few_calls(stores: Stores) {
    let harness = Harness::gathering(stores, 1, 1);
    harness.gathers().hold(true);
    let issued = issue(&harness, 100).await;
    let mut verifications = waiting(&harness, &issued).await;
    harness.gathers().hold(false);
    harness.gathers().release(0);
    poll_once(&mut verifications[0]).await.unwrap().unwrap();
    let sent = harness.gathers().calls().len();
    assert!((2..=8).contains(&sent), "{sent} calls");
    // The last one waits, and is woken until the queue is empty.
    verifications.pop().unwrap().await.unwrap();
    for verification in &mut verifications[1..] {
        poll_once(verification).await.unwrap().unwrap();
    }
}
