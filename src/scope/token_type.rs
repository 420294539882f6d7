//! Named bundles of scopes.

use std::time::Duration;

use super::grammar::{InvalidScope, MAX_TYPE_NAME_LEN, plain};
use super::{ScopeSet, Scopes};

/// A named bundle of scopes that you define, such as `connector` or `developer`.
///
/// A record stores the scopes that its token was issued with. A request must be permitted by those
/// scopes *and* by the type's present scopes. So a narrower type narrows its tokens at once, and a
/// wider type widens no token. The manual explains it in
/// [scopes and types](crate::manual::scopes_and_types#types).
///
/// A type can have lifetimes of its own, which replace those of the [`Policy`](crate::Policy).
///
/// ```
/// use service_tokens::{TokenType, requirement};
///
/// let connector = TokenType::new("connector", ["files:upload"])?
///     .with_description("may upload files");
/// assert!(connector.scopes().permits(&requirement!("files:upload")));
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenType {
    name: Box<str>,
    description: Box<str>,
    scopes: ScopeSet,
    limits: TypeLimits,
}

/// The lifetimes that a [`TokenType`] sets. A value of `None` means that the policy decides.
///
/// [`Policy::for_type`](crate::Policy::for_type) combines them with a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TypeLimits {
    /// The lifetime of a token if the request does not name one. `Some(None)` means no expiry.
    pub default_lifetime: Option<Option<Duration>>,
    /// The maximum lifetime of a token that expires. `Some(None)` means no limit.
    pub max_lifetime: Option<Option<Duration>>,
    /// Whether a request may ask for a token that never expires.
    pub allow_never: Option<bool>,
    /// Whether each token of the type needs client networks.
    pub require_networks: bool,
    /// Whether the type is retired, so that no token of it is issued.
    pub retired: bool,
}

impl TokenType {
    /// Creates a type with this name and these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope::TypeName`] if the name is not valid, or the error of the first invalid scope.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{InvalidScope, TokenType};
    ///
    /// assert_eq!(TokenType::new("developer", ["*"])?.name(), "developer");
    /// assert_eq!(TokenType::new("a developer", ["*"]), Err(InvalidScope::TypeName));
    /// # Ok::<(), InvalidScope>(())
    /// ```
    pub fn new<I>(name: &str, scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        if !valid_type_name(name) {
            return Err(InvalidScope::TypeName);
        }
        Ok(Self {
            name: name.into(),
            description: "".into(),
            scopes: ScopeSet::new(scopes)?,
            limits: TypeLimits::default(),
        })
    }

    /// Sets the sentence that people see when they choose a type.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::TokenType;
    ///
    /// let connector = TokenType::new("connector", ["files:upload"])?
    ///     .with_description("may upload files");
    /// assert_eq!(connector.description(), "may upload files");
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    #[must_use]
    pub fn with_description(mut self, sentence: &str) -> Self {
        self.description = sentence.into();
        self
    }

