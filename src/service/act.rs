//! The acts that change something, and what becomes of them when an answer is lost.

use chrono::{DateTime, Utc};

use super::TokenService;
use super::actor::{Acting, Actor};
use super::kept::Kept;
use super::policy::{ends_by, whole_micros};
use super::request::{IssueRequest, RevokeRequest, RotateRequest};
use super::underway::Underway;
use crate::digest::StoredDigest;
use crate::error::{ManageError, other_record};
use crate::event::Act;
use crate::record::{Field, InvalidField, NewRecord, OlderEnds, Record, Rotation, Rule};
use crate::secret::Secret;
use crate::store::{Query, States, StoreError, Stored, TokenStore, Version};
use crate::token::{Token, TokenId};

/// How often an act is tried when others change the same token or answers are lost.
pub(super) const ATTEMPTS: usize = 16;

/// How far a chosen id's time may be from now.
const ID_TOLERANCE_MILLIS: u64 = 3_600_000;

/// A token, shown this once, and its record.
#[derive(Debug)]
#[must_use = "the token is shown once: it cannot be read again"]
#[non_exhaustive]
pub struct Issued {
    /// The token.
    pub token: Token,
    /// What is stored of it.
    pub record: Record,
}

/// A revoked token's record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revoked {
    /// The record, with the revocation that stands.
    pub record: Record,
    /// Whether it had been revoked before: nothing changed then.
    pub already: bool,
}

impl<S: TokenStore> TokenService<S> {
    /// Issues a token.
    ///
    /// A lost answer of the store is resolved by reading again: an error means that there is no new
    /// token, but for [`ManageError::Indeterminate`], which names the id.
    ///
    /// # Errors
    ///
    /// - [`ManageError::Invalid`] names the field and the rule it breaks: a type that is unknown,
    ///   scopes beyond the type's, a text that is empty or too long, an end that is not after now
    ///   and after not-before or beyond the policy, a chosen id that is no recent version-7 UUID.
    /// - [`ManageError::TooManyActive`] if the policy allows the owner no more.
    /// - [`ManageError::Exists`] if there is a token with the chosen id.
    /// - [`ManageError::IssuingStopped`] while [issuing is stopped](Self::stop_issuing).
    /// - [`ManageError::Random`] if the random source failed.
    /// - [`ManageError::Store`] if the store failed.
    pub async fn issue(&self, request: IssueRequest) -> Result<Issued, ManageError> {
        let mut act = self.begin(Act::Issue, request.id);
        let outcome = self.try_issue(&request, None, &mut act).await;
        act.end(outcome, |issued| request.issued(issued, None))
    }

