//! The stored record of a token. It has all data of the token except the secret and the last use,
//! which a store holds next to the record.
//!
//! Besides [`Record`] the module has the parts of a record, the limits of its fields, and the errors for
//! values that break these limits.

mod accessors;
mod amend;
mod details;
mod encoding;
mod field;
mod first_use;
mod imported;
mod lifecycle;
mod lineage;
mod rematch;
mod rotate;
mod suspend;
mod suspension;
mod texts;
mod tlv;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

pub(crate) use amend::Amendment;
pub(crate) use details::Details;
pub use encoding::{MAX_RECORD_BYTES, RECORD_FORMAT};
pub use field::{Field, InvalidField, Rule};
pub(crate) use field::{MAX_METADATA, MAX_TEXT_LEN};
pub(crate) use first_use::FirstUse;
pub use lifecycle::State;
pub(crate) use lifecycle::{ChangeDenied, Times};
pub(crate) use rotate::{OlderEnds, Rotation};
pub use rotate::{ReplacedSecret, RotateDenied};
pub(crate) use suspend::NewSuspension;
pub use suspension::{Suspension, SuspensionMatch};
pub(crate) use texts::Texts;
pub use tlv::CorruptRecord;

use crate::clock::whole_micros;
use crate::digest::{Digests, HashedSecret, KeyId, RingKey, StoredDigest};
use crate::network::NetworkSet;
use crate::refusal::Refusal;
use crate::scope::ScopeSet;
use crate::token::{ParsedToken, TokenId};

/// The stored record of a token. It contains id, owner, type, issued-to, scopes, networks, times, digests,
/// suspensions and revocation, but no plaintext.
///
/// A record is an immutable value. To change one, the service creates a modified copy, and a store
/// replaces the old record by compare-and-swap. A store saves [`to_bytes`](Self::to_bytes), and can also
/// save the results of accessors as columns for its indexes. Other crates can create a record only with
/// [`from_bytes`](Self::from_bytes). The manual lists the fields that each operation changes in [the life
/// of a token](crate::manual::life#what-each-operation-leaves-in-the-record).
///
/// `Debug` shows no digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    id: TokenId,
    created_at: DateTime<Utc>,
    not_before: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    newest: NewestSecret,
    texts: Texts,
    format: u8,
    /// The fields that few tokens have, in a separate allocation so that the other records stay
    /// small.
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
    /// In the order of [`Suspension::cmp_place`].
    suspensions: Vec<Suspension>,
    issued_by: Option<Box<str>>,
    issuers: Vec<TokenId>,
    details: Option<Details>,
    /// The person or program that made the newest secret by a rotation.
    secret_by: Option<Box<str>>,
    /// The calling token that made the newest secret by a rotation.
    secret_on_behalf_of: Option<TokenId>,
    /// The creation time of the secret with which the token made its own newest secret.
    secret_made_with: Option<DateTime<Utc>>,
    /// The time at which the present end was set, if that was after the issue.
    end_set_at: Option<DateTime<Utc>>,
    /// Fields with unknown tags that may be ignored, written by a newer version of this crate.
    ignorable: Vec<IgnorableField>,
    /// The complete encoding of a record in a newer format than this crate's.
    newer: Option<Box<[u8]>>,
}

/// The tag and content of a field.
type IgnorableField = (u8, Box<[u8]>);

/// The revocation of a token. The first revocation is retained, and later ones have no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// The time of the revocation.
    pub at: DateTime<Utc>,
    /// The person or program that revoked the token, named by the embedder.
    pub by: Option<Box<str>>,
    /// The reason, for people who read the record later.
    pub reason: Option<Box<str>>,
}

/// A period in which two secrets of a token are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overlap {
    /// The latest end of the older secret (exclusive), or the expiry time of the token if that is
    /// earlier. A revocation does not change it.
    pub ends_at: DateTime<Utc>,
    /// Whether the older secret ends earlier, when the newer secret is first used.
    pub ends_on_first_use: bool,
    /// The time at which the older secret was created. It identifies the secret within the record.
    pub older_created_at: DateTime<Utc>,
}

/// The input of a new record.
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
    pub(crate) networks: Option<&'r NetworkSet>,
    /// The time of the import, for a token of an older system. The end was set then, and the secret counts as
    /// created then.
    pub(crate) imported_at: Option<DateTime<Utc>>,
}

