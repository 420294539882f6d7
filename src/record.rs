//! The stored row of a token: everything that is known of it, except its secret.
//!
//! [`Record`] is the row. The module also has the parts of a record, the limits of its fields, and the
//! errors for values that break them.

mod again;
mod bytes;
mod field;
mod first_use;
mod frame;
mod issuers;
mod life;
mod texts;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

pub use bytes::{MAX_RECORD_BYTES, RECORD_FORMAT};
pub use field::{Field, InvalidField, Rule};
pub(crate) use field::{MAX_METADATA, MAX_TEXT_LEN};
pub(crate) use first_use::FirstUse;
pub use frame::CorruptRecord;
pub(crate) use life::{OlderEnds, RevokeDenied, Rotation};
pub use life::{ReplacedSecret, RotateDenied, State};
pub(crate) use texts::Texts;

use crate::clock::whole_micros;
use crate::digest::{Digests, HashedSecret, KeyId, StoredDigest};
use crate::refusal::Refusal;
use crate::scope::{ScopeSet, Scopes};
use crate::token::{ParsedToken, TokenId};

/// The stored row of a token: id, owner, type, issued-to, scopes, times, digests, revocation. No
/// plaintext.
///
/// A record is a value: the service makes the changed one, and a store puts it in place by
/// compare-and-swap. Stores keep [`to_bytes`](Self::to_bytes) and,
/// beside them, whatever accessors they index; [`from_bytes`](Self::from_bytes) is the only public
/// way to rebuild one. What each act leaves in it is in [the life of a
/// token](crate::manual::life#what-each-act-leaves-in-the-record).
///
/// Its `Debug` shows no digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    id: TokenId,
    created_at: DateTime<Utc>,
    not_before: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    newest: NewestSecret,
    texts: Texts,
    format: u8,
    /// What few tokens have, kept apart so that the others stay small.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, PartialEq, Eq)]
struct NewestSecret {
    digest: StoredDigest,
    created_at: DateTime<Utc>,
}

#[derive(Clone, PartialEq, Eq)]
struct OlderSecret {
    digest: StoredDigest,
    created_at: DateTime<Utc>,
    latest_end: DateTime<Utc>,
    ends_on_first_use: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct EndedSecret {
    digest: StoredDigest,
    created_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
}

#[derive(Clone, PartialEq, Eq, Default)]
struct Rare {
    older: Option<OlderSecret>,
    ended: Option<EndedSecret>,
    revocation: Option<Revocation>,
    issued_by: Option<Box<str>>,
    issuers: Vec<TokenId>,
    metadata: BTreeMap<String, String>,
    /// Fields that a newer program added and that may be ignored, by tag.
    remarks: Vec<Remark>,
    /// The whole encoding of a record in a newer format than this crate's.
    newer: Option<Box<[u8]>>,
}

/// A field's tag and content.
type Remark = (u8, Box<[u8]>);

/// That a token was revoked: when, by whom, why. The first revocation is kept for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom, as the embedder names people and programs.
    pub by: Option<Box<str>>,
    /// Why, for those who read it later.
    pub reason: Option<Box<str>>,
}

/// Two secrets of one token are accepted at the moment: the older one until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overlap {
    /// When the older secret ends at the latest, with the token at the latest; exclusive.
    pub ends_at: DateTime<Utc>,
    /// Whether it ends already when the newer secret is first used.
    pub ends_on_first_use: bool,
}

/// What a new record is made of.
pub(crate) struct NewRecord<'r> {
    pub(crate) id: TokenId,
    pub(crate) owner: &'r str,
    pub(crate) token_type: &'r str,
    pub(crate) issued_to: &'r str,
    pub(crate) scopes: &'r ScopeSet,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) digest: StoredDigest,
    pub(crate) issued_by: Option<&'r str>,
    pub(crate) issuers: &'r [TokenId],
    pub(crate) metadata: &'r BTreeMap<String, String>,
}