    pub(super) fn begin(&self, act: Act, id: Option<TokenId>) -> Underway<'_> {
        Underway::new(&self.events, act, id)
    }

    pub(super) async fn try_issue(
        &self,
        request: &IssueRequest,
        acting: Option<&Acting>,
        act: &mut Underway<'_>,
    ) -> Result<Issued, ManageError> {
        let _inside = self.issuing.enter()?;
        let now = self.now();
        self.check_texts(request)?;
        if acting.is_some_and(|acting| acting.token.owner() != request.owner) {
            return Err(Field::Owner.breaks(Rule::NotActings).into());
        }
        let present =
            self.types.get(&request.token_type).ok_or(Field::Type.breaks(Rule::Unknown))?.scopes();
        if let Some(asked) = &request.scopes {
            if asked.as_scopes().is_empty() {
                return Err(Field::Scopes.breaks(Rule::Empty).into());
            }
            if !present.contains(asked.as_scopes()) {
                return Err(Field::Scopes.breaks(Rule::NotContained).into());
            }
        }
        let scopes = request.scopes.as_ref().map_or(present, |asked| asked.as_scopes());
        if acting.is_some_and(|acting| !acting.token.scopes().contains(scopes)) {
            return Err(Field::Scopes.breaks(Rule::BeyondActing).into());
        }
        let id = match request.id {
            Some(id) => recent_v7(id, now)?,
            None => TokenId::generate(now, &*self.random)?,
        };
        let latest = acting.and_then(|acting| self.policy.latest_below(acting.token.expires_at()));
        let expires_at = self.policy.end_until(request.expiry, now, latest)?;
        let secret = Secret::generate(&*self.random)?;
        let digest = self.digests.make(id, secret.characters());
        let record = Record::new(&NewRecord {
            id,
            owner: &request.owner,
            token_type: &request.token_type,
            issued_to: &request.issued_to,
            scopes: &scopes.to_set(),
            created_at: now,
            not_before: request.not_before.map(whole_micros),
            expires_at,
            digest,
            issued_by: request.issued_by.as_deref(),
            issuers: acting.map_or(&[], |acting| &acting.lineage),
            metadata: &request.metadata,
        })?;
        self.check_active_limit(request, now).await?;
        act.making(id);
        let record = self.insert(record, &digest).await?;
        Ok(Issued { token: Token::assemble(&self.prefixes[0], id, &secret), record })
    }

    fn check_texts(&self, request: &IssueRequest) -> Result<(), InvalidField> {
        self.policy.check_text(Field::Owner, &request.owner)?;
        self.policy.check_text(Field::IssuedTo, &request.issued_to)?;
        if let Some(by) = &request.issued_by {
            self.policy.check_text(Field::IssuedBy, by)?;
        }
        self.policy.check_metadata(request.metadata.iter())
    }

    async fn check_active_limit(
        &self,
        request: &IssueRequest,
        now: DateTime<Utc>,
    ) -> Result<(), ManageError> {
        let Some(most) = self.policy.active_limit() else { return Ok(()) };
        let mut query = Query::new().owner(&*request.owner).states(States::LIVE).limit(most.max(1));
        let mut live = 0;
        loop {
            let page = self.store.list(&query, now).await?;
            let matching = |stored: &&Stored| query.matches(&stored.record, stored.last_used, now);
            live += page.items.iter().filter(matching).count();
            if live >= most {
                // A retry must learn that its token exists, also where that took the last place.
                return Err(match request.id {
                    Some(id) if self.find(id).await?.is_some() => ManageError::Exists { id },
                    _ => ManageError::TooManyActive { most },
                });
            }
            match page.next {
                Some(next) => query = query.after(next),
                None => return Ok(()),
            }
        }
    }

    /// Inserts until it is known whether the record is in. A record under its id that holds its
    /// digest is this one: nobody else knows the secret.
    async fn insert(&self, record: Record, digest: &StoredDigest) -> Result<Record, ManageError> {
        let id = record.id();
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let inserted = {
                let _fence = self.fence(id);
                self.store.insert(&record).await
            };
            match inserted {
                Ok(_) => return Ok(record),
                Err(StoreError::Exists) if lost.is_none() => {
                    return Err(ManageError::Exists { id });
                }
                Err(StoreError::Exists) => {}
                Err(error @ StoreError::Indeterminate { .. }) => lost = Some(error),
                Err(error) => return Err(unresolved(id, lost, error)),
            }
            match self.find(id).await {
                Ok(Some(stored)) if stored.record.holds(digest) => return Ok(stored.record),
                Ok(Some(_)) => return Err(ManageError::Exists { id }),
                // Not in: inserting the same record again cannot make a second token.
                Ok(None) => {}
                Err(error) => return Err(unresolved(id, lost, error)),
            }
        }
        Err(exhausted(id, lost))
    }

    pub(super) async fn find(&self, id: TokenId) -> Result<Option<Stored>, StoreError> {
        found(&*self.store, id).await
    }

    pub(super) async fn try_rotate(
        &self,
        actor: &Actor<'_>,
        id: TokenId,
        request: &RotateRequest,
    ) -> Result<Issued, ManageError> {
        if let Some(by) = &request.by {
            self.policy.check_text(Field::RotatedBy, by)?;
        }
        let now = self.now();
        let older_ends = self.policy.older_end(request.older_ends, now)?;
        let expires_at = request.expiry.map(|asked| self.policy.end(asked, now)).transpose()?;
        let secret = Secret::generate(&*self.random)?;
        let digest = self.digests.make(id, secret.characters());
        let rotation = Rotation {
            digest,
            older_ends: match older_ends {
                None => OlderEnds::Now,
                Some(latest) if request.on_first_use => OlderEnds::OnFirstUse { latest },
                Some(end) => OlderEnds::At(end),
            },
            replaces: request.replaces,
            expires_at,
        };
        let record = self
            .change(actor.owner(), id, |present| {
                if present.holds(&digest) {
                    return Ok(None);
                }
                let latest = self.may_rotate(actor, present)?;
                if let (Some(start), Some(Some(end))) = (present.not_before(), expires_at)
                    && end <= start
                {
                    return Err(Field::ExpiresAt.breaks(Rule::NotAfterNotBefore).into());
                }
                if let Some(made_at) = request.if_rotated_at {
                    present.expect_newest(made_at)?;
                }
                let rotated = present.rotate(now, &rotation)?;
                ends_by(rotated.expires_at(), latest)?;
                Ok(Some(rotated.below(actor.lineage())?))
            })
            .await?;
        Ok(Issued { token: Token::assemble(&self.prefixes[0], id, &secret), record })
    }

    pub(super) async fn try_revoke(
        &self,
        actor: &Actor<'_>,
        id: TokenId,
        request: &RevokeRequest,
    ) -> Result<Revoked, ManageError> {
        self.check_revocation(request)?;
        let now = self.now();
        let mut ours = None;
        let record = self
            .change(actor.owner(), id, |present| {
                let done = ours.is_some() && present.revocation() == ours.as_ref();
                if let (Actor::Itself(token, scope), false) = (actor, done) {
                    self.admit(token, present, *scope)?;
                }
                let revoked =
                    present.revoke(now, request.by.as_deref(), request.reason.as_deref())?;
                if let Some(revoked) = &revoked {
                    ours = revoked.revocation().cloned();
                }
                Ok(revoked)
            })
            .await?;
        Ok(Revoked { already: record.revocation() != ours.as_ref(), record })
    }

    pub(super) fn check_revocation(&self, request: &RevokeRequest) -> Result<(), ManageError> {
        if let Some(by) = &request.by {
            self.policy.check_text(Field::RevokedBy, by)?;
        }
        if let Some(reason) = &request.reason {
            self.policy.check_text(Field::Reason, reason)?;
        }
        Ok(())
    }

    /// Changes a record by compare-and-swap until it is known whether the change is in. `act` gives
    /// the changed record, or `None` if nothing is to do (any more); it is asked again with the
    /// present record after a conflict and after a lost answer.
    async fn change(
        &self,
        owner: Option<&str>,
        id: TokenId,
        mut act: impl FnMut(&Record) -> Result<Option<Record>, ManageError> + Send,
    ) -> Result<Record, ManageError> {
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let step = async {
                let present = owned(self.find(id).await?, owner, id)?;
                let changed = act(&present.record)?;
                Ok::<_, ManageError>((present, changed))
            };
            let (present, changed) = match step.await {
                Ok((present, None)) => return Ok(present.record),
                Ok((present, Some(changed))) => (present, changed),
                Err(error) => return Err(unresolved(id, lost, error)),
            };
            match self.replace(&changed, present.version).await {
                Ok(_) => return Ok(changed),
                Err(StoreError::Conflict) => {}
                Err(error @ StoreError::Indeterminate { .. }) => lost = Some(error),
                Err(error) => return Err(unresolved(id, lost, error)),
            }
        }
        Err(exhausted(id, lost))
    }

    pub(super) async fn replace(
        &self,
        record: &Record,
        expected: Version,
    ) -> Result<Version, StoreError> {
        let _fence = self.fence(record.id());
        self.store.replace(record, expected).await
    }

    pub(super) async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let _fence = self.fence(id);
        self.store.remove(id, expected).await
    }

    pub(super) fn fence(&self, id: TokenId) -> Option<Fence<'_>> {
        self.kept.as_deref().map(|kept| Fence { kept, id })
    }
}

