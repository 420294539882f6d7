//! Verification in two steps: the first tells whose token it is and is no use, the second is one if it
//! accepts, and both together are what `verify` is.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use proptest::prelude::{Just, ProptestConfig, Strategy, any as arbitrary, prop_oneof};
use proptest::test_runner::TestRunner;
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, Refusal, Requirement, RevokeRequest, RotateRequest, TokenId, TokenService, TokenStore,
    VerifiedToken, VerifyError,
};
use support::rotated::{self, Scene};
use support::{
    DAY, Fault, HOUR, MICRO, MINUTE, Open, Opened, Remote, SharedStore, any, builder, over_stores,
    requirement, used,
};

over_stores! {
    the_first_step_is_no_use_and_the_second_is,
    a_missing_scope_is_no_use,
    the_first_step_refuses_as_verify_does,
    several_needs_of_one_request_are_one_use,
    the_uses_of_requests_are_noted_once_a_step,
    after_a_verification_nothing_is_noted_again,
    a_strict_first_step_asks_the_store,
    a_store_without_an_answer_refuses,
    two_steps_are_one_verification,
}

async fn the_first_step_is_no_use_and_the_second_is(open: Open) {
    async fn check<S: TokenStore>(scene: Scene<S>, uncached: bool, path: &str) {
        let (id, older, newer) = scene.rotated().await;
        let authenticated = match uncached {
            false => scene.service.authenticate(&newer).await.unwrap(),
            true => scene.service.authenticate_uncached(&newer).await.unwrap(),
        };
        assert_eq!(authenticated.id(), id, "{path}");
        assert!(authenticated.permits(&requirement("files:upload")), "{path}");
        assert!(scene.overlap_runs(id).await, "{path}");
        let last_used = || async { scene.service.owner("acme").get(id).await.unwrap().last_used };
        assert_eq!(last_used().await, LastUsed::Never, "{path}");
        assert_eq!(events(&scene), [], "{path}");

        scene.clock.advance(MICRO);
        scene.service.authorize(&authenticated, &requirement("files:upload")).await.unwrap();
        scene.service.authorize(&authenticated, &requirement("files:read")).await.unwrap();
        scene.overlap_ended(id);
        assert!(!scene.overlap_runs(id).await, "{path}");
        assert_eq!(last_used().await, LastUsed::At(scene.service.now()), "{path}");
        assert!(!scene.accepts(&older).await, "{path}");
    }
    for uncached in [false, true] {
        check(rotated::scene(open), uncached, "on the spot").await;
        check(rotated::remote(open).1, uncached, "after a question").await;
        check(keeping(open).1, uncached, "kept").await;
    }
}

async fn a_missing_scope_is_no_use(open: Open) {
    let scene = rotated::scene(open);
    let (id, older, newer) = scene.rotated().await;
    let authenticated = scene.service.authenticate(&newer).await.unwrap();
    let either = Requirement::any_of(["files:delete", "queue:push"]).unwrap();
    let refused = scene.service.authorize(&authenticated, &either).await.unwrap_err();
    let VerifyError::MissingScope(missing) = refused else { panic!("{refused:?}") };
    assert_eq!((missing.id, &missing.requirement), (id, &either));
    let told = events(&scene);
    let [Event::MissingScope { id: of, requirement, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*of, &**requirement), (id, "files:delete queue:push"));

    assert!(scene.overlap_runs(id).await);
    let last_used = scene.service.owner("acme").get(id).await.unwrap().last_used;
    assert_eq!(last_used, LastUsed::Never);
    assert!(scene.accepts(&older).await);
    // A refusal does not take away what an acceptance is to do.
    scene.service.authorize(&authenticated, &any()).await.unwrap();
    assert!(!scene.overlap_runs(id).await);
}

async fn the_first_step_refuses_as_verify_does(open: Open) {
    let scene = rotated::scene(open);
    let (id, older, newer) = scene.rotated().await;
    scene.clock.advance(HOUR);
    let (revoked, dead) = scene.issue().await;
    scene.service.owner("acme").revoke(revoked, RevokeRequest::new()).await.unwrap();
    scene.collected.take(&scene.service);
    let mut wrong = newer.clone();
    wrong.replace_range(
        newer.len() - 49..newer.len() - 6,
        &older[newer.len() - 49..newer.len() - 6],
    );
    for token in [&*older, &*dead, &*wrong, "", "acme_live_1"] {
        let one = scene.service.verify(token, &any()).await.unwrap_err();
        let [first, uncached] = [
            scene.service.authenticate(token).await.unwrap_err(),
            scene.service.authenticate_uncached(token).await.unwrap_err(),
        ];
        assert!(one.refusal().is_some(), "{token}");
        assert_eq!(first.refusal(), one.refusal(), "{token}");
        assert_eq!(uncached.refusal(), one.refusal(), "{token}");
        let told = scene.collected.take(&scene.service);
        let [a, b, c] = &told[..] else { panic!("{told:?}") };
        assert!(a == b && b == c, "{told:?}");
    }
    assert_eq!(scene.service.authenticate(&newer).await.unwrap().id(), id);
}