impl Record {
    /// Creates a record.
    ///
    /// # Errors
    ///
    /// Returns the first field that exceeds a limit which holds for every record.
    pub(crate) fn new(new: &NewRecord<'_>) -> Result<Self, InvalidField> {
        field::check_new(new)?;
        let created_at = whole_micros(new.created_at);
        let imported_at = new.imported_at.map(whole_micros);
        let mut record = Self {
            id: new.id,
            created_at,
            not_before: new.not_before.map(whole_micros),
            expires_at: new.expires_at.map(whole_micros),
            newest: NewestSecret {
                digest: new.digest,
                created_at: imported_at.unwrap_or(created_at),
            },
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
            details: Details::new(new.networks, new.metadata),
            end_set_at: imported_at.filter(|time| *time != created_at),
            ..Rare::default()
        });
        Ok(record)
    }

    /// Returns the record with another start and end, which no request could give it.
    #[cfg(test)]
    pub(crate) fn with_period(
        self,
        not_before: Option<DateTime<Utc>>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self { not_before, expires_at: Some(expires_at), ..self }
    }

    fn set_rare(&mut self, rare: Rare) {
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
    }

    #[inline]
    fn older(&self) -> Option<&OlderSecret> {
        self.rare.as_ref()?.older.as_ref()
    }

    fn ended(&self) -> Option<&EndedSecret> {
        self.rare.as_ref()?.ended.as_ref()
    }

    /// Returns whether the record contains this digest. If the result of a write was lost, `true` shows
    /// that the write took effect.
    ///
    /// A record retains three digests, which are those of the newest secret, of the older one and of the
    /// one that ended last. So a single later rotation normally retains the digest. Two or more can drop
    /// it, and so can one that ends two secrets at once. Then the result is `false` although the write
    /// took effect.
    pub(crate) fn holds(&self, digest: &StoredDigest) -> bool {
        self.newest.digest == *digest
            || self.older().is_some_and(|older| older.digest == *digest)
            || self.ended().is_some_and(|ended| ended.digest == *digest)
    }

    /// Returns whether this is the digest of the newest secret.
    pub(crate) fn is_newest(&self, digest: &StoredDigest) -> bool {
        self.newest.digest == *digest
    }

    /// Compares the token's secret with the record's digests and returns the proof that they match.
    ///
    /// The proof borrows this record, so no other record can take its place before
    /// [`Matched::authorize`] consumes the proof.
    ///
    /// # Errors
    ///
    /// - [`Refusal::UnknownId`] if the record has another id than the token.
    /// - [`Refusal::NewerRecord`] if a newer version of this crate wrote the record.
    /// - [`Refusal::WrongSecret`] if no digest matches.
    /// - [`Refusal::UnknownScheme`] or [`Refusal::MissingKey`] if a digest could not be compared and no
    ///   other digest matches.
    ///
    /// # Examples
    ///
    /// The module [`steps`](crate::steps) has an example with all four steps.
    ///
    /// ```
    /// use service_tokens::Refusal;
    /// use service_tokens::steps::{Digests, ParsedToken, Prefix};
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// let issued = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let other = acme.issue(IssueRequest::new("connector", "reports")).await?;
    ///
    /// let ours = [Prefix::new("acme_live")?];
    /// let token = ParsedToken::parse(issued.token.expose_secret(), &ours)?;
    /// assert!(issued.record.matches(&token, &Digests::plain()).is_ok());
    /// let refused = other.record.matches(&token, &Digests::plain()).unwrap_err();
    /// assert_eq!(refused, Refusal::UnknownId);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn matches<'r>(
        &'r self,
        token: &ParsedToken<'_>,
        digests: &'r Digests,
    ) -> Result<Matched<'r>, Refusal> {
        self.matches_hashed(&digests.hash(token), digests)
    }

    // Inlined, because the proof is otherwise moved through memory.
    #[inline(always)]
    pub(crate) fn matches_hashed<'r>(
        &'r self,
        hashed: &HashedSecret<'_>,
        digests: &'r Digests,
    ) -> Result<Matched<'r>, Refusal> {
        if self.id != hashed.id() {
            return Err(Refusal::UnknownId);
        }
        if self.is_newer() {
            return Err(Refusal::NewerRecord);
        }
        let mut refusal = match digests.verify(&self.newest.digest, hashed) {
            Ok(true) => {
                return Ok(Matched::new(
                    self,
                    PresentedSecret::Newest,
                    &self.newest.digest,
                    digests,
                ));
            }
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
                Ok(true) => return Ok(Matched::new(self, presented, digest, digests)),
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
            .field("networks", &self.networks().collect::<Vec<_>>())
            .field("suspensions", &self.suspensions())
            .field("revocation", &self.revocation())
            .field("issued_by", &self.issued_by())
            .field("issuers", &self.issuers())
            .field("metadata", &self.metadata().collect::<Vec<_>>())
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// The secret of a record that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PresentedSecret {
    Newest,
    Older,
    /// The secret that ended last. It is recognised and never accepted.
    Ended,
}

/// The proof that a presented secret is one of this record's secrets.
///
/// [`Record::matches`] creates it, and [`authorize`](Self::authorize) consumes it and returns a
/// [`VerifiedToken`](crate::VerifiedToken).
#[derive(Debug)]
#[must_use = "a match alone verifies nothing: call `authorize`"]
pub struct Matched<'r> {
    record: &'r Record,
    presented: PresentedSecret,
    /// The key of the presented secret's digest, if it has one.
    key: Option<&'r RingKey>,
}

impl<'r> Matched<'r> {
    #[inline]
    fn new(
        record: &'r Record,
        presented: PresentedSecret,
        digest: &StoredDigest,
        digests: &'r Digests,
    ) -> Self {
        Self { record, presented, key: digests.key_of(digest) }
    }

    #[inline]
    pub(crate) fn record(&self) -> &'r Record {
        self.record
    }

    /// Returns whether the presented secret has ended by `now`.
    #[inline]
    pub(crate) fn secret_ended(&self, now: DateTime<Utc>) -> bool {
        match self.presented {
            PresentedSecret::Newest => false,
            PresentedSecret::Older => self.record.overlap(now).is_none(),
            PresentedSecret::Ended => true,
        }
    }

    /// Returns whether the presented secret's digest has a key of the ring.
    #[inline]
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Returns which of the record's secrets was presented.
    pub(crate) fn presented(&self) -> PresentedSecret {
        self.presented
    }

    /// Returns the key of the presented secret's digest, if that key has ended by `now`.
    #[inline]
    pub(crate) fn ended_key(&self, now: DateTime<Utc>) -> Option<KeyId> {
        self.key?.ended(now)
    }
}

#[cfg(test)]
mod tests;
