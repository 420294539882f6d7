//! Issuing a token.

use chrono::{DateTime, Utc};

use super::audit::Audit;
use super::caller::{CallingToken, Issuer};
use super::core::TokenService;
use super::issue_gate::IssuePermit;
use super::owner_limit::Place;
use super::request::IssueRequest;
use crate::clock::whole_micros;
use crate::digest::StoredDigest;
use crate::error::ManageError;
use crate::event::Event;
use crate::network::{InvalidNetworks, Network, NetworkSet, NetworksRef};
use crate::record::{Details, Field, InvalidField, NewRecord, Record, Rule};
use crate::secret::Secret;
use crate::store::TokenStore;
use crate::token::{Token, TokenId};

/// The largest distance between the time in a chosen id and the time of the service or its clock.
const ID_TOLERANCE_MILLIS: u64 = 3_600_000;

/// A new token and its record, as returned by an issue or a rotation.
#[derive(Debug)]
#[must_use = "the token is shown once: it cannot be read again"]
#[non_exhaustive]
pub struct Issued {
    /// The token. The store does not have its secret, so it cannot be read again.
    pub token: Token,
    /// The record in the store.
    pub record: Record,
}

/// A token that passed all checks and is not stored yet.
pub(super) struct NewToken<'s> {
    pub(super) permit: IssuePermit<'s>,
    /// The place in the owner's limit, if the policy has one.
    pub(super) place: Option<Place<'s>>,
    pub(super) secret: Secret,
    pub(super) digest: StoredDigest,
    pub(super) record: Record,
}

impl<S: TokenStore> TokenService<S> {
    /// Issues a token. A pause of issuing waits until the returned permit is dropped.
    pub(super) async fn try_issue(
        &self,
        issuer: &Issuer<'_>,
        request: &IssueRequest,
        audit: &mut Audit<'_>,
    ) -> Result<(Issued, IssuePermit<'_>), ManageError> {
        let NewToken { permit, mut place, secret, digest, record } =
            match self.prepare(issuer, request).await {
                Ok(new) => new,
                Err(refused) => {
                    return Err(self.unless_issued_before(issuer, request, refused).await);
                }
            };
        let id = record.id();
        audit.set_new_id(id);
        if let Some(place) = &mut place {
            place.begin_insert();
        }
        let inserted = self.core.records.insert(record, &digest).await;
        if let Some(mut place) = place {
            place.end_insert(&inserted);
        }
        let record = inserted?;
        let token = Token::assemble(&self.core.prefixes[0], id, &secret);
        Ok((Issued { token, record }, permit))
    }

    /// Returns [`ManageError::Exists`] instead of the refusal if the owner has a token with the chosen
    /// id.
    ///
    /// A repeated request must learn that its token exists, even if it would be refused by now. The
    /// type may have been removed or retired, issuing may have been paused, or this token may be the owner's last
    /// allowed one.
    pub(super) async fn unless_issued_before(
        &self,
        issuer: &Issuer<'_>,
        request: &IssueRequest,
        refused: ManageError,
    ) -> ManageError {
        let Some(id) = request.id else { return refused };
        match self.core.records.find(id).await {
            Ok(Some(found)) if found.record.owner() == issuer.owner() => ManageError::Exists { id },
            Ok(_) => refused,
            Err(error) => error.into(),
        }
    }

