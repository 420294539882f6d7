//! Verification in two steps. Authenticating records no use, authorizing records one, and both together are
//! equal to `verify`.

use std::time::Duration;

use super::harness::{
    DAY, Fault, HOUR, Harness, MICRO, MINUTE, SharedStore, Stores, any, requirement, text,
};
use futures_lite::future::block_on;
use proptest::prelude::{Just, ProptestConfig, Strategy, any as arbitrary, prop_oneof};
use proptest::test_runner::TestRunner;
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, Refusal, Requirement, RevokeRequest, RotateRequest, TokenId, TokenService, TokenStore,
    VerifiedToken, VerifyError,
};

behaviours! {
    authenticate_records_no_use_authorize_does,
    authorize_without_scope_records_no_use,
    authenticate_refuses_as_verify_does,
    authorize_repeatedly_records_one_use,
    authorize_records_one_use_per_resolution,
    authorize_after_verify_records_no_use,
    authenticate_uncached_reads_the_store,
    authenticate_without_store_is_unavailable,
    authenticate_and_authorize_equal_verify,
}

pub(crate) async fn authenticate_records_no_use_authorize_does(stores: Stores) {
    async fn check<S: TokenStore>(harness: Harness<S>, uncached: bool, path: &str) {
        let (id, older, newer) = harness.rotate_until_first_use().await;
        let authenticated = match uncached {
            false => harness.service.authenticate(&newer).await.unwrap(),
            true => harness.service.authenticate_uncached(&newer).await.unwrap(),
        };
        assert_eq!(authenticated.id(), id, "{path}");
        assert!(authenticated.permits(&requirement("files:upload")), "{path}");
        assert!(harness.has_overlap(id).await, "{path}");
        let last_used = || async { harness.service.owner("acme").get(id).await.unwrap().last_used };
        assert_eq!(last_used().await, LastUsed::Never, "{path}");
        assert_eq!(events(&harness), [], "{path}");

        harness.clock.advance(MICRO);
        harness.service.authorize(&authenticated, &requirement("files:upload")).await.unwrap();
        harness.service.authorize(&authenticated, &requirement("files:read")).await.unwrap();
        harness.expect_overlap_ended(id);
        assert!(!harness.has_overlap(id).await, "{path}");
        assert_eq!(last_used().await, LastUsed::At(harness.service.now()), "{path}");
        assert!(!harness.accepts(&older).await, "{path}");
    }
    for uncached in [false, true] {
        check(Harness::new(stores), uncached, "on the spot").await;
        check(Harness::over_remote(stores), uncached, "after a question").await;
        check(Harness::cached(stores, DAY, 100), uncached, "cached").await;
    }
}

pub(crate) async fn authorize_without_scope_records_no_use(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, older, newer) = harness.rotate_until_first_use().await;
    let authenticated = harness.service.authenticate(&newer).await.unwrap();
    let either = Requirement::any_of(["files:delete", "queue:push"]).unwrap();
    let refused = harness.service.authorize(&authenticated, &either).await.unwrap_err();
    let VerifyError::MissingScope(missing) = refused else { panic!("{refused:?}") };
    assert_eq!((missing.id, &missing.requirement), (id, &either));
    let emitted = events(&harness);
    let [Event::MissingScope { id: of, requirement, .. }] = &emitted[..] else {
        panic!("{emitted:?}")
    };
    assert_eq!((*of, &**requirement), (id, "files:delete queue:push"));

    assert!(harness.has_overlap(id).await);
    let last_used = harness.service.owner("acme").get(id).await.unwrap().last_used;
    assert_eq!(last_used, LastUsed::Never);
    assert!(harness.accepts(&older).await);
    // A refusal does not prevent the effects of a later acceptance.
    harness.service.authorize(&authenticated, &any()).await.unwrap();
    assert!(!harness.has_overlap(id).await);
}

