//! Keys of an older system with salted hashes, which move over when they are first used.
//!
//! ```text
//! cargo run --example import
//! ```
//!
//! A salted hash cannot be looked up, because the salt is in the row. So the older system checks a key one
//! last time, and then the key is imported. From then on it is looked up like every other token.
#![allow(clippy::print_stdout, reason = "this program prints its steps")]

use std::error::Error;

use service_tokens::import::{Characters, ImportForm};
use service_tokens::{
    ImportRequest, MemoryStore, Refusal, RevokeRequest, TokenService, TokenType, VerifiedToken,
    requirement,
};

const KEY: &str = "sk_live_e5e9fa1ba31ecd1ae84f75caaa474f3a";

/// Stands for the check of the older system, which would hash the key with the salt of each row.
fn check_in_old_system(key: &str) -> Option<&'static str> {
    (key == KEY).then_some("acme")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The hash of the form is this service's own choice, because the old digests are not imported.
    let old_keys = ImportForm::sha256("old keys")
        .prefix("sk_live_")
        .characters(Characters::LOWER_HEX)
        .lengths([32]);
    let service = TokenService::builder(MemoryStore::new(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"])?)
        .import_form(old_keys)
        .build()?;

    for request in ["first", "second"] {
        let verified = verify(&service, KEY).await?;
        println!("{request} request: accepted for {}", verified.owner());
    }

    let id = verify(&service, KEY).await?.id();
    service.owner("acme").revoke(id, RevokeRequest::new()).await?;
    // The older system would still accept it. It is not asked, because the token is known.
    match verify(&service, KEY).await {
        Err(error) => println!("after a revocation: {error}"),
        Ok(_) => return Err("a revoked key was accepted".into()),
    }
    let invented = KEY.replace('a', "b");
    match verify(&service, &invented).await {
        Err(error) => println!("an invented key: {error}"),
        Ok(_) => return Err("an invented key was accepted".into()),
    }
    Ok(())
}

/// Verifies a token, and imports a key that only the older system knows.
async fn verify(
    service: &TokenService<MemoryStore>,
    text: &str,
) -> Result<VerifiedToken, Box<dyn Error>> {
    let upload = requirement!("files:upload");
    let unknown = match service.verify(text, &upload).await {
        Err(error) if error.refusal() == Some(Refusal::UnknownId) => error,
        outcome => return Ok(outcome?),
    };
    let Some(owner) = check_in_old_system(text) else { return Err(unknown.into()) };
    let request = ImportRequest::of_plaintext(text, "connector", "imported at first use");
    // Only a digest is stored. If two requests import the key at once, the second changes nothing.
    service.owner(owner).import(request).await?;
    Ok(service.verify(text, &upload).await?)
}
