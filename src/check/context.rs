//! Facts about one request.

use std::net::IpAddr;

/// Facts about one request that a verification takes into account.
///
/// The client address decides for a token that is restricted to [networks](crate::network). It must be
/// the address of the connection. An address from a header such as `X-Forwarded-For` counts only if a proxy
/// that you trust has set it, because any client can send the header.
///
/// # Examples
///
/// ```
/// use std::net::IpAddr;
/// use service_tokens::RequestContext;
///
/// let peer: IpAddr = "192.0.2.7".parse()?;
/// let context = RequestContext::new().client_address(peer);
/// assert_eq!(context.client_address, Some(peer));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use]
#[non_exhaustive]
pub struct RequestContext {
    /// The address of the client, or `None` if it is not known or the connection has none, as a Unix
    /// socket. A token with networks is refused then.
    pub client_address: Option<IpAddr>,
}

impl RequestContext {
    /// Creates a context without facts.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::RequestContext;
    ///
    /// assert_eq!(RequestContext::new().client_address, None);
    /// ```
    pub const fn new() -> Self {
        Self { client_address: None }
    }

    /// Sets the address of the client.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use service_tokens::RequestContext;
    ///
    /// let context = RequestContext::new().client_address(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    /// assert!(context.client_address.is_some());
    /// ```
    pub fn client_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.client_address = address.into();
        self
    }
}