impl Record {
    /// A new record.
    ///
    /// # Errors
    ///
    /// The first field that is over a limit which holds for every record.
    pub(crate) fn new(new: &NewRecord<'_>) -> Result<Self, InvalidField> {
        field::check_new(new)?;
        let created_at = whole_micros(new.created_at);
        let mut record = Self {
            id: new.id,
            created_at,
            not_before: new.not_before.map(whole_micros),
            expires_at: new.expires_at.map(whole_micros),
            newest: NewestSecret { digest: new.digest, created_at },
            texts: Texts::new(
                new.owner,
                new.token_type,
                new.scopes.as_scopes().as_str(),
                new.issued_to,
            ),
            format: RECORD_FORMAT,
            rare: None,
        };
        record.set_rare(Rare {
            issued_by: new.issued_by.map(Into::into),
            issuers: new.issuers.to_vec(),
            metadata: new.metadata.clone(),
            ..Rare::default()
        });
        Ok(record)
    }

    fn set_rare(&mut self, rare: Rare) {
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
    }

    /// The token's public id.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The tenant or account that the token belongs to.
    #[inline]
    pub fn owner(&self) -> &str {
        self.texts.owner()
    }

    /// The name of the token's type.
    #[inline]
    pub fn token_type(&self) -> &str {
        self.texts.token_type()
    }

