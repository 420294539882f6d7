//! Named bundles of scopes.

use super::grammar::{InvalidScope, MAX_TYPE_NAME_LEN, plain};
use super::{ScopeSet, Scopes};

/// A named bundle of scopes that you define, such as `connector` or `developer`.
///
/// A record stores the scopes that its token was issued with. A request must be permitted by those
/// scopes *and* by the type's present scopes. So a narrower type narrows its tokens at once, and a
/// wider type widens no token. The manual explains it in
/// [scopes and types](crate::manual::scopes_and_types#types).
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
        Ok(Self { name: name.into(), description: "".into(), scopes: ScopeSet::new(scopes)? })
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
