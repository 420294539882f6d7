//! The texts that every token has, stored together.

use arrayvec::ArrayString;

use crate::scope::Scopes;

/// The total length of texts that are stored without an allocation, in bytes. It is enough for an
/// owner named by a UUID, one or two scopes and a short label.
const SHORT: usize = 80;

/// Owner, type, scopes and issued-to, concatenated into one text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Texts {
    short: ArrayString<SHORT>,
    /// All texts, if they do not fit `short`.
    long: Option<Box<str>>,
    /// The end offsets of the first three texts.
    ends: [u16; 3],
}

impl Texts {
    pub(crate) fn new(owner: &str, token_type: &str, scopes: &str, issued_to: &str) -> Self {
        let texts = [owner, token_type, scopes, issued_to];
        let mut ends = [0; 3];
        let mut end = 0;
        for (slot, text) in ends.iter_mut().zip(texts) {
            end += text.len();
            // Cannot overflow, because the fields are bounded far below (see `field`).
            *slot = u16::try_from(end).unwrap_or(u16::MAX);
        }
        // Each text is copied once, to its final place.
        let mut short = ArrayString::new();
        if texts.iter().all(|text| short.try_push_str(text).is_ok()) {
            Self { short, long: None, ends }
        } else {
            Self { short: ArrayString::new(), long: Some(texts.concat().into()), ends }
        }
    }

    #[inline]
    pub(crate) fn owner(&self) -> &str {
        self.part(0, self.ends[0].into())
    }

    #[inline]
    pub(crate) fn token_type(&self) -> &str {
        self.part(self.ends[0].into(), self.ends[1].into())
    }

    #[inline]
    pub(crate) fn scopes(&self) -> Scopes<'_> {
        Scopes::from_canonical(self.part(self.ends[1].into(), self.ends[2].into()))
    }

    #[inline]
    pub(crate) fn issued_to(&self) -> &str {
        self.part(self.ends[2].into(), self.len())
    }

    /// Returns the total length, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.all().len()
    }

    #[inline]
    fn all(&self) -> &str {
        self.long.as_deref().unwrap_or(&self.short)
    }

    #[inline]
    fn part(&self, start: usize, end: usize) -> &str {
        self.all().get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_round_trip() {
        for length in [0, 1, SHORT - 5, SHORT - 4, SHORT - 3, SHORT + 1, 1_024] {
            let label = "l".repeat(length);
            let texts = Texts::new("o", "t", "a:", &label);
            assert_eq!(texts.long.is_some(), length > SHORT - 4, "{length}");
            assert_eq!((texts.owner(), texts.token_type()), ("o", "t"));
            assert_eq!((texts.scopes().as_str(), texts.issued_to()), ("a:", &*label));
            assert_eq!(texts.len(), length + 4);
        }
    }
}
