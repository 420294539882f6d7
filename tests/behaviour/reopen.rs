//! A store that is closed and opened again gives the same answers.

use service_tokens::{Refusal, RevokeRequest, RotateRequest};

use super::harness::{HOUR, Opened, Stores, any, backup, builder, refusal_of, text};

behaviours! {
    reopened_store_gives_the_same_answers,
}

#[allow(clippy::print_stdout, reason = "a test that cannot run says so")]
pub(crate) async fn reopened_store_gives_the_same_answers(stores: Stores) {
    let Opened { store, guard } = stores.open();
    let service = builder(store.clone()).build().unwrap();
    let [live, rotated, revoked] = [
        service.owner("acme").issue(backup()).await.unwrap(),
        service.owner("acme").issue(backup()).await.unwrap(),
        service.owner("acme").issue(backup()).await.unwrap(),
    ];
    let view = service.owner("acme");
    let newer = view.rotate(rotated.record.id(), RotateRequest::at_once()).await.unwrap();
    view.revoke(revoked.record.id(), RevokeRequest::new().by("alice")).await.unwrap();
    service.verify(&text(&live), &any()).await.unwrap();
    service.flush_last_used().await.unwrap();
    let before = view.get(live.record.id()).await.unwrap();
    assert!(service.flush_events_blocking(HOUR).is_ok());
    drop(service);

    let Some(opened) = stores.reopen(Opened { store, guard }) else {
        println!("not run: this store retains nothing");
        return;
    };
    let service = builder(opened.store.clone()).build().unwrap();
    for token in [&live, &newer] {
        service.verify(&text(token), &any()).await.unwrap();
    }
    let after = builder(opened.store.clone()).build().unwrap();
    assert_eq!(after.owner("acme").get(live.record.id()).await.unwrap(), before);
    let older = service.verify(&text(&rotated), &any()).await;
    assert_eq!(refusal_of(older), Some(Refusal::SecretEnded));
    let ended = service.verify(&text(&revoked), &any()).await;
    assert_eq!(refusal_of(ended), Some(Refusal::Revoked));
}
