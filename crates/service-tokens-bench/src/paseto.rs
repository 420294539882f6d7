//! The peer pasetors, with v4.local.

use std::hint::black_box;

use pasetors::claims::{Claims, ClaimsValidationRules};
use pasetors::keys::{Generate, SymmetricKey};
use pasetors::token::UntrustedToken;
use pasetors::version4::V4;
use pasetors::{Local, local};

use crate::service::{SCOPE, owner};

/// Tokens and the key that decrypts them.
pub struct Paseto {
    key: SymmetricKey<V4>,
    rules: ClaimsValidationRules,
    tokens: Vec<String>,
}

impl Paseto {
    /// Encrypts `size` tokens.
    pub fn new(size: usize) -> Self {
        let key = SymmetricKey::<V4>::generate().expect("a key");
        let token = |n: usize| {
            let mut claims = Claims::new().expect("claims");
            claims.subject(&owner(n)).expect("a subject");
            claims.token_identifier(&format!("{n:032x}")).expect("an id");
            claims.add_additional("scope", SCOPE).expect("a claim");
            local::encrypt(&key, &claims, None, None).expect("a token")
        };
        let tokens = (0..size).map(token).collect();
        Self { key, rules: ClaimsValidationRules::new(), tokens }
    }

    /// Returns a function that decrypts this number of tokens and checks expiry and one scope. All claims
    /// are owned.
    pub fn verifying(&self) -> impl FnMut(usize) + '_ {
        let mut tokens = self.tokens.iter().cycle();
        move |times| {
            for token in tokens.by_ref().take(times) {
                let token = UntrustedToken::<Local, V4>::try_from(token).expect("a token");
                let trusted =
                    local::decrypt(&self.key, &token, &self.rules, None, None).expect("verified");
                let scope = trusted.payload_claims().and_then(|claims| claims.get_claim("scope"));
                assert!(scope.and_then(|scope| scope.as_str()) == Some(SCOPE));
                black_box(trusted);
            }
        }
    }
}
