//! The request to report a leaked token.

use chrono::{DateTime, Utc};

use super::{EndOlderRequest, RevokeRequest, SuspendRequest};

/// A report of a leaked token, with the person or program that reports it and the reason. Both are optional.
/// A revocation or suspension that follows has them in its record.
///
/// # Examples
///
/// ```
/// use service_tokens::LeakRequest;
///
/// let request = LeakRequest::new().by("secret scanner").reason("found in a public repository");
/// # let _ = request;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct LeakRequest {
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

impl LeakRequest {
    /// Creates a request without a name and without a reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::LeakRequest;
    ///
    /// assert_eq!(LeakRequest::new(), LeakRequest::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the person or program that reports the leak.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::LeakRequest;
    ///
    /// assert_ne!(LeakRequest::new().by("secret scanner"), LeakRequest::new());
    /// ```
    pub fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets the reason, for example the place where the token was found.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::LeakRequest;
    ///
    /// assert_ne!(LeakRequest::new().reason("in a public repository"), LeakRequest::new());
    /// ```
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Returns the request to revoke the leaked token.
    pub(crate) fn revocation(&self) -> RevokeRequest {
        RevokeRequest { by: self.by.clone(), reason: self.reason.clone() }
    }

    /// Returns the request to end the older secret that leaked.
    pub(crate) fn end_of_older(&self, created_at: DateTime<Utc>) -> EndOlderRequest {
        let mut end = EndOlderRequest::new(created_at);
        end.by.clone_from(&self.by);
        end.reason.clone_from(&self.reason);
        end
    }

    /// Returns the request to suspend the leaked token until it is resumed.
    pub(crate) fn suspension(&self) -> SuspendRequest {
        let request = match &self.by {
            Some(by) => SuspendRequest::new().by(by),
            None => SuspendRequest::new(),
        };
        match &self.reason {
            Some(reason) => request.reason(reason),
            None => request,
        }
    }
}