/// Around a change: when it ends, whatever the answer and also if the caller gives up waiting, what is
/// kept of the record no longer counts.
pub(super) struct Fence<'k> {
    kept: &'k Kept,
    id: TokenId,
}

impl Drop for Fence<'_> {
    fn drop(&mut self) {
        self.kept.forget(self.id);
    }
}

/// The record, if it is there and, for a bound view, the owner's: another's does not exist.
pub(super) fn owned(
    found: Option<Stored>,
    owner: Option<&str>,
    id: TokenId,
) -> Result<Stored, ManageError> {
    found
        .filter(|stored| owner.is_none_or(|owner| stored.record.owner() == owner))
        .ok_or(ManageError::NotFound { id })
}

/// The record under an id; never another's.
pub(super) async fn found<S: TokenStore + ?Sized>(
    store: &S,
    id: TokenId,
) -> Result<Option<Stored>, StoreError> {
    match store.find(id).await? {
        Some(stored) if stored.record.id() != id => Err(other_record()),
        found => Ok(found),
    }
}

/// A failure after an answer was lost leaves open whether that change is in, or was until others
/// changed the record again.
pub(super) fn unresolved(
    id: TokenId,
    lost: Option<StoreError>,
    error: impl Into<ManageError>,
) -> ManageError {
    match lost {
        Some(source) => ManageError::Indeterminate { id, source },
        None => error.into(),
    }
}

pub(super) fn exhausted(id: TokenId, lost: Option<StoreError>) -> ManageError {
    match lost {
        Some(source) => ManageError::Indeterminate { id, source },
        None => ManageError::Contended { id },
    }
}

fn recent_v7(id: TokenId, now: DateTime<Utc>) -> Result<TokenId, InvalidField> {
    let uuid = id.to_uuid();
    if uuid.get_version_num() != 7 || uuid.get_variant() != uuid::Variant::RFC4122 {
        return Err(Field::Id.breaks(Rule::NotVersion7));
    }
    // The first 48 bits are milliseconds since 1970 (RFC 9562 §5.7).
    let millis = i64::try_from(uuid.as_u128() >> 80).unwrap_or(i64::MAX);
    if now.timestamp_millis().abs_diff(millis) > ID_TOLERANCE_MILLIS {
        return Err(Field::Id.breaks(Rule::NotRecent));
    }
    Ok(id)
}
