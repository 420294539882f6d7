//! The forms of a service.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::overlap::overlap;
use super::{ImportDigest, ImportForm, InvalidForm};
use crate::digest::ImportAlgorithm;
use crate::token::Prefix;

/// The forms of a service. A text has at most one of them.
#[derive(Debug, Default)]
pub(crate) struct ImportForms(Vec<ImportForm>);

impl ImportForms {
    /// Checks the forms of a service that accepts native tokens with these prefixes. The error comes with
    /// the name of the form.
    pub(crate) fn new(
        forms: Vec<ImportForm>,
        native: &[Prefix],
    ) -> Result<Self, (String, InvalidForm)> {
        for (index, form) in forms.iter().enumerate() {
            let earlier = forms.get(..index).unwrap_or_default();
            form.check()
                .and_then(|()| check_prefix(form, native))
                .and_then(|()| earlier.iter().try_for_each(|other| check_pair(form, other)))
                .map_err(|invalid| (form.name.clone(), invalid))?;
        }
        Ok(Self(forms))
    }

    /// Returns the digest of a text that is not a native token, or `None` if it has none of the forms.
    ///
    /// A text that begins with an accepted prefix of native tokens has no form. Otherwise a native token
    /// with a typing error could be looked up as another credential.
    pub(crate) fn digest_of(&self, text: &[u8], native: &[Prefix]) -> Option<ImportDigest> {
        if native.iter().any(|prefix| begins_native(text, prefix)) {
            return None;
        }
        self.0.iter().find_map(|form| form.digest_of(text))
    }

    /// Returns whether there is no form, which is the case in most services.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a form has this algorithm and key.
    pub(crate) fn have(&self, algorithm: ImportAlgorithm) -> bool {
        self.0.iter().any(|form| form.algorithm == algorithm)
    }
}

fn begins_native(text: &[u8], prefix: &Prefix) -> bool {
    text.strip_prefix(prefix.as_str().as_bytes()).is_some_and(|rest| rest.starts_with(b"_"))
}

fn check_prefix(form: &ImportForm, native: &[Prefix]) -> Result<(), InvalidForm> {
    match native.iter().find(|prefix| begins_native(form.prefix.as_bytes(), prefix)) {
        Some(prefix) => Err(InvalidForm::NativePrefix { prefix: prefix.as_str().to_owned() }),
        None => Ok(()),
    }
}

fn check_pair(form: &ImportForm, other: &ImportForm) -> Result<(), InvalidForm> {
    if form.name == other.name {
        return Err(InvalidForm::DuplicateName);
    }
    if let ImportAlgorithm::HmacSha256(id) = form.algorithm
        && form.algorithm == other.algorithm
        && !same_key(form.keyed.as_ref(), other.keyed.as_ref())
    {
        return Err(InvalidForm::ConflictingKey(id));
    }
    if overlap(form, other) {
        return Err(InvalidForm::Overlap { other: other.name.clone() });
    }
    Ok(())
}

/// Returns whether two keys give the same digests. RFC 2104 pads a short key with zeros, so two different
/// keys can be the same for it.
fn same_key(left: Option<&Hmac<Sha256>>, right: Option<&Hmac<Sha256>>) -> bool {
    let digest = |keyed: &Hmac<Sha256>| keyed.clone().finalize().into_bytes();
    match (left, right) {
        (Some(left), Some(right)) => digest(left).ct_eq(&digest(right)).into(),
        _ => false,
    }
}