pub(crate) async fn authenticate_refuses_as_verify_does(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, older, newer) = harness.rotate_until_first_use().await;
    harness.clock.advance(HOUR);
    let (revoked, ended) = harness.issue_backup().await;
    harness.service.owner("acme").revoke(revoked, RevokeRequest::new()).await.unwrap();
    harness.collected.take(&harness.service);
    let mut wrong = newer.clone();
    wrong.replace_range(
        newer.len() - 49..newer.len() - 6,
        &older[newer.len() - 49..newer.len() - 6],
    );
    for token in [&*older, &*ended, &*wrong, "", "acme_live_1"] {
        let one = harness.service.verify(token, &any()).await.unwrap_err();
        let [first, uncached] = [
            harness.service.authenticate(token).await.unwrap_err(),
            harness.service.authenticate_uncached(token).await.unwrap_err(),
        ];
        assert!(one.refusal().is_some(), "{token}");
        assert_eq!(first.refusal(), one.refusal(), "{token}");
        assert_eq!(uncached.refusal(), one.refusal(), "{token}");
        let emitted = harness.collected.take(&harness.service);
        let [a, b, c] = &emitted[..] else { panic!("{emitted:?}") };
        assert!(a == b && b == c, "{emitted:?}");
    }
    assert_eq!(harness.service.authenticate(&newer).await.unwrap().id(), id);
}

pub(crate) async fn authorize_repeatedly_records_one_use(stores: Stores) {
    let harness =
        Harness::builder(stores).configure(|builder| builder.last_used_resolution(MICRO)).build();
    let (id, token) = harness.issue_backup().await;
    let authenticated = harness.service.authenticate(&token).await.unwrap();
    let at = harness.service.now();
    for scope in ["files:read", "files:upload", "files:read"] {
        harness.service.authorize(&authenticated, &requirement(scope)).await.unwrap();
        assert_eq!(harness.last_used(id).await, LastUsed::At(at));
    }
    assert_eq!((harness.flush().await, harness.flush().await), (1, 0));
}

pub(crate) async fn authorize_records_one_use_per_resolution(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let first = harness.service.now();
    for (later, noted) in [(Duration::ZERO, 1), (MINUTE - MICRO, 0), (MICRO, 1)] {
        harness.clock.advance(later);
        let authenticated = harness.service.authenticate(&token).await.unwrap();
        harness.service.authorize(&authenticated, &any()).await.unwrap();
        assert_eq!(harness.flush().await, noted, "{later:?}");
    }
    assert_eq!(harness.stored_last_used(id).await, LastUsed::At(first + MINUTE));
}

pub(crate) async fn authorize_after_verify_records_no_use(stores: Stores) {
    let harness =
        Harness::builder(stores).configure(|builder| builder.last_used_resolution(MICRO)).build();
    let (id, token) = harness.issue_backup().await;
    let verified = harness.service.verify(&token, &any()).await.unwrap();
    let used_at = harness.service.now();
    harness.clock.advance(MINUTE);
    harness.service.authorize(&verified, &requirement("files:read")).await.unwrap();
    assert_eq!(harness.last_used(id).await, LastUsed::At(used_at));
    let refused = harness.service.authorize(&verified, &requirement("files:delete")).await;
    assert!(matches!(refused, Err(VerifyError::MissingScope(_))), "{refused:?}");
}

pub(crate) async fn authenticate_uncached_reads_the_store(stores: Stores) {
    let harness = Harness::cached(stores, DAY, 100);
    let remote = harness.remote();
    let (_, token) = harness.issue_backup().await;
    harness.service.authenticate(&token).await.unwrap();
    assert_eq!(remote.finds(), 1);
    let authenticated = harness.service.authenticate(&token).await.unwrap();
    harness.service.authorize(&authenticated, &any()).await.unwrap();
    assert_eq!(remote.finds(), 0, "authorizing a cached record reads no store");
    harness.service.authenticate_uncached(&token).await.unwrap();
    assert_eq!(remote.finds(), 1);
}

pub(crate) async fn authenticate_without_store_is_unavailable(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let (_, token) = harness.issue_backup().await;
    harness.faulty().arm(&[], Fault::Unavailable);
    for refused in [
        harness.service.authenticate(&token).await,
        harness.service.authenticate_uncached(&token).await,
    ] {
        assert!(matches!(refused, Err(VerifyError::Unavailable(_))), "{refused:?}");
    }
}

