//! Checks of a store that was closed.

use super::probe::{Probe, answered, every_record, same_record};
use super::samples::{labelled, now};
use super::verdict::{Verdict, broken, ensure};
use crate::store::{RecordRef, StoreError};

pub(super) async fn closing_hides_nothing(probe: Probe<'_>) -> Verdict {
    let (first, second) = (labelled(0, "first")?, labelled(1, "second")?);
    let version = probe.insert(&first).await?;
    probe.insert(&second).await?;
    answered("close", probe.store.close().await)?;
    // The second turn is after closing again.
    for turn in 0..2 {
        match probe.store.find(first.id()).await {
            Ok(Some(stored)) => same_record(&first, &stored.record, "after close, find answered")?,
            Ok(None) => return broken("after close, find answered that a record is missing"),
            Err(_) => {}
        }
        if let Ok(page) = probe.store.list(&every_record(), now()).await {
            let complete = page.next.is_some() || page.items.len() >= 2;
            ensure!(complete, "after close, list showed {} of 2 records", page.items.len());
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
    let changed = labelled(0, "changed")?;
    match probe.store.replace(&changed, version).await {
        Err(error @ (StoreError::Conflict | StoreError::Exists)) => {
            broken(format!("after close, a replacement returned: {error}"))
        }
        _ => Ok(()),
    }
}
