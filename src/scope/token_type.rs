//! Named bundles of scopes.

use super::grammar::{InvalidScope, MAX_TYPE_NAME_LEN, plain};
use super::{ScopeSet, Scopes};

/// A named bundle of scopes that the embedder defines, such as `connector` or `developer`.
///
/// A record keeps the scopes it was issued with. A request must be permitted by those *and* by the
/// type's present scopes: narrowing a type narrows its tokens at once, widening it widens none. See
/// [scopes and types](crate::manual::scopes_and_types#types).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenType {
    name: Box<str>,
    description: Box<str>,
    scopes: ScopeSet,
}

impl TokenType {
    /// A type with this name and these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] for the name or the first scope that breaks a rule.
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

    /// Adds the sentence that people see when they choose a type.
    #[must_use]
    pub fn with_description(mut self, sentence: &str) -> Self {
        self.description = sentence.into();
        self
    }

    /// The name, as records keep it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sentence for people; may be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The present scopes.
    #[inline]
    pub fn scopes(&self) -> Scopes<'_> {
        self.scopes.as_scopes()
    }
}

pub(crate) fn valid_type_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_TYPE_NAME_LEN && plain(name)
}

/// The types that a service knows. A token of a type that is not among them is permitted nothing.
#[derive(Debug, Clone, Default)]
pub struct TokenTypes(Vec<TokenType>);

impl TokenTypes {
    /// These types. Of two with one name the later counts.
    pub fn new(types: impl IntoIterator<Item = TokenType>) -> Self {
        let mut known = Self::default();
        types.into_iter().for_each(|token_type| known.insert(token_type));
        known
    }

    pub(crate) fn insert(&mut self, token_type: TokenType) {
        self.0.retain(|known| known.name != token_type.name);
        self.0.push(token_type);
    }

    /// The type with this name.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&TokenType> {
        // A service has a handful of types: walking them costs less than hashing the name.
        self.0.iter().find(|known| &*known.name == name)
    }

    /// All of them, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &TokenType> {
        self.0.iter()
    }
}