async fn several_needs_of_one_request_are_one_use(open: Open) {
    let scene =
        used::scene_with(open, |store| store, |builder| builder.last_used_resolution(MICRO));
    let (id, token) = scene.issue().await;
    let authenticated = scene.service.authenticate(&token).await.unwrap();
    let at = scene.service.now();
    for scope in ["files:read", "files:upload", "files:read"] {
        scene.service.authorize(&authenticated, &requirement(scope)).await.unwrap();
        assert_eq!(scene.shown(id).await, LastUsed::At(at));
    }
    assert_eq!((scene.flush().await, scene.flush().await), (1, 0));
}

async fn the_uses_of_requests_are_noted_once_a_step(open: Open) {
    let scene = used::scene(open);
    let (id, token) = scene.issue().await;
    let first = scene.service.now();
    for (later, noted) in [(Duration::ZERO, 1), (MINUTE - MICRO, 0), (MICRO, 1)] {
        scene.clock.advance(later);
        let authenticated = scene.service.authenticate(&token).await.unwrap();
        scene.service.authorize(&authenticated, &any()).await.unwrap();
        assert_eq!(scene.flush().await, noted, "{later:?}");
    }
    assert_eq!(scene.stored(id).await, LastUsed::At(first + MINUTE));
}

async fn after_a_verification_nothing_is_noted_again(open: Open) {
    let scene =
        used::scene_with(open, |store| store, |builder| builder.last_used_resolution(MICRO));
    let (id, token) = scene.issue().await;
    let verified = scene.service.verify(&token, &any()).await.unwrap();
    let used_at = scene.service.now();
    scene.clock.advance(MINUTE);
    scene.service.authorize(&verified, &requirement("files:read")).await.unwrap();
    assert_eq!(scene.shown(id).await, LastUsed::At(used_at));
    let refused = scene.service.authorize(&verified, &requirement("files:delete")).await;
    assert!(matches!(refused, Err(VerifyError::MissingScope(_))), "{refused:?}");
}

async fn a_strict_first_step_asks_the_store(open: Open) {
    let (remote, scene) = keeping(open);
    let (_, token) = scene.issue().await;
    scene.service.authenticate(&token).await.unwrap();
    assert_eq!(remote.finds(), 1);
    let kept = scene.service.authenticate(&token).await.unwrap();
    scene.service.authorize(&kept, &any()).await.unwrap();
    assert_eq!(remote.finds(), 0, "it was kept, and permitting asks nobody");
    scene.service.authenticate_uncached(&token).await.unwrap();
    assert_eq!(remote.finds(), 1);
}

async fn a_store_without_an_answer_refuses(open: Open) {
    let scene = used::faulty(open);
    let (_, token) = scene.issue().await;
    scene.service.store().arm(&[], Fault::Unavailable);
    for refused in [
        scene.service.authenticate(&token).await,
        scene.service.authenticate_uncached(&token).await,
    ] {
        assert!(matches!(refused, Err(VerifyError::Unavailable(_))), "{refused:?}");
    }
}

/// Two services of the same history: one verifies, the other does it in two steps.
async fn two_steps_are_one_verification(open: Open) {
    let config = ProptestConfig { cases: 60, ..ProptestConfig::default() };
    let histories = (
        prop_oneof![3 => Just(MINUTE), 1 => Just(Duration::ZERO)],
        proptest::collection::vec(steps(), 1..40),
    );
    let outcome = TestRunner::new(config).run(&histories, |(step, history)| {
        block_on(async {
            let with = || used::scene_with(open, |store| store, |b| b.last_used_resolution(step));
            let (one, two) = (World::new(with()).await, World::new(with()).await);
            let (mut one, mut two) = (one, two);
            for step in history {
                assert_eq!(one.step(&step, false).await, two.step(&step, true).await, "{step:?}");
            }
        });
        Ok(())
    });
    outcome.unwrap();
}

