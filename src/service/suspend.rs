//! Suspending a token, and resuming it.
//!
//! A suspension prevails over concurrent rotations as a revocation does. Its attempts are
//! [persistent](Retry::Persistent), and other writes of this service end before the token that is being
//! suspended.
//!
//! A resumption ends the suspensions that it finds first, and no other. If a further one that it selects is
//! added before the write, the resumption fails, because another operator wants the token to stay suspended.

use chrono::{DateTime, Utc};

use super::caller::Caller;
use super::core::TokenService;
use super::records::{Retry, Target};
use super::request::{ResumeRequest, SuspendRequest};
use crate::error::ManageError;
use crate::event::Event;
use crate::record::{Field, InvalidField, NewSuspension, Record, Suspension, SuspensionMatch};
use crate::store::TokenStore;
use crate::token::TokenId;

/// The result of a suspension.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suspended {
    /// The record with all its suspensions.
    pub record: Record,
    /// Whether the token had a suspension with the same author and reason that lasts as long or longer. Then
    /// this call did not change it.
    pub already_suspended: bool,
    /// The suspension whose place the new one took. It is a shorter one with the same author and reason, or
    /// the one that ended first of 8. Note it if it must be set again later.
    pub replaced: Option<Suspension>,
}

/// The result of resuming a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumed {
    /// The record without the suspensions that this call ended. The token is still suspended if it has
    /// others.
    pub record: Record,
    /// The suspensions that this call removed from the record, including selected ones that had passed. If it is
    /// empty, the call did not change the token.
    pub ended: Vec<Suspension>,
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
            self.core.policy.check_text(Field::SuspendedBy, by)?;
        }
        if let Some(reason) = &request.reason {
            self.core.policy.check_text(Field::Reason, reason)?;
        }
        Ok(SuspensionSpan { since, until: self.core.policy.suspension_end(request.end, since)? })
    }

    /// Suspends with a request that was checked before.
    pub(super) async fn suspend_for<'b>(
        &self,
        caller: &Caller<'_>,
        target: impl Into<Target<'b>>,
        request: &SuspendRequest,
        span: SuspensionSpan,
    ) -> Result<Suspended, ManageError> {
        let target = target.into();
        self.suspend_if(caller, target, request, span, |_| Ok(())).await
    }

    /// Suspends as [`suspend_for`](Self::suspend_for) does, if the present record passes the check.
    pub(super) async fn suspend_if<'b>(
        &self,
        caller: &Caller<'_>,
        target: impl Into<Target<'b>>,
        request: &SuspendRequest,
        span: SuspensionSpan,
        check: impl Fn(&Record) -> Result<(), ManageError> + Send + Sync,
    ) -> Result<Suspended, ManageError> {
        let target = target.into();
        let id = target.id();
        let displaces = matches!(caller, Caller::Embedder(_));
        let new = request.of(span, displaces);
        let (mut own, mut guard) = (None, None);
        let mut replaced = None;
        let record = self
            .core
            .records
            .change(Retry::Persistent, caller.owner(), target, |present, lost| {
                // Only after a lost answer may a suspension in the record be this one.
                if !lost {
                    (own, replaced) = (None, None);
                }
                let done = own.is_some() && named(present, request) == own.as_ref();
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
                let Some((suspended, taken)) = suspended else { return Ok(None) };
                guard.get_or_insert_with(|| self.core.records.begin_stop(id));
                (own, replaced) = (named(&suspended, request).cloned(), taken);
                Ok(Some(suspended))
            })
            .await?;
        let already_suspended = named(&record, request) != own.as_ref();
        let replaced = replaced.filter(|_| !already_suspended);
        Ok(Suspended { record, already_suspended, replaced })
    }

    pub(super) async fn try_resume(
        &self,
        owner: Option<&str>,
        id: TokenId,
        which: Option<&SuspensionMatch>,
        request: &ResumeRequest,
    ) -> Result<Resumed, ManageError> {
        self.check_resumption(request)?;
        let selects = |suspension: &_| which.is_none_or(|which| which.selects(suspension));
        self.resume_selected(owner, id, selects).await
    }

    pub(super) fn check_resumption(&self, request: &ResumeRequest) -> Result<(), InvalidField> {
        match &request.by {
            Some(by) => self.core.policy.check_text(Field::ResumedBy, by),
            None => Ok(()),
        }
    }

    /// Ends the suspensions of a token that are selected.
    pub(super) async fn resume_selected<'b>(
        &self,
        owner: Option<&str>,
        target: impl Into<Target<'b>>,
        selects: impl Fn(&Suspension) -> bool + Send + Sync,
    ) -> Result<Resumed, ManageError> {
        let target = target.into();
        let id = target.id();
        let mut first: Option<Vec<Suspension>> = None;
        let record = self
            .core
            .records
            .change(Retry::YieldToStop, owner, target, |present, lost| {
                let resumed = present
                    .resume(self.now(), &selects)
                    .map_err(|denied| ManageError::of_denied(id, denied))?;
                let Some((resumed, ended)) = resumed else {
                    // After a lost answer, this call resumed the token.
                    if !lost {
                        first = None;
                    }
                    return Ok(None);
                };
                let found = first.get_or_insert_with(|| ended.clone());
                if ended.iter().any(|suspension| !found.contains(suspension)) {
                    return Err(ManageError::Contended { id });
                }
                Ok(Some(resumed))
            })
            .await?;
        Ok(Resumed { record, ended: first.unwrap_or_default() })
    }
}

/// Returns the suspension with the author and the reason of the request.
fn named<'r>(record: &'r Record, request: &SuspendRequest) -> Option<&'r Suspension> {
    record.suspension_named(request.by.as_deref(), request.reason.as_deref())
}

impl SuspendRequest {
    /// Returns the suspension of this request.
    pub(super) fn of(&self, span: SuspensionSpan, displaces: bool) -> NewSuspension<'_> {
        NewSuspension {
            since: span.since,
            until: span.until,
            by: self.by.as_deref(),
            reason: self.reason.as_deref(),
            displaces,
        }
    }

    /// Returns the event of a successful suspension.
    pub(super) fn suspended_event(
        &self,
        suspended: &Suspended,
        on_behalf_of: Option<TokenId>,
    ) -> Event {
        let (id, owner) = (suspended.record.id(), suspended.record.owner().to_owned());
        let (by, reason) = (self.by.clone(), self.reason.clone());
        if suspended.already_suspended {
            return Event::AlreadySuspended { id, owner, by, reason, on_behalf_of };
        }
        let until = named(&suspended.record, self).and_then(|suspension| suspension.until);
        let replaced = suspended.replaced.clone();
        Event::Suspended { id, owner, until, by, reason, replaced, on_behalf_of }
    }
}

impl ResumeRequest {
    /// Returns the event of a successful resumption.
    pub(super) fn resumed_event(&self, resumed: &Resumed) -> Event {
        let (id, owner) = (resumed.record.id(), resumed.record.owner().to_owned());
        if resumed.ended.is_empty() {
            return Event::NotSuspended { id, owner };
        }
        let (ended, remaining) = (resumed.ended.clone(), resumed.record.suspensions().len());
        Event::Resumed { id, owner, ended, remaining, by: self.by.clone() }
    }
}
