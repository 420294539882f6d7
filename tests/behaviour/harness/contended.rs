//! Services whose operations on one token are contended, by another process or by the same service.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use futures_lite::future::FutureExt;
use service_tokens::clock::ManualClock;
use service_tokens::{
    Issued, ManageError, RotateRequest, TokenId, TokenService, TokenStore, VerifiedToken,
};

use super::{
    Fault, Faulty, HOUR, Harness, Opened, Stores, any, backup, builder, records, scoped_request,
    text,
};

type Service = TokenService<Arc<Faulty>>;

/// A service whose store lets another process change the token before any call that meets a rival.
pub(crate) fn changed_by_others(stores: Stores) -> (Arc<Faulty>, Service, Opened) {
    let opened = stores.open();
    let store = opened.store.clone();
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), move |_| {
        let store = store.clone();
        Box::pin(async move {
            for record in records(&*store).await {
                let present = store.find(record.id()).await.unwrap().unwrap();
                let _ = store.replace(&present.record, present.version).await;
            }
        })
    }));
    let service = builder(faulty.clone()).build().unwrap();
    (faulty, service, opened)
}

/// A service with one token, which another process rotates before this call of the next operation.
pub(crate) async fn rotated_before_call(
    stores: Stores,
    at: usize,
    rotation: RotateRequest,
) -> (Harness<Arc<Faulty>>, Issued) {
    let harness = Harness::builder(stores)
        .faulty_with_rival(move |store, clock, _| {
            let rotation = rotation.clone();
            Box::pin(async move {
                let service = builder(store.clone()).clock(clock).build().unwrap();
                let id = records(&*store).await[0].id();
                let _ = service.all_owners().rotate(id, rotation).await.unwrap();
            })
        })
        .build();
    let issued = harness.issue(backup()).await;
    let mut script = vec![Fault::None; at];
    script.push(Fault::Rival(0));
    harness.faulty().arm(&script, Fault::None);
    (harness, issued)
}

/// What a rival did, in its order.
pub(crate) type Outcomes = Vec<Result<(), ManageError>>;

/// The operations of a rival through the same service, on the token and by it.
pub(crate) type Interruption = for<'a> fn(
    &'a Service,
    &'a VerifiedToken,
) -> Pin<Box<dyn Future<Output = Outcomes> + Send + 'a>>;

/// A service with one token in an overlap, and a rival that uses the same service at the moment when an
/// operation is about to write.
pub(crate) struct Interrupted {
    faulty: Arc<Faulty>,
    service: Arc<OnceLock<Service>>,
    outcomes: Arc<Mutex<Outcomes>>,
    pub(crate) id: TokenId,
    _opened: Opened,
}

impl Interrupted {
    pub(crate) async fn new(stores: Stores, rival: Interruption) -> Self {
        let opened = stores.open();
        let service: Arc<OnceLock<Service>> = Arc::default();
        let (token, outcomes) = (Arc::new(OnceLock::new()), Arc::<Mutex<Outcomes>>::default());
        let act = {
            let (service, token, outcomes) = (service.clone(), token.clone(), outcomes.clone());
            move |_: u8| {
                let (service, token, outcomes) = (service.clone(), token.clone(), outcomes.clone());
                async move {
                    let done = rival(service.get().unwrap(), token.get().unwrap()).await;
                    outcomes.lock().unwrap().extend(done);
                }
                .boxed()
            }
        };
        let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), act));
        let clock = ManualClock::default();
        let built =
            service.get_or_init(|| builder(faulty.clone()).clock(Arc::new(clock)).build().unwrap());
        let owner = built.owner("acme");
        let issued = owner.issue(scoped_request(&["service-tokens:rotate-self"])).await.unwrap();
        let id = issued.record.id();
        let newest = owner.rotate(id, RotateRequest::with_overlap(HOUR)).await.unwrap();
        token.set(built.verify(&text(&newest), &any()).await.unwrap()).unwrap();
        Self { faulty, service, outcomes, id, _opened: opened }
    }

    pub(crate) fn service(&self) -> &Service {
        self.service.get().unwrap()
    }

    /// Makes the rival come between the reading and the write of the next operation.
    pub(crate) fn arm(&self) {
        self.faulty.arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    }

    /// Returns what the rival did, after a check that only the interrupted operation wrote.
    pub(crate) fn take_outcomes(&self) -> Outcomes {
        let writes = self.faulty.calls().iter().filter(|(op, _)| op.writes()).count();
        assert_eq!(writes, 1, "another operation wrote");
        std::mem::take(&mut self.outcomes.lock().unwrap())
    }
}

#[track_caller]
pub(crate) fn expect_contended(outcome: &Result<(), ManageError>) {
    assert!(matches!(outcome, Err(ManageError::Contended { .. })), "{outcome:?}");
}