    /// Checks everything that has to be checked before a token exists.
    pub(super) async fn prepare(
        &self,
        issuer: &Issuer<'_>,
        request: &IssueRequest,
    ) -> Result<NewToken<'_>, ManageError> {
        let permit = self.core.issue_gate.enter()?;
        let now = self.now();
        let (owner, calling) = (issuer.owner(), issuer.calling_token());
        self.check_texts(owner, request)?;
        let networks = networks_below(request.networks.as_deref(), calling)?;
        let token_type = self
            .core
            .rules
            .types()
            .get(&request.token_type)
            .ok_or(Field::Type.breaks(Rule::Unknown))?;
        if token_type.limits().retired {
            return Err(Field::Type.breaks(Rule::Retired).into());
        }
        if token_type.limits().require_networks && networks.is_none() {
            return Err(Field::Networks.breaks(Rule::NetworksRequired).into());
        }
        let policy = self.core.policy.for_type(token_type);
        let present = token_type.scopes();
        if let Some(requested) = &request.scopes {
            if requested.as_scopes().is_empty() {
                return Err(Field::Scopes.breaks(Rule::NoEntries).into());
            }
            if !present.contains(requested.as_scopes()) {
                return Err(Field::Scopes.breaks(Rule::NotContained).into());
            }
        }
        let scopes = request.scopes.as_ref().map_or(present, |requested| requested.as_scopes());
        if calling.is_some_and(|calling| !calling.token.scopes().contains(scopes)) {
            return Err(Field::Scopes.breaks(Rule::ExceedsCallerScopes).into());
        }
        let id = match request.id {
            Some(id) => recent_v7(id, [now, self.core.clock.reading()])?,
            None => TokenId::generate(now, &*self.core.random)?,
        };
        let latest = calling.and_then(|calling| policy.latest_below(calling.token.expires_at()));
        let expires_at = policy.end_until(request.expiry, now, latest)?;
        let secret = Secret::generate(&*self.core.random)?;
        let digest = self.core.digests.make(id, secret.characters(), self.core.prefixes[0].tag());
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
            issuers: calling.map_or(&[], |calling| &calling.lineage),
            metadata: &request.metadata,
            networks: networks.as_ref(),
            imported_at: None,
        })?;
        let place = self.take_place(owner, id).await?;
        Ok(NewToken { permit, place, secret, digest, record })
    }

    fn check_texts(&self, owner: &str, request: &IssueRequest) -> Result<(), InvalidField> {
        self.core.policy.check_text(Field::Owner, owner)?;
        self.core.policy.check_text(Field::IssuedTo, &request.issued_to)?;
        if let Some(by) = &request.issued_by {
            self.core.policy.check_text(Field::IssuedBy, by)?;
        }
        self.core.policy.check_metadata(request.metadata.iter())
    }
}

impl IssueRequest {
    /// Returns the event of a successful issue.
    pub(super) fn issued_event(&self, issued: &Issued, on_behalf_of: Option<TokenId>) -> Event {
        Event::Issued {
            id: issued.record.id(),
            owner: issued.record.owner().to_owned(),
            token_type: self.token_type.clone(),
            issued_to: self.issued_to.clone(),
            by: self.issued_by.clone(),
            on_behalf_of,
        }
    }
}

/// Returns the networks of a new token. They are within those of the calling token, which it inherits if
/// the request names none.
pub(super) fn networks_below(
    requested: Option<&[Network]>,
    calling: Option<&CallingToken>,
) -> Result<Option<NetworkSet>, InvalidField> {
    let issuer = calling.and_then(|calling| calling.token.details()).and_then(Details::networks);
    let Some(requested) = requested else { return Ok(issuer.map(NetworksRef::to_set)) };
    let networks = requested_networks(requested)?;
    if issuer.is_some_and(|issuer| !issuer.contains(networks.borrowed())) {
        return Err(Field::Networks.breaks(Rule::ExceedsCallerNetworks));
    }
    Ok(Some(networks))
}

/// Returns the networks of a request as a set.
pub(super) fn requested_networks(networks: &[Network]) -> Result<NetworkSet, InvalidField> {
    NetworkSet::new(networks.iter().copied()).map_err(|invalid| match invalid {
        InvalidNetworks::TooMany { max } => Field::Networks.breaks(Rule::TooMany { max }),
        _ => Field::Networks.breaks(Rule::NoEntries),
    })
}

/// Checks that a chosen id is a UUID of version 7 with a time near one of these times.
///
/// They are the service's time and the reading of its clock. The two differ after the clock ran ahead and
/// was corrected. Then clients with a right clock send ids near the reading, and
/// [`TokenService::new_id`] returns ids of the service's time.
fn recent_v7(id: TokenId, times: [DateTime<Utc>; 2]) -> Result<TokenId, InvalidField> {
    let uuid = id.to_uuid();
    if uuid.get_version_num() != 7 || uuid.get_variant() != uuid::Variant::RFC4122 {
        return Err(Field::Id.breaks(Rule::NotVersion7));
    }
    // The first 48 bits are milliseconds since 1970 (RFC 9562 §5.7).
    let millis = i64::try_from(uuid.as_u128() >> 80).unwrap_or(i64::MAX);
    let is_near =
        |time: &DateTime<Utc>| time.timestamp_millis().abs_diff(millis) <= ID_TOLERANCE_MILLIS;
    if times.iter().any(is_near) { Ok(id) } else { Err(Field::Id.breaks(Rule::NotRecent)) }
}
