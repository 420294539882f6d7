//! The rules of the embedder by which a verification decides: the token types and the owner gate.

use std::fmt;
use std::sync::Arc;

use crate::scope::TokenTypes;

/// The answer of an [`OwnerGate`] for one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnerStatus {
    /// The tokens of the owner are accepted.
    Open,
    /// The owner's account is closed. Its tokens are refused with
    /// [`Refusal::OwnerClosed`](crate::Refusal::OwnerClosed), until it is open again.
    Closed,
    /// It is not known at the moment. Its tokens are refused with
    /// [`VerifyError::OwnerUnknown`](crate::VerifyError::OwnerUnknown), which is an HTTP status of 503.
    Unknown,
}

/// A function that says whether an owner's account is open.
///
/// Each verification of a live token with the right secret calls it, so it must return at once. It should
/// read a set in memory that the program keeps up to date, and never a database. Deactivating an account
/// then stops all its tokens at once, and activating the account brings exactly those back that worked
/// before. A closure is a gate if it writes out the type of its parameter, as in `|owner: &str| …`.
///
/// # Examples
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
/// use std::collections::HashSet;
/// use std::sync::{Arc, RwLock};
/// use service_tokens::{OwnerStatus, Refusal, requirement};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let closed = Arc::new(RwLock::new(HashSet::<String>::new()));
/// let gate = {
///     let closed = closed.clone();
///     move |owner: &str| match closed.read() {
///         Ok(closed) if closed.contains(owner) => OwnerStatus::Closed,
///         Ok(_) => OwnerStatus::Open,
///         Err(_) => OwnerStatus::Unknown,
///     }
/// };
/// let service = TokenService::builder(MemoryStore::new(), "acme_live")
///     .token_type(TokenType::new("connector", ["files:upload"])?)
///     .owner_gate(gate)
///     .build()?;
/// let issued = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
/// let token = issued.token.expose_secret();
/// assert!(service.verify(token, &requirement!("files:upload")).await.is_ok());
///
/// closed.write().unwrap().insert("acme".to_owned());
/// let refused = service.verify(token, &requirement!("files:upload")).await.unwrap_err();
/// assert_eq!(refused.refusal(), Some(Refusal::OwnerClosed));
/// # Ok(()) }
/// ```
pub trait OwnerGate: Send + Sync + 'static {
    /// Returns whether this owner's account is open.
    fn status(&self, owner: &str) -> OwnerStatus;
}

#[deny(clippy::missing_trait_methods)]
impl<G: OwnerGate + ?Sized> OwnerGate for Arc<G> {
    fn status(&self, owner: &str) -> OwnerStatus {
        (**self).status(owner)
    }
}

// There is no implementation for every `Box<G>`, because a boxed closure is a closure and so a gate.
#[deny(clippy::missing_trait_methods)]
impl OwnerGate for Box<dyn OwnerGate> {
    fn status(&self, owner: &str) -> OwnerStatus {
        (**self).status(owner)
    }
}

impl<F: Fn(&str) -> OwnerStatus + Send + Sync + 'static> OwnerGate for F {
    fn status(&self, owner: &str) -> OwnerStatus {
        self(owner)
    }
}

/// The rules by which a program decides on a token: its [token types](TokenTypes), and its
/// [owner gate](OwnerGate) if it has one.
#[derive(Default)]
pub struct AccessRules {
    types: TokenTypes,
    owner_gate: Option<Box<dyn OwnerGate>>,
}

impl AccessRules {
    /// Creates rules with these types and without an owner gate.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::TokenType;
    /// use service_tokens::steps::{AccessRules, TokenTypes};
    ///
    /// let types = TokenTypes::new([TokenType::new("connector", ["files:upload"])?]);
    /// let rules = AccessRules::new(types);
    /// assert!(rules.types().get("connector").is_some());
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn new(types: TokenTypes) -> Self {
        Self { types, owner_gate: None }
    }

    /// Sets the owner gate.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::OwnerStatus;
    /// use service_tokens::steps::{AccessRules, TokenTypes};
    ///
    /// let closed = |_owner: &str| OwnerStatus::Closed;
    /// let rules = AccessRules::new(TokenTypes::default()).owner_gate(closed);
    /// # let _ = rules;
    /// ```
    #[must_use]
    pub fn owner_gate(mut self, gate: impl OwnerGate) -> Self {
        self.owner_gate = Some(Box::new(gate));
        self
    }

    /// Returns the types.
    #[inline]
    pub fn types(&self) -> &TokenTypes {
        &self.types
    }

    /// Returns whether the owner's account is open. Without a gate every account is open.
    #[inline]
    pub(crate) fn owner_status(&self, owner: &str) -> OwnerStatus {
        match &self.owner_gate {
            None => OwnerStatus::Open,
            Some(gate) => gate.status(owner),
        }
    }
}

impl fmt::Debug for AccessRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRules")
            .field("types", &self.types)
            .field("owner_gate", &self.owner_gate.is_some())
            .finish()
    }
}