    /// The scopes it was issued with. What it may do now is their intersection with the type's.
    #[inline]
    pub fn scopes(&self) -> Scopes<'_> {
        self.texts.scopes()
    }

    /// The human label: which service was this given to.
    #[inline]
    pub fn issued_to(&self) -> &str {
        self.texts.issued_to()
    }

    #[inline]
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// When the token was issued.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// From when on it is accepted; inclusive.
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        self.not_before
    }

    /// From when on it is dead; exclusive: at this very time it is refused. `None` is never.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }

    /// When its newest secret was made: at the issue or at the latest rotation. Each rotation's time
    /// is later than the one before, by a microsecond if the clock does not say more.
    pub fn secret_created_at(&self) -> DateTime<Utc> {
        self.newest.created_at
    }

    /// The revocation, if there was one.
    pub fn revocation(&self) -> Option<&Revocation> {
        self.rare.as_ref()?.revocation.as_ref()
    }

    /// The overlap of two secrets that runs at `now`, if one does.
    #[inline]
    pub fn overlap(&self, now: DateTime<Utc>) -> Option<Overlap> {
        let older = self.older()?;
        (now < older.latest_end).then(|| Overlap {
            ends_at: self.expires_at.map_or(older.latest_end, |end| end.min(older.latest_end)),
            ends_on_first_use: older.ends_on_first_use,
        })
    }

    /// Who issued it, as the embedder names people and programs.
    pub fn issued_by(&self) -> Option<&str> {
        self.rare.as_ref()?.issued_by.as_deref()
    }

    /// The tokens on whose behalf it was issued or rotated, and theirs, nearest first: whoever had
    /// one of them may have come by this one.
    pub fn issuers(&self) -> &[TokenId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.issuers)
    }

    /// The embedder's own notes.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rare
            .iter()
            .flat_map(|rare| rare.metadata.iter().map(|(key, value)| (&**key, &**value)))
    }

    /// The keys under which its living secrets are stored: a key that no record uses any more may
    /// leave the [`KeyRing`](crate::KeyRing). Empty for plain digests, and for a record of a newer
    /// format, of which it is not known.
    pub fn key_ids(&self, now: DateTime<Utc>) -> impl Iterator<Item = KeyId> {
        let older = self.older().filter(|older| now < older.latest_end);
        [Some(&self.newest.digest), older.map(|older| &older.digest)]
            .into_iter()
            .flatten()
            .filter_map(StoredDigest::key_id)
    }

    /// The version of the encoding: at most [`RECORD_FORMAT`] unless a newer program wrote it.
    pub fn format(&self) -> u8 {
        self.format
    }

    /// Whether a newer program wrote it. Such a record is refused in verification and never
    /// replaced: it may carry a restriction that this program cannot read.
    #[inline]
    pub fn is_newer(&self) -> bool {
        self.format > RECORD_FORMAT
    }

    #[inline]
    fn older(&self) -> Option<&OlderSecret> {
        self.rare.as_ref()?.older.as_ref()
    }

    fn ended(&self) -> Option<&EndedSecret> {
        self.rare.as_ref()?.ended.as_ref()
    }

    /// Whether this digest is one of the record's: after a lost answer, whether one's own change
    /// arrived, be it that others have changed the record since.
    pub(crate) fn holds(&self, digest: &StoredDigest) -> bool {
        self.newest.digest == *digest
            || self.older().is_some_and(|older| older.digest == *digest)
            || self.ended().is_some_and(|ended| ended.digest == *digest)
    }

    /// Compares the token's secret with the record's digests and returns the proof that they match.
    ///
    /// The proof borrows this record, so no other record can take its place before
    /// [`Matched::authorize`] consumes the proof.
    ///
    /// # Errors
    ///
    /// - [`Refusal::UnknownId`] if the record has another id than the token.
    /// - [`Refusal::NewerRecord`] if a newer program wrote the record.
    /// - [`Refusal::WrongSecret`] if no digest matches; [`Refusal::UnknownScheme`] or
    ///   [`Refusal::MissingKey`] if a digest could not be compared and no other matches.
    ///
    /// # Examples
    ///
    /// The module [`steps`](crate::steps) shows it between the other steps.
    #[inline]
    pub fn matches<'r>(
        &'r self,
        token: &ParsedToken<'_>,
        digests: &Digests,
    ) -> Result<Matched<'r>, Refusal> {
        self.matches_hashed(&digests.hash(token.id(), token.presented()), digests)
    }

    #[inline]
    pub(crate) fn matches_hashed<'r>(
        &'r self,
        hashed: &HashedSecret<'_>,
        digests: &Digests,
    ) -> Result<Matched<'r>, Refusal> {
        if self.id != hashed.id() {
            return Err(Refusal::UnknownId);
        }
        if self.is_newer() {
            return Err(Refusal::NewerRecord);
        }
        let mut refusal = match digests.verify(&self.newest.digest, hashed) {
            Ok(true) => return Ok(Matched { record: self, presented: PresentedSecret::Newest }),
            Ok(false) => Refusal::WrongSecret,
            Err(unverifiable) => unverifiable.into(),
        };
        let others = [
            (PresentedSecret::Older, self.older().map(|older| &older.digest)),
            (PresentedSecret::Ended, self.ended().map(|ended| &ended.digest)),
        ];
        for (presented, digest) in others {
            let Some(digest) = digest else { continue };
            match digests.verify(digest, hashed) {
                Ok(true) => return Ok(Matched { record: self, presented }),
                Ok(false) => {}
                Err(unverifiable) => refusal = unverifiable.into(),
            }
        }
        Err(refusal)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("owner", &self.owner())
            .field("token_type", &self.token_type())
            .field("issued_to", &self.issued_to())
            .field("scopes", &self.scopes())
            .field("created_at", &self.created_at())
            .field("not_before", &self.not_before())
            .field("expires_at", &self.expires_at())
            .field("secret_created_at", &self.secret_created_at())
            .field("revocation", &self.revocation())
            .field("issued_by", &self.issued_by())
            .field("issuers", &self.issuers())
            .field("metadata", &self.metadata().collect::<Vec<_>>())
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Which of a record's secrets was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PresentedSecret {
    Newest,
    Older,
    /// The one that ended last: known, never accepted.
    Ended,
}

/// The proof that a presented secret is one of this record's secrets.
///
/// [`Record::matches`] makes it, and [`authorize`](Self::authorize) turns it into a
/// [`VerifiedToken`](crate::VerifiedToken).
#[derive(Debug)]
#[must_use = "a match alone verifies nothing: call `authorize`"]
pub struct Matched<'r> {
    record: &'r Record,
    presented: PresentedSecret,
}

impl<'r> Matched<'r> {
    #[inline]
    pub(crate) fn record(&self) -> &'r Record {
        self.record
    }

    /// Whether the presented secret has ended by `now`.
    #[inline]
    pub(crate) fn secret_ended(&self, now: DateTime<Utc>) -> bool {
        match self.presented {
            PresentedSecret::Newest => false,
            PresentedSecret::Older => self.record.overlap(now).is_none(),
            PresentedSecret::Ended => true,
        }
    }
}

#[cfg(test)]
mod tests;