/// Two services of the same history: one verifies, the other does it in two steps.
pub(crate) async fn authenticate_and_authorize_equal_verify(stores: Stores) {
    let config = ProptestConfig { cases: 60, ..ProptestConfig::default() };
    let histories = (
        prop_oneof![3 => Just(MINUTE), 1 => Just(Duration::ZERO)],
        proptest::collection::vec(commands(), 1..40),
    );
    let outcome = TestRunner::new(config).run(&histories, |(resolution, history)| {
        block_on(async {
            let with = || {
                Harness::builder(stores).configure(|b| b.last_used_resolution(resolution)).build()
            };
            let (one, two) = (Simulation::new(with()).await, Simulation::new(with()).await);
            let (mut one, mut two) = (one, two);
            for command in history {
                let seen = one.apply(&command, false).await;
                assert_eq!(seen, two.apply(&command, true).await, "{command:?}");
            }
        });
        Ok(())
    });
    outcome.unwrap();
}

#[derive(Debug, Clone)]
enum Command {
    /// Presents the secret that is this many rotations older than the newest, for a requirement that the
    /// type meets or does not meet.
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

fn commands() -> impl Strategy<Value = Command> {
    let spans =
        prop_oneof![Just(MICRO), Just(MINUTE / 2), Just(MINUTE), Just(HOUR), Just(90 * DAY)];
    prop_oneof![
        12 => (0..3usize, arbitrary::<bool>(), arbitrary::<bool>())
            .prop_map(|(before, may, uncached)| Command::Use { before, may, uncached }),
        4 => arbitrary::<bool>().prop_map(|until_first_use| Command::Rotate { until_first_use }),
        1 => Just(Command::Revoke),
        3 => Just(Command::Flush),
        6 => spans.prop_map(Command::Pass),
    ]
}

struct Simulation {
    harness: Harness<SharedStore>,
    id: TokenId,
    secrets: Vec<String>,
}

/// The observable effects of a command: the refusal, the last use shown and stored, whether an overlap
/// runs, and the kinds of the events.
type Seen = (Option<(Option<Refusal>, String)>, LastUsed, LastUsed, bool, Vec<String>);

impl Simulation {
    async fn new(harness: Harness<SharedStore>) -> Self {
        let (id, token) = harness.issue_backup().await;
        Self { harness, id, secrets: vec![token] }
    }

    async fn apply(&mut self, command: &Command, two: bool) -> Seen {
        let Self { harness, id, secrets } = self;
        let mut refused = None;
        harness.clock.advance(MICRO);
        match command {
            Command::Pass(span) => harness.clock.advance(*span),
            Command::Flush => drop(harness.service.flush_last_used().await.unwrap()),
            Command::Revoke => {
                let words = RevokeRequest::new();
                harness.service.all_owners().revoke(*id, words).await.unwrap();
            }
            Command::Rotate { until_first_use } => {
                let request = match until_first_use {
                    true => RotateRequest::until_first_use(HOUR),
                    false => RotateRequest::with_overlap(HOUR),
                };
                if let Ok(rotated) = harness.service.all_owners().rotate(*id, request).await {
                    secrets.push(text(&rotated));
                }
            }
            Command::Use { before, may, uncached } => {
                let text = &secrets[(secrets.len() - 1).saturating_sub(*before)];
                let requirement = requirement(if *may { "files:read" } else { "files:delete" });
                let service = &harness.service;
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
        let shown = harness.service.all_owners().get(*id).await.unwrap();
        let overlap = shown.record.overlap(harness.service.now()).is_some();
        let mut events = harness.collected.take(&harness.service);
        events.retain(|event| !matches!(event, Event::Read { .. } | Event::Listed { .. }));
        let kind = |e: &Event| format!("{e:?}").chars().take_while(|c| c.is_alphabetic()).collect();
        let kinds = events.iter().map(kind).collect();
        (refused, shown.last_used, harness.stored_last_used(*id).await, overlap, kinds)
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

/// Returns the events except those of reads and lists.
fn events<S: TokenStore>(harness: &Harness<S>) -> Vec<Event> {
    let mut events = harness.events_but_refusals();
    events.retain(|event| !matches!(event, Event::Read { .. } | Event::Listed { .. }));
    events
}
