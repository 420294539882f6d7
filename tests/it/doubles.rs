//! The doubles of the harness behave as the other tests require.

use std::sync::Arc;

use futures_lite::future::block_on;
use service_tokens::store::StoreError;
use service_tokens::{MemoryStore, TokenId, TokenStore};

use crate::behaviour::harness::{Courses, Fault, Harness, Remote, backup, builder};
use crate::behaviour::lost_answers::{FAULTS, REVOKE};
use crate::stores::Memory;

/// Compares the courses with every possible script.
#[test]
fn courses_cover_every_script_once() {
    // The operation ends with the first call that succeeds or is unavailable.
    let course = |script: &[Fault], rest: Fault| {
        let ends = |fault: &&Fault| matches!(fault, Fault::None | Fault::Unavailable);
        let all = [script, &[rest]].concat();
        let calls = all.iter().position(|fault| ends(&fault)).map_or(all.len(), |at| at + 1);
        all[..calls].to_vec()
    };
    let faults = [&FAULTS[..], &[Fault::Rival(REVOKE)]].concat();
    let mut run = Vec::new();
    let mut courses = Courses::new(3, &faults, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let met = course(&script, rest);
        courses.met(met.len());
        assert!(!run.contains(&met), "{met:?} again");
        run.push(met);
    }
    for n in 0..faults.len().pow(3) * FAULTS.len() {
        let (n, rest) = (n / FAULTS.len(), FAULTS[n % FAULTS.len()]);
        let script =
            [1, faults.len(), faults.len().pow(2)].map(|unit| faults[n / unit % faults.len()]);
        assert!(run.contains(&course(&script, rest)), "{script:?} {rest:?} is left out");
    }
}

#[test]
fn faulty_double_fails_as_scripted() {
    block_on(async {
        let harness = Harness::over_faulty(&Memory);
        harness.faulty().arm(&[Fault::DoneAndLost], Fault::None);
        let sound = builder(MemoryStore::new()).build().unwrap();
        let record = sound.owner("acme").issue(backup()).await.unwrap().record;
        let answer = harness.faulty().insert(&record).await;
        assert!(matches!(answer, Err(StoreError::Indeterminate { .. })));
        assert_eq!(harness.faulty().written(), 1);
        assert!(harness.faulty().find(record.id()).await.unwrap().is_some());
        harness.faulty().arm(&[Fault::LostBefore, Fault::Unavailable], Fault::None);
        assert!(
            harness.faulty().replace(&record, service_tokens::store::Version(1)).await.is_err()
        );
        assert!(harness.faulty().find(record.id()).await.is_err());
        assert_eq!(harness.faulty().written(), 0);
    });
}

/// The cache tests require a store that answers only `find`.
#[test]
fn remote_double_never_answers_find_now() {
    let remote = Remote::new(Arc::new(MemoryStore::new()));
    assert!(!remote.find_now(TokenId::from_bytes([0; 16]), &mut |_| panic!("visited")));
}