#[derive(Debug, Clone)]
enum Step {
    /// The newest secret but so many is presented, for something the type may do or may not.
    Use {
        before: usize,
        may: bool,
        uncached: bool,
    },
    Rotate {
        until_first_use: bool,
    },
    Revoke,
    Flush,
    Pass(Duration),
}

fn steps() -> impl Strategy<Value = Step> {
    let spans =
        prop_oneof![Just(MICRO), Just(MINUTE / 2), Just(MINUTE), Just(HOUR), Just(90 * DAY)];
    prop_oneof![
        12 => (0..3usize, arbitrary::<bool>(), arbitrary::<bool>())
            .prop_map(|(before, may, uncached)| Step::Use { before, may, uncached }),
        4 => arbitrary::<bool>().prop_map(|until_first_use| Step::Rotate { until_first_use }),
        1 => Just(Step::Revoke),
        3 => Just(Step::Flush),
        6 => spans.prop_map(Step::Pass),
    ]
}

struct World {
    scene: used::Scene<SharedStore>,
    id: TokenId,
    secrets: Vec<String>,
}

/// All that is to be seen of a step: the refusal, the last use shown and stored, whether an overlap
/// runs, and the kinds of the events.
type Seen = (Option<(Option<Refusal>, String)>, LastUsed, LastUsed, bool, Vec<String>);

impl World {
    async fn new(scene: used::Scene<SharedStore>) -> Self {
        let (id, token) = scene.issue().await;
        Self { scene, id, secrets: vec![token] }
    }

    async fn step(&mut self, step: &Step, two: bool) -> Seen {
        let Self { scene, id, secrets } = self;
        let mut refused = None;
        scene.clock.advance(MICRO);
        match step {
            Step::Pass(span) => scene.clock.advance(*span),
            Step::Flush => drop(scene.service.flush_last_used().await.unwrap()),
            Step::Revoke => {
                let words = RevokeRequest::new();
                scene.service.all_owners().revoke(*id, words).await.unwrap();
            }
            Step::Rotate { until_first_use } => {
                let request = match until_first_use {
                    true => RotateRequest::until_first_use(HOUR),
                    false => RotateRequest::with_overlap(HOUR),
                };
                if let Ok(rotated) = scene.service.all_owners().rotate(*id, request).await {
                    secrets.push(support::text(&rotated));
                }
            }
            Step::Use { before, may, uncached } => {
                let text = &secrets[(secrets.len() - 1).saturating_sub(*before)];
                let requirement = requirement(if *may { "files:read" } else { "files:delete" });
                let service = &scene.service;
                let outcome = match (two, uncached) {
                    (false, false) => service.verify(text, &requirement).await,
                    (false, true) => service.verify_uncached(text, &requirement).await,
                    (true, false) => {
                        permitted(service, service.authenticate(text).await, &requirement).await
                    }
                    (true, true) => {
                        permitted(service, service.authenticate_uncached(text).await, &requirement)
                            .await
                    }
                };
                refused = outcome.err().map(|error| (error.refusal(), error.to_string()));
            }
        }
        let shown = scene.service.all_owners().get(*id).await.unwrap();
        let overlap = shown.record.overlap(scene.service.now()).is_some();
        let mut events = scene.collected.take(&scene.service);
        events.retain(|event| !matches!(event, Event::Read { .. } | Event::Listed { .. }));
        let kind = |e: &Event| format!("{e:?}").chars().take_while(|c| c.is_alphabetic()).collect();
        let kinds = events.iter().map(kind).collect();
        (refused, shown.last_used, scene.stored(*id).await, overlap, kinds)
    }
}

async fn permitted<S: TokenStore>(
    service: &TokenService<S>,
    authenticated: Result<VerifiedToken, VerifyError>,
    requirement: &Requirement,
) -> Result<VerifiedToken, VerifyError> {
    let token = authenticated?;
    service.authorize(&token, requirement).await?;
    Ok(token)
}

fn keeping(open: Open) -> (Arc<Remote>, Scene<Arc<Remote>>) {
    let Opened { store, guard } = open();
    let remote = Arc::new(Remote::new(store));
    let mut scene = rotated::scene_over(remote.clone(), guard);
    scene.service = builder(remote.clone())
        .clock(scene.clock.clone())
        .events(scene.collected.sink())
        .cache_records(DAY, 100)
        .build()
        .unwrap();
    (remote, scene)
}

/// The events but those of looking.
fn events<S: TokenStore>(scene: &Scene<S>) -> Vec<Event> {
    let mut events = scene.events();
    events.retain(|event| !matches!(event, Event::Read { .. } | Event::Listed { .. }));
    events
}
