//! The sizes of gathered look-ups.

/// The sizes of the calls in which a store takes gathered look-ups, as returned by
/// [`TokenStore::gathering`](super::TokenStore::gathering).
///
/// A look-up goes out at once while fewer than `max_calls` calls are in flight. Otherwise it waits in a
/// queue, and the next call takes up to `max_ids` of the look-ups that wait. So the number of ids in a call
/// follows the load, and a lone look-up never waits for others.
///
/// A call that the store never answers holds its place until the requests that wait for it are dropped, and
/// `max_calls` such calls stop all look-ups. So the store limits the time of each call and returns an error
/// after it.
///
/// # Examples
///
/// ```
/// use service_tokens::store::Gathering;
///
/// // Two statements in flight, each with at most 256 ids.
/// let gathering = Gathering::new(256, 2);
/// assert_eq!((gathering.max_ids, gathering.max_calls), (256, 2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gathering {
    /// The maximum number of ids in one call of [`find_many`](super::TokenStore::find_many).
    pub max_ids: usize,
    /// The maximum number of calls in flight at once.
    pub max_calls: usize,
}

impl Gathering {
    /// Creates the value that a store returns. If one of the numbers is zero, the service is not built
    /// ([`BuildError::Gathering`](crate::BuildError::Gathering)).
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::Gathering;
    ///
    /// const GATHERING: Gathering = Gathering::new(256, 2);
    /// # assert_eq!(GATHERING.max_ids, 256);
    /// ```
    pub const fn new(max_ids: usize, max_calls: usize) -> Self {
        Self { max_ids, max_calls }
    }
}
