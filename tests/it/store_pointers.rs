//! A service over every kind of pointer to a store, static or dynamic.

use std::sync::Arc;

use crate::behaviour::harness::{HOUR, any, backup, builder, requirement, text};
use futures_lite::future::block_on;
use service_tokens::{
    ListRequest, MemoryStore, RevokeRequest, RotateRequest, TokenService, TokenStore,
};

#[test]
fn service_accepts_every_store_pointer() {
    async fn serve<S: TokenStore>(store: S) {
        let service = builder(store).build().unwrap();
        let issued = service.owner("acme").issue(backup()).await.unwrap();
        let id = issued.record.id();
        service.verify(&text(&issued), &requirement("files:read")).await.unwrap();
        let view = service.owner("acme");
        let rotated = view.rotate(id, RotateRequest::at_once()).await.unwrap();
        assert!(service.verify(&text(&issued), &any()).await.is_err());
        service.verify(&text(&rotated), &any()).await.unwrap();
        assert_eq!(view.list(ListRequest::new()).await.unwrap().items.len(), 1);
        view.revoke(id, RevokeRequest::new()).await.unwrap();
        assert!(service.verify(&text(&rotated), &any()).await.is_err());
    }
    block_on(async {
        serve(MemoryStore::new()).await;
        serve(Arc::new(MemoryStore::new())).await;
        serve(Box::new(MemoryStore::new())).await;
        serve(Arc::new(MemoryStore::new()) as Arc<dyn TokenStore>).await;
        serve(Box::new(MemoryStore::new()) as Box<dyn TokenStore>).await;
        serve(Arc::new(Box::new(MemoryStore::new()) as Box<dyn TokenStore>)).await;
    });
    fn travels<T: Send + Sync + 'static>() {}
    travels::<TokenService<MemoryStore>>();
    travels::<TokenService<Arc<dyn TokenStore>>>();
    travels::<service_tokens::VerifiedToken>();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_futures_can_be_spawned() {
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let service = Arc::new(builder(store).cache_records(HOUR, 10).build().unwrap());
    let life = tokio::spawn(async move {
        let issued = service.owner("acme").issue(backup()).await.unwrap();
        let view = service.owner("acme");
        let rotated = view.rotate(issued.record.id(), RotateRequest::at_once()).await.unwrap();
        service.verify(&text(&rotated), &any()).await.unwrap();
        service.verify_uncached(&text(&rotated), &any()).await.unwrap();
        let _ = view.get(issued.record.id()).await.unwrap();
        let _ = view.list(ListRequest::new()).await.unwrap();
        service.follow_changes().await.unwrap();
        view.revoke(issued.record.id(), RevokeRequest::new()).await.unwrap().already_revoked
    });
    assert!(!life.await.unwrap());
}
