//! Suspending a token, and resuming it.
//!
//! A suspension prevails over concurrent rotations as a revocation does. Its attempts are
//! [persistent](Retry::Persistent), and other writes of this service end before the token that is being
//! suspended.
//!
//! A resumption ends the suspension that it finds first, and no other. If another suspension takes its place
//! before the write, the resumption fails, because another operator wants the token to stay suspended.

use chrono::{DateTime, Utc};

use super::caller::Caller;
use super::core::TokenService;
use super::records::Retry;
use super::request::{ResumeRequest, SuspendRequest};
use crate::error::ManageError;
use crate::event::Event;
use crate::record::{Field, InvalidField, NewSuspension, Record, Suspension};
use crate::store::TokenStore;
use crate::token::TokenId;

/// The result of a suspension.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suspended {
    /// The record with the suspension that is in effect.
    pub record: Record,
    /// Whether the token was suspended for as long or longer before. Then this call did not change it.
    pub already_suspended: bool,
}

/// The result of resuming a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumed {
    /// The record without a suspension that is in effect.
    pub record: Record,
    /// Whether the token was suspended. Otherwise this call did not change it.
    pub was_suspended: bool,
}

/// The start and the end of a suspension.
#[derive(Debug, Clone, Copy)]
pub(super) struct SuspensionSpan {
    pub(super) since: DateTime<Utc>,
    pub(super) until: Option<DateTime<Utc>>,
}

impl<S: TokenStore> TokenService<S> {
    pub(super) async fn try_suspend(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &SuspendRequest,
    ) -> Result<Suspended, ManageError> {
        let span = self.suspension_span(request, self.now())?;
        self.suspend_for(caller, id, request, span).await
    }

    /// Checks the request, and returns the span of a suspension that begins at this time.
    pub(super) fn suspension_span(
        &self,
        request: &SuspendRequest,
        since: DateTime<Utc>,
    ) -> Result<SuspensionSpan, InvalidField> {
        if let Some(by) = &request.by {
            self.policy.check_text(Field::SuspendedBy, by)?;
        }
        if let Some(reason) = &request.reason {
            self.policy.check_text(Field::Reason, reason)?;
        }
        Ok(SuspensionSpan { since, until: self.policy.suspension_end(request.end, since)? })
    }

    /// Suspends with a request that was checked before.
    pub(super) async fn suspend_for(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &SuspendRequest,
        span: SuspensionSpan,
    ) -> Result<Suspended, ManageError> {
        self.suspend_if(caller, id, request, span, |_| Ok(())).await
    }

    /// Suspends as [`suspend_for`](Self::suspend_for) does, if the present record passes the check.
    pub(super) async fn suspend_if(
        &self,
        caller: &Caller<'_>,
        id: TokenId,
        request: &SuspendRequest,
        span: SuspensionSpan,
        check: impl Fn(&Record) -> Result<(), ManageError> + Send + Sync,
    ) -> Result<Suspended, ManageError> {
        let new = request.of(span);
        let (mut own, mut guard) = (None, None);
        let record = self
            .records
            .change(Retry::Persistent, caller.owner(), id, |present, lost| {
                // Only after a lost answer may a suspension in the record be this one.
                if !lost {
                    own = None;
                }
                let done = own.is_some() && present.suspension() == own.as_ref();
                if !done {
                    check(present)?;
                }
                if let (Caller::Itself(token, scope), false) = (caller, done) {
                    self.admit(token, present, *scope)?;
                }
                // The earlier time, because a clock that runs ahead must not prevent the suspension of a
                // token that other processes accept.
                let suspended = present
                    .suspend(self.earlier().time, new)
                    .map_err(|denied| ManageError::of_denied(id, denied))?;
                if let Some(suspended) = &suspended {
                    guard.get_or_insert_with(|| self.records.begin_stop(id));
                    own = suspended.suspension().cloned();
                }
                Ok(suspended)
            })
            .await?;
        Ok(Suspended { already_suspended: record.suspension() != own.as_ref(), record })
    }

    pub(super) async fn try_resume(
        &self,
        owner: Option<&str>,
        id: TokenId,
        request: &ResumeRequest,
    ) -> Result<Resumed, ManageError> {
        self.check_resumption(request)?;
        self.resume_selected(owner, id, |_| true).await
    }

    pub(super) fn check_resumption(&self, request: &ResumeRequest) -> Result<(), InvalidField> {
        match &request.by {
            Some(by) => self.policy.check_text(Field::ResumedBy, by),
            None => Ok(()),
        }
    }

    /// Ends the suspension of a token if it is in effect and selected.
    pub(super) async fn resume_selected(
        &self,
        owner: Option<&str>,
        id: TokenId,
        selects: impl Fn(&Suspension) -> bool + Send + Sync,
    ) -> Result<Resumed, ManageError> {
        let mut first: Option<Suspension> = None;
        let record = self
            .records
            .change(Retry::YieldToStop, owner, id, |present, lost| {
                let times = self.times();
                let resumed = present
                    .resume(times.now, times.earlier)
                    .map_err(|denied| ManageError::of_denied(id, denied))?;
                let (Some(resumed), Some(running)) = (resumed, present.suspension()) else {
                    // After a lost answer, this call resumed the token.
                    if !lost {
                        first = None;
                    }
                    return Ok(None);
                };
                match &first {
                    Some(first) if first != running => return Err(ManageError::Contended { id }),
                    Some(_) => {}
                    None if selects(running) => first = Some(running.clone()),
                    None => return Ok(None),
                }
                Ok(Some(resumed))
            })
            .await?;
        Ok(Resumed { record, was_suspended: first.is_some() })
    }
}

impl SuspendRequest {
    /// Returns the suspension of this request.
    pub(super) fn of(&self, span: SuspensionSpan) -> NewSuspension<'_> {
        NewSuspension {
            since: span.since,
            until: span.until,
            by: self.by.as_deref(),
            reason: self.reason.as_deref(),
        }
    }

    /// Returns the event of a successful suspension.
    pub(super) fn suspended_event(
        &self,
        suspended: &Suspended,
        on_behalf_of: Option<TokenId>,
    ) -> Event {
        let (id, owner) = (suspended.record.id(), suspended.record.owner().to_owned());
        if suspended.already_suspended {
            return Event::AlreadySuspended { id, owner, on_behalf_of };
        }
        let until = suspended.record.suspension().and_then(|suspension| suspension.until);
        let (by, reason) = (self.by.clone(), self.reason.clone());
        Event::Suspended { id, owner, until, by, reason, on_behalf_of }
    }
}

impl ResumeRequest {
    /// Returns the event of a successful resumption.
    pub(super) fn resumed_event(&self, resumed: &Resumed) -> Event {
        let (id, owner) = (resumed.record.id(), resumed.record.owner().to_owned());
        if resumed.was_suspended {
            Event::Resumed { id, owner, by: self.by.clone() }
        } else {
            Event::NotSuspended { id, owner }
        }
    }
}