    /// Sets the lifetime of a token of this type if the request does not name one. `None` means no
    /// expiry, which requires [`allow_never`](Self::allow_never).
    ///
    /// Without this call the policy's default applies, but at most the maximum lifetime of the type. So
    /// the maximum of a type is also its default if the policy's default is longer.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService};
    /// use std::time::Duration;
    /// use service_tokens::TokenType;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let week = Duration::from_secs(7 * 86_400);
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("developer", ["*"])?.default_lifetime(week))
    ///     .build()?;
    /// let request = IssueRequest::new("developer", "laptop");
    /// let record = service.owner("acme").issue(request).await?.record;
    /// assert_eq!(record.expires_at(), Some(record.created_at() + week));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn default_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.limits.default_lifetime = Some(lifetime.into());
        self
    }

    /// Sets the maximum lifetime of a token of this type, which may be shorter or longer than the
    /// policy's. `None` means no limit.
    ///
    /// A type with a maximum lifetime of its own also refuses tokens that never expire, even if the
    /// policy allows them, unless [`allow_never`](Self::allow_never) is set for the type too. Otherwise
    /// a request could avoid the maximum.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService};
    /// use std::time::Duration;
    /// use service_tokens::{ManageError, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let day = Duration::from_secs(86_400);
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .token_type(TokenType::new("developer", ["*"])?.max_lifetime(30 * day))
    ///     .build()?;
    /// let acme = service.owner("acme");
    /// let issue = |name| acme.issue(IssueRequest::new(name, "laptop").expires_in(31 * day));
    ///
    /// assert!(issue("connector").await.is_ok());
    /// assert!(matches!(issue("developer").await, Err(ManageError::Invalid(_))));
    /// // The policy's default of 90 days would be longer than the maximum of the type.
    /// let record = acme.issue(IssueRequest::new("developer", "laptop")).await?.record;
    /// assert_eq!(record.expires_at(), Some(record.created_at() + 30 * day));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.limits.max_lifetime = Some(lifetime.into());
        self
    }

    /// Sets whether a request may ask for a token of this type that never expires.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService};
    /// use service_tokens::TokenType;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("appliance", ["metrics:push"])?.allow_never(true))
    ///     .token_type(TokenType::new("developer", ["*"])?)
    ///     .build()?;
    /// let acme = service.owner("acme");
    /// let issue = |name| acme.issue(IssueRequest::new(name, "sensor").never_expires());
    ///
    /// assert_eq!(issue("appliance").await?.record.expires_at(), None);
    /// assert!(issue("developer").await.is_err());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn allow_never(mut self, allow: bool) -> Self {
        self.limits.allow_never = Some(allow);
        self
    }

    /// Sets whether each new token of this type needs client networks. The default is `false`.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::TokenType;
    ///
    /// let connector = TokenType::new("connector", ["files:upload"])?.require_networks(true);
    /// assert!(connector.limits().require_networks);
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    #[must_use]
    pub fn require_networks(mut self, required: bool) -> Self {
        self.limits.require_networks = required;
        self
    }

    /// Sets whether this type is retired. The default is `false`.
    ///
    /// No token of a retired type is issued. Its existing tokens are accepted and can be rotated. To
    /// refuse them too, remove the type.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService};
    /// use service_tokens::record::Rule;
    /// use service_tokens::{ManageError, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?.retired(true))
    ///     .build()?;
    /// let refused = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await;
    /// assert!(matches!(refused, Err(ManageError::Invalid(e)) if e.rule == Rule::Retired));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn retired(mut self, retired: bool) -> Self {
        self.limits.retired = retired;
        self
    }

    /// Returns the name, as records store it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the sentence for people, which may be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the scopes that the type has now. A token has at most these scopes.
    #[inline]
    pub fn scopes(&self) -> Scopes<'_> {
        self.scopes.as_scopes()
    }

    /// Returns the limits that the type sets.
    pub fn limits(&self) -> TypeLimits {
        self.limits
    }
}

/// Returns whether the name has 1 to [`MAX_TYPE_NAME_LEN`] of the allowed characters.
pub(crate) fn valid_type_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_TYPE_NAME_LEN && plain(name)
}

/// The types that a service knows. A token of any other type is refused.
#[derive(Debug, Clone, Default)]
pub struct TokenTypes(Vec<TokenType>);

impl TokenTypes {
    /// Creates a set of these types. If two have the same name, the later one replaces the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::TokenType;
    /// use service_tokens::steps::TokenTypes;
    ///
    /// let types = TokenTypes::new([TokenType::new("connector", ["files:upload"])?]);
    /// assert!(types.get("connector").is_some());
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn new(types: impl IntoIterator<Item = TokenType>) -> Self {
        let mut known = Self::default();
        types.into_iter().for_each(|token_type| known.insert(token_type));
        known
    }

    pub(crate) fn insert(&mut self, token_type: TokenType) {
        self.0.retain(|known| known.name != token_type.name);
        self.0.push(token_type);
    }

    /// Returns the type with this name.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&TokenType> {
        // A service has a handful of types, so a linear search costs less than hashing the name.
        self.0.iter().find(|known| &*known.name == name)
    }

    /// Returns all types in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &TokenType> {
        self.0.iter()
    }
}
