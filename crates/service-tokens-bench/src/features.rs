//! Verifications with a feature that most tokens do not have: networks, an owner gate, an older system.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use service_tokens::import::{Characters, ImportForm};
use service_tokens::network::Network;
use service_tokens::{
    ImportRequest, IssueRequest, MemoryStore, OwnerStatus, RequestContext, TokenServiceBuilder,
    TokenStore,
};

use crate::poll::ready;
use crate::service::{Filled, LABEL, filled_by, owner, requirement};
use crate::tokens::Random;

/// The address of every request. It is in the last of the networks.
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// Creates a service whose tokens have ten networks each.
pub fn with_networks(
    size: usize,
    with: impl FnOnce(TokenServiceBuilder<MemoryStore>) -> TokenServiceBuilder<MemoryStore>,
) -> Filled<MemoryStore> {
    let networks: Vec<Network> = (0..9)
        .map(|n| Network::new(Ipv4Addr::new(10, n, 0, 0), 16))
        .chain([Network::new(Ipv4Addr::new(192, 0, 2, 0), 24)])
        .map(|network| network.expect("a network"))
        .collect();
    filled_by(MemoryStore::new(), size, with, context(), async |service, n| {
        let request = IssueRequest::new("connector", LABEL).networks(networks.iter().copied());
        let issued = service.owner(&owner(n)).issue(request).await.expect("an issued token");
        (issued.token.expose_secret().to_owned(), issued.record.id())
    })
}

/// Creates a service with an owner gate.
pub fn with_gate(
    size: usize,
    with: impl FnOnce(TokenServiceBuilder<MemoryStore>) -> TokenServiceBuilder<MemoryStore>,
) -> Filled<MemoryStore> {
    let gate = |owner: &str| {
        if black_box(owner) == "closed" { OwnerStatus::Closed } else { OwnerStatus::Open }
    };
    crate::service::filled_with(MemoryStore::new(), size, |builder| with(builder.owner_gate(gate)))
}

/// Creates a service whose tokens are keys of an older system, hashed with SHA-256.
pub fn with_imported(
    size: usize,
    with: impl FnOnce(TokenServiceBuilder<MemoryStore>) -> TokenServiceBuilder<MemoryStore>,
) -> Filled<MemoryStore> {
    let form = ImportForm::sha256("old keys")
        .prefix("sk_live_")
        .characters(Characters::BASE62)
        .lengths([40]);
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let with = |builder: TokenServiceBuilder<MemoryStore>| with(builder.import_form(form));
    filled_by(MemoryStore::new(), size, with, RequestContext::new(), async |service, n| {
        let mut random = Random::new(n as u64);
        let rest: String =
            (0..40).map(|_| char::from(alphabet[random.below(alphabet.len())])).collect();
        let text = format!("sk_live_{rest}");
        let request = ImportRequest::of_plaintext(&text, "connector", LABEL);
        let imported = service.owner(&owner(n)).import(request).await.expect("an imported token");
        (text, imported.record.id())
    })
}

fn context() -> RequestContext {
    RequestContext::new().client_address(IpAddr::from(CLIENT))
}

/// Returns a function that verifies this number of tokens of [`with_networks`] at each call.
pub fn verifying_from_client<S: TokenStore>(filled: &Filled<S>) -> impl FnMut(usize) + '_ {
    let (requirement, context) = (requirement(), context());
    let mut texts = filled.tokens.from(0);
    move |times| {
        for _ in 0..times {
            let service = filled.service.in_context(context);
            let verified =
                ready(service.verify(texts.next_text(), &requirement)).expect("a verified token");
            crate::service::read(&verified);
        }
    }
}
