//! The peer biscuit-auth, with a token of one block and an authorizer with one policy.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use biscuit_auth::builder::{AuthorizerBuilder, date, fact, string};
use biscuit_auth::{AuthorizerLimits, Biscuit, KeyPair, PublicKey};

use crate::service::{SCOPE, owner};

/// Tokens, the root key, and the part of the authorizer that is the same for all requests.
pub struct Biscuits {
    root: PublicKey,
    authorizer: AuthorizerBuilder,
    tokens: Vec<String>,
}

impl Biscuits {
    /// Signs `size` tokens.
    pub fn new(size: usize) -> Self {
        let root = KeyPair::new();
        let end = SystemTime::now() + Duration::from_secs(3_600);
        let token = |n: usize| {
            Biscuit::builder()
                .fact(fact("owner", &[string(&owner(n))]))
                .and_then(|token| token.fact(fact("right", &[string(SCOPE)])))
                .and_then(|token| {
                    let check = format!("check if time($now), $now < {}", date(&end));
                    token.check(check.as_str())
                })
                .and_then(|token| token.build(&root))
                .and_then(|token| token.to_base64())
                .expect("a token")
        };
        let policy = format!("allow if right(\"{SCOPE}\")");
        // The default limit is a millisecond, which a busy machine can exceed.
        let limits = AuthorizerLimits { max_time: Duration::from_secs(10), ..Default::default() };
        let authorizer = AuthorizerBuilder::new().set_limits(limits);
        let authorizer = authorizer.policy(policy.as_str()).expect("a policy");
        Self { root: root.public(), authorizer, tokens: (0..size).map(token).collect() }
    }

    /// Returns a function that checks the signature, expiry and one right of this number of tokens.
    pub fn verifying(&self) -> impl FnMut(usize) + '_ {
        let mut tokens = self.tokens.iter().cycle();
        move |times| {
            for token in tokens.by_ref().take(times) {
                let token = Biscuit::from_base64(token, self.root).expect("a token");
                let authorizer = self.authorizer.clone().time().build(&token);
                let mut authorizer = authorizer.expect("an authorizer");
                authorizer.authorize().expect("authorized");
                black_box(authorizer);
            }
        }
    }
}
