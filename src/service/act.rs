//! The acts that change something, and what becomes of them when an answer is lost.

use chrono::{DateTime, Utc};

use super::TokenService;
use super::actor::{Actor, Issuer};
use super::changes::Persistence;
use super::issuing::Inside;
use super::policy::ends_by;
use super::request::{IssueRequest, RevokeRequest, RotateRequest};
use super::underway::Underway;
use crate::clock::whole_micros;
use crate::digest::StoredDigest;
use crate::error::ManageError;
use crate::event::Operation;
use crate::record::{Field, InvalidField, NewRecord, OlderEnds, Record, Rotation, Rule};
use crate::secret::Secret;
use crate::store::{Filter, ListRequest, MAX_PAGE_LEN, States, StoredRecord, TokenStore};
use crate::token::{Token, TokenId};

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
    pub already_revoked: bool,
}

impl<S: TokenStore> TokenService<S> {
    pub(super) fn begin(&self, act: Operation, id: Option<TokenId>) -> Underway<'_> {
        Underway::new(&self.events, act, id)
    }

    /// Whoever stops issuing waits until what comes beside the token is dropped.
    pub(super) async fn try_issue(
        &self,
        issuer: &Issuer<'_>,
        request: &IssueRequest,
        act: &mut Underway<'_>,
    ) -> Result<(Issued, Inside<'_>), ManageError> {
        let NewToken { inside, secret, digest, record } = match self.prepare(issuer, request).await
        {
            Ok(new) => new,
            Err(refused) => return Err(self.unless_made_before(issuer, request, refused).await),
        };
        let id = record.id();
        act.making(id);
        let record = self.insert(record, &digest).await?;
        let token = Token::assemble(&self.prefixes[0], id, &secret);
        Ok((Issued { token, record }, inside))
    }

    /// A retry must learn that its token exists, also where it is refused by now: the type may have gone
    /// since, issuing been stopped, the last place been taken by that very token.
    async fn unless_made_before(
        &self,
        issuer: &Issuer<'_>,
        request: &IssueRequest,
        refused: ManageError,
    ) -> ManageError {
        let Some(id) = request.id else { return refused };
        match self.find(id).await {
            Ok(Some(found)) if found.record.owner() == issuer.owner() => ManageError::Exists { id },
            Ok(_) => refused,
            Err(error) => error.into(),
        }
    }

    /// All that is asked before there is a token.
    async fn prepare(
        &self,
        issuer: &Issuer<'_>,
        request: &IssueRequest,
    ) -> Result<NewToken<'_>, ManageError> {
        let inside = self.issuing.enter()?;
        let now = self.now();
        let (owner, acting) = (issuer.owner(), issuer.acting());
        self.check_texts(owner, request)?;
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
            return Err(Field::Scopes.breaks(Rule::ExceedsCallerScopes).into());
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
            owner,
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
        self.check_active_limit(owner, now).await?;
        Ok(NewToken { inside, secret, digest, record })
    }

    fn check_texts(&self, owner: &str, request: &IssueRequest) -> Result<(), InvalidField> {
        self.policy.check_text(Field::Owner, owner)?;
        self.policy.check_text(Field::IssuedTo, &request.issued_to)?;
        if let Some(by) = &request.issued_by {
            self.policy.check_text(Field::IssuedBy, by)?;
        }
        self.policy.check_metadata(request.metadata.iter())
    }

    async fn check_active_limit(&self, owner: &str, now: DateTime<Utc>) -> Result<(), ManageError> {
        let Some(most) = self.policy.max_active_per_owner else { return Ok(()) };
        let live_ones = Filter::new().owner(owner).states(States::LIVE);
        let mut request = ListRequest::from(live_ones).limit(most.clamp(1, MAX_PAGE_LEN));
        let mut live = 0;
        loop {
            let page = self.store.list(&request, now).await?;
            let matching = |stored: &&StoredRecord| {
                request.filter.matches(&stored.record, stored.last_used, now)
            };
            live += page.items.iter().filter(matching).count();
            if live >= most {
                return Err(ManageError::TooManyActive { max: most });
            }
            match page.next {
                Some(next) => request = request.after(next),
                None => return Ok(()),
            }
        }
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
            .change(Persistence::StepsAside, actor.owner(), id, |present, _| {
                if present.holds(&digest) {
                    return Ok(None);
                }
                let latest = self.may_rotate(actor, present)?;
                if let (Some(start), Some(Some(end))) = (present.not_before(), expires_at)
                    && end <= start
                {
                    return Err(Field::ExpiresAt.breaks(Rule::NotAfterNotBefore).into());
                }
                if let Some(made_at) = request.if_secret_created_at {
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
        self.revoke_with(actor, id, request).await
    }

    /// Revokes with words that the policy has nothing to say to: it is for callers'.
    pub(super) async fn revoke_with(
        &self,
        actor: &Actor<'_>,
        id: TokenId,
        request: &RevokeRequest,
    ) -> Result<Revoked, ManageError> {
        let now = self.now();
        let (mut ours, mut underway) = (None, None);
        let record = self
            .change(Persistence::Persists, actor.owner(), id, |present, lost| {
                // Somebody else may have revoked in the same instant with the same words: only a lost
                // answer leaves open whose it is.
                if !lost {
                    ours = None;
                }
                let done = ours.is_some() && present.revocation() == ours.as_ref();
                if let (Actor::Itself(token, scope), false) = (actor, done) {
                    self.admit(token, present, *scope)?;
                }
                let revoked =
                    present.revoke(now, request.by.as_deref(), request.reason.as_deref())?;
                if let Some(revoked) = &revoked {
                    underway.get_or_insert_with(|| self.revoking.begin(id));
                    ours = revoked.revocation().cloned();
                }
                Ok(revoked)
            })
            .await?;
        Ok(Revoked { already_revoked: record.revocation() != ours.as_ref(), record })
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
}

/// A token that may come into being.
struct NewToken<'s> {
    inside: Inside<'s>,
    secret: Secret,
    digest: StoredDigest,
    record: Record,
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
