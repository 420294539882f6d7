//! A token, the token that issued it, and a rival that acts on either.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use service_tokens::store::States;
use service_tokens::{
    Filter, Issued, ListRequest, ManageError, TokenId, TokenService, VerifiedToken,
};

use super::{Faulty, Harness, Rival, SharedStore, Stores, any, builder, scoped_request, text};

/// The scopes of the token and of its parent.
pub(crate) const FAMILY_SCOPES: [&str; 3] = ["x", "service-tokens:issue", "service-tokens:rotate"];

/// A token that another one issued, and a third one that it can rotate.
pub(crate) struct Family {
    harness: Harness<Arc<Faulty>>,
    pub(crate) parent: TokenId,
    pub(crate) token: VerifiedToken,
    pub(crate) target: Issued,
}

/// The ids that a rival acts on.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) parent: TokenId,
    pub(crate) token: TokenId,
}

impl Deref for Family {
    type Target = Harness<Arc<Faulty>>;

    fn deref(&self) -> &Self::Target {
        &self.harness
    }
}

impl Family {
    /// The rival gets another service over the same store, the ids, and the number of its fault.
    pub(crate) async fn new(
        stores: Stores,
        rival: impl Fn(TokenService<SharedStore>, Ids, u8) -> Rival + Send + Sync + 'static,
    ) -> Self {
        let ids: Arc<Mutex<Option<Ids>>> = Arc::default();
        let of_rival = ids.clone();
        let harness = Harness::builder(stores).faulty_with_rival(move |store, clock, what| {
            let service = builder(store).clock(clock).build().unwrap();
            rival(service, of_rival.lock().unwrap().unwrap(), what)
        });
        let harness = harness.build();
        let sound = harness.elsewhere();
        let parent = sound.owner("acme").issue(scoped_request(&FAMILY_SCOPES)).await.unwrap();
        let parent = sound.verify(&text(&parent), &any()).await.unwrap();
        let issued =
            sound.on_behalf_of(&parent).issue(scoped_request(&FAMILY_SCOPES)).await.unwrap();
        let token = sound.verify(&text(&issued), &any()).await.unwrap();
        *ids.lock().unwrap() = Some(Ids { parent: parent.id(), token: token.id() });
        let target = sound.owner("acme").issue(scoped_request(&["x"])).await.unwrap();
        Self { parent: parent.id(), token, target, harness }
    }

    /// Returns the tokens in these states that this one issued, directly or not.
    pub(crate) async fn below(&self, id: TokenId, states: impl Into<States>) -> Vec<TokenId> {
        let filter = Filter::new().issuer(id).states(states);
        let sound = self.elsewhere().all_owners();
        let page = sound.list(ListRequest::from(filter)).await.unwrap();
        page.items.iter().map(|stored| stored.record.id()).collect()
    }

    pub(crate) async fn issue_on_behalf(&self) -> Result<Issued, ManageError> {
        self.service.on_behalf_of(&self.token).issue(scoped_request(&["x"])).await
    }
}
