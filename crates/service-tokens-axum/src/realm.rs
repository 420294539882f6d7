//! The realm that a challenge names.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

/// The longest realm, in characters.
const REALM_MAX_LEN: usize = 256;

/// A text that cannot be a realm: it is longer than 256 characters, or one is neither a space nor
/// visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a realm is at most 256 characters of visible ASCII and spaces")]
pub struct InvalidRealm;

/// What is protected, as clients are told (RFC 9110 §11.5). The default is `service-tokens`.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Realm(Option<Arc<str>>);

impl Realm {
    pub(crate) fn new(realm: &str) -> Result<Self, InvalidRealm> {
        let valid = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if realm.len() > REALM_MAX_LEN || !realm.bytes().all(valid) {
            return Err(InvalidRealm);
        }
        // A quoted-string (RFC 9110 §5.6.4).
        Ok(Self(Some(realm.replace('\\', "\\\\").replace('"', "\\\"").into())))
    }

    /// The value of `WWW-Authenticate`. At least one parameter is required (RFC 6750 §3), and the realm
    /// is it.
    pub(crate) fn challenge(&self, error: &str) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("Bearer realm=\"{}\"{error}", self.quoted())).ok()
    }

    fn quoted(&self) -> &str {
        self.0.as_deref().unwrap_or("service-tokens")
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Realm({})", self.quoted())
    }
}
