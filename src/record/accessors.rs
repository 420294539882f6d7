//! Read access to the fields of a record.

use chrono::{DateTime, Utc};

use super::{Details, Overlap, RECORD_FORMAT, Record, Revocation, Suspension, Texts};
use crate::digest::{KeyId, StoredDigest};
use crate::network::Networks;
use crate::scope::Scopes;
use crate::token::TokenId;

impl Record {
    /// Returns the public id of the token.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// Returns the tenant or account that the token belongs to.
    #[inline]
    pub fn owner(&self) -> &str {
        self.texts.owner()
    }

    /// Returns the name of the token's type.
    #[inline]
    pub fn token_type(&self) -> &str {
        self.texts.token_type()
    }

    /// Returns the scopes that the token was issued with. Its effective scopes are the intersection
    /// with those of its type.
    #[inline]
    pub fn scopes(&self) -> Scopes<'_> {
        self.texts.scopes()
    }

    /// Returns the label for people, which names the person or program that received the token.
    #[inline]
    pub fn issued_to(&self) -> &str {
        self.texts.issued_to()
    }

    #[inline]
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Returns the time of issue.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Returns the time from which the token is accepted (inclusive).
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        self.not_before
    }

    /// Returns the expiry time (exclusive), or `None` if the token never expires. At this time the token is
    /// already refused.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }

    /// Returns the time at which the newest secret was created, which is the time of the issue, of the import
    /// or of the latest rotation.
    ///
    /// Each rotation has a later time than the one before, by at least 2 ms, even if the clock has not
    /// advanced. So the time also names the secret if a client rounds it to milliseconds.
    pub fn secret_created_at(&self) -> DateTime<Utc> {
        self.newest.created_at
    }

    /// Returns the revocation, if the token is revoked.
    pub fn revocation(&self) -> Option<&Revocation> {
        self.rare.as_ref()?.revocation.as_ref()
    }

    /// Returns the suspensions that were not ended by resuming the token, earliest first. There are at most 8.
    ///
    /// Some or all of them may have passed their [`until`](Suspension::until). They stay until the token is
    /// resumed.
    #[inline]
    pub fn suspensions(&self) -> &[Suspension] {
        self.rare.as_ref().map_or(&[], |rare| &rare.suspensions)
    }

    /// Returns the networks from which the token is accepted, in ascending order. Without networks the
    /// token is accepted from any address.
    pub fn networks(&self) -> Networks<'_> {
        Details::networks_of(self.details()).iter()
    }

    #[inline]
    pub(crate) fn details(&self) -> Option<&Details> {
        self.rare.as_ref()?.details.as_ref()
    }

    /// Returns the person or program that made the newest secret, named by the embedder. Before the first
    /// rotation it is the same as [`issued_by`](Self::issued_by).
    pub fn secret_created_by(&self) -> Option<&str> {
        if self.newest.created_at == self.created_at || self.newest.digest.is_imported() {
            return self.issued_by();
        }
        self.rare.as_ref()?.secret_by.as_deref()
    }

    /// Returns the calling token that made the newest secret, if a rotation
    /// [on behalf of](crate::TokenService::on_behalf_of) a token made it.
    pub fn secret_created_on_behalf_of(&self) -> Option<TokenId> {
        self.rare.as_ref()?.secret_on_behalf_of
    }

    /// Returns the creation time of the secret with which the token made its own newest secret, if it did.
    pub(crate) fn secret_made_with(&self) -> Option<DateTime<Utc>> {
        self.rare.as_ref()?.secret_made_with
    }

    /// Returns the time at which the present [`expires_at`](Self::expires_at) was set, which is the time
    /// of the issue or import, of a rotation, or of an amendment.
    pub fn end_set_at(&self) -> DateTime<Utc> {
        self.rare.as_ref().and_then(|rare| rare.end_set_at).unwrap_or(self.created_at)
    }

    /// Returns whether the token was imported from an older system. This is a property of its id.
    pub fn is_imported(&self) -> bool {
        self.id.is_imported()
    }

    /// Returns whether the token still has the text of the older system as an accepted secret at `now`. That is
    /// so until its first rotation, and then until the overlap ends.
    ///
    /// It does not depend on the [state](Self::state). When no record has such a secret, the
    /// [import form](crate::TokenServiceBuilder::import_form) can be removed.
    pub fn has_imported_secret(&self, now: DateTime<Utc>) -> bool {
        let older = self.older().filter(|older| now < older.latest_end);
        self.newest.digest.is_imported() || older.is_some_and(|older| older.digest.is_imported())
    }

    /// Returns the overlap of two secrets at `now`, or `None` if the record has only one secret that has
    /// not ended.
    ///
    /// It does not depend on the [state](Self::state). A revoked token can have an overlap, and so can an
    /// expired one, whose [`Overlap::ends_at`] is then not after `now`. Neither secret of such a token is
    /// accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::RotateRequest;
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let hour = Duration::from_secs(3_600);
    /// let record = acme.rotate(id, RotateRequest::with_overlap(hour)).await?.record;
    ///
    /// let overlap = record.overlap(service.now()).unwrap();
    /// assert!(!overlap.ends_on_first_use);
    /// // The end is exclusive.
    /// assert!(record.overlap(overlap.ends_at).is_none());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn overlap(&self, now: DateTime<Utc>) -> Option<Overlap> {
        let older = self.older()?;
        (now < older.latest_end).then(|| Overlap {
            ends_at: self.expires_at.map_or(older.latest_end, |end| end.min(older.latest_end)),
            ends_on_first_use: older.ends_on_first_use,
            older_created_at: older.created_at,
        })
    }

    /// Returns the person or program that issued the token, named by the embedder.
    pub fn issued_by(&self) -> Option<&str> {
        self.rare.as_ref()?.issued_by.as_deref()
    }

    /// Returns the tokens on whose behalf this token was issued or rotated, and their issuers,
    /// nearest first. The holder of one of them may know this token.
    pub fn issuers(&self) -> &[TokenId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.issuers)
    }

    /// Returns the embedder's own entries, sorted by key.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.details().into_iter().flat_map(Details::metadata)
    }

    /// Returns the keys of the digests that can still match at `now`. If no record needs a key, it can be
    /// removed from the [`KeyRing`](crate::KeyRing).
    ///
    /// The result is empty for plain digests, and for a record in a newer format, whose keys are unknown.
    pub fn key_ids(&self, now: DateTime<Utc>) -> impl Iterator<Item = KeyId> {
        let older = self.older().filter(|older| now < older.latest_end);
        [Some(&self.newest.digest), older.map(|older| &older.digest)]
            .into_iter()
            .flatten()
            .filter_map(StoredDigest::key_id)
    }

    /// Returns the version of the encoding. It is at most [`RECORD_FORMAT`] unless a newer version of
    /// this crate wrote the record.
    pub fn format(&self) -> u8 {
        self.format
    }

    /// Returns whether a newer version of this crate wrote the record. Such a record is refused in
    /// verification and never replaced, because it may contain a restriction that this version cannot
    /// read.
    #[inline]
    pub fn is_newer(&self) -> bool {
        self.format > RECORD_FORMAT
    }
}
