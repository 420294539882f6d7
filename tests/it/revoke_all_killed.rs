//! Many tokens are revoked by filter while others issue and verify. The process is killed midway, and
//! another one continues.

use std::collections::HashMap;

use super::killed::{
    close, folder, issue_backups, killed_after, leaked, open, open_in_child, print_now,
    while_others_work,
};
use crate::behaviour::harness::{any, builder, incident, records};
use futures_lite::future::block_on;
use service_tokens::{FileStore, Record, State, TokenId, TokenService};

/// Tokens to be revoked, by default and in the campaign.
const MANY: u64 = 20_000;
const MANY_IN_CAMPAIGN: u64 = 100_000;

/// Revokes the leaked tokens, while two threads issue and verify tokens that must stay.
fn revoke_while_others_work(
    service: &TokenService<FileStore>,
    report: impl Fn(&str) + Sync + Copy,
) -> u64 {
    while_others_work(service, report, || {
        let view = service.all_owners();
        let run = view.revoke_all(leaked(), incident());
        let run = run.on_progress(|progress| report(&format!("done {}\n", progress.done))).run();
        let outcome = block_on(run).unwrap();
        assert_eq!(outcome.failed, 0);
        outcome.done
    })
}

#[test]
#[ignore = "the child of the test below"]
fn child() {
    let Some(store) = open_in_child() else { return };
    let service = builder(store).build().unwrap();
    revoke_while_others_work(&service, print_now);
}

async fn revoked(store: &FileStore) -> HashMap<TokenId, Record> {
    let now = chrono::DateTime::UNIX_EPOCH;
    let all = records(store).await.into_iter();
    all.filter(|record| record.state(now) == State::Revoked).map(|r| (r.id(), r)).collect()
}

#[test]
fn killed_revoke_all_can_continue() {
    run(MANY);
}

#[test]
#[ignore = "campaign"]
fn killed_revoke_all_can_continue_campaign() {
    run(MANY_IN_CAMPAIGN);
}

fn run(many: u64) {
    let folder = folder();
    let path = folder.path().join("tokens.journal");
    let service = builder(open(&path)).build().unwrap();
    let sample = issue_backups(&service, many);
    close(service);

    let output = killed_after(&path, "revoke_all_killed::child", many / 4);
    let service = builder(open(&path)).build().unwrap();
    let before = block_on(revoked(service.store()));
    let done = before.len() as u64;
    assert!(done >= output.done, "what was acknowledged is missing: {done} of {}", output.done);
    assert!(done < many, "the kill came too late");
    for record in before.values() {
        let revocation = record.revocation().unwrap();
        assert_eq!((revocation.by.as_deref(), record.issued_to()), (Some("alice"), "backup"));
    }
    let counted = block_on(service.all_owners().revoke_all(leaked(), incident()).count());
    assert_eq!(counted.unwrap(), many - done);

    let went_on = revoke_while_others_work(&service, |_| ());
    assert_eq!(went_on, many - done, "nothing is done twice");
    let after = block_on(revoked(service.store()));
    assert_eq!(after.len() as u64, many);
    for (id, record) in &before {
        assert_eq!(after.get(id), Some(record), "the first revocation stands");
    }
    for token in &sample {
        assert!(block_on(service.verify(token, &any())).is_err());
    }
    assert!(output.issued.len() > 1, "no other thread had a turn");
    for token in &output.issued {
        block_on(service.verify(token, &any())).unwrap();
    }
}
