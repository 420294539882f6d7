//! Checks of a store that was closed.

use super::changes::ends;
use super::probe::{Probe, answered, every_record, same_record, tracked, with_sources};
use super::samples::{NOW, at, labelled, now, nth};
use super::verdict::{Verdict, broken, ensure};
use crate::store::{LastUsed, RecordRef, StoreError, Version};

pub(super) async fn closing_hides_nothing(probe: Probe<'_>) -> Verdict {
    let (first, second) = (labelled(0, "first")?, labelled(1, "second")?);
    let version = probe.insert(&first).await?;
    let last = probe.insert(&second).await?;
    let feed = answered("opening the change feed", probe.store.changes().await)?;
    answered("close", probe.store.close().await)?;
    // The second turn is after closing again.
    for turn in 0..2 {
        match probe.store.find(first.id()).await {
            Ok(Some(stored)) => same_record(&first, &stored.record, "after close, find answered")?,
            Ok(None) => return broken("after close, find answered that a record is missing"),
            Err(error) => is_unavailable("find", &error)?,
        }
        match probe.store.list(&every_record(), now()).await {
            Ok(page) => {
                let complete = page.next.is_some() || page.items.len() >= 2;
                ensure!(complete, "after close, list showed {} of 2 records", page.items.len());
            }
            Err(error) => is_unavailable("list", &error)?,
        }
        let mut lent = true;
        let answered_now = probe.store.find_now(first.id(), &mut |found: Option<RecordRef<'_>>| {
            lent = found.is_some_and(|found| *found.record == first);
        });
        ensure!(!answered_now || lent, "after close, find_now lent no record, or a wrong one");
        let _ = probe.store.touch(&[(first.id(), now())]).await;
        let _ = probe.store.changes().await;
        let third = labelled(2 + turn, "third")?;
        match probe.store.insert(&third).await {
            Err(StoreError::Exists) => return broken("after close, a new id was refused as taken"),
            Ok(_) => {
                let found = probe.store.find(third.id()).await;
                let lost = matches!(found, Ok(None));
                ensure!(!lost, "after close, an insert was acknowledged and is missing");
            }
            Err(_) => {}
        }
        answered("closing again", probe.store.close().await)?;
    }
    acknowledges_nothing_lost(probe, version, last).await?;
    if let Some(mut feed) = feed {
        ends(&mut *feed).await?;
    }
    Ok(())
}

/// Checks the kind of the error of a read.
fn is_unavailable(what: &str, error: &StoreError) -> Verdict {
    let right = matches!(error, StoreError::Unavailable { .. });
    ensure!(right, "after close, {what} should fail with `Unavailable`: {}", with_sources(error));
    Ok(())
}

/// Makes the other writes on a closed store. What it acknowledges must have happened.
async fn acknowledges_nothing_lost(probe: Probe<'_>, first: Version, last: Version) -> Verdict {
    let (changed, removed) = (labelled(0, "changed")?, nth(1));
    let lost =
        |what: &str| broken(format!("after close, {what} was acknowledged and did not happen"));
    match probe.store.replace(&changed, first).await {
        Err(error @ (StoreError::Conflict | StoreError::Exists)) => {
            return broken(format!("after close, a replacement returned: {error}"));
        }
        Err(_) => {}
        Ok(_) => match probe.store.find(changed.id()).await {
            Ok(Some(stored)) if stored.record == changed => {}
            _ => return lost("a replacement"),
        },
    }
    if probe.store.touch(&[(removed, at(NOW + 9))]).await.is_ok() && tracked(probe).is_ok() {
        match probe.store.find(removed).await {
            Ok(Some(stored)) if stored.last_used == LastUsed::At(at(NOW + 9)) => {}
            _ => return lost("a touch"),
        }
    }
    match probe.store.remove(removed, last).await {
        Err(error @ (StoreError::Conflict | StoreError::Exists)) => {
            broken(format!("after close, a removal returned: {error}"))
        }
        Err(_) => Ok(()),
        Ok(()) => match probe.store.find(removed).await {
            Ok(None) => Ok(()),
            _ => lost("a removal"),
        },
    }
}
