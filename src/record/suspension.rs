//! A suspension, its name, its place in a record, and its encoding.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::field::MAX_TEXT_LEN;
use super::tlv::{CorruptRecord, Reader, Writer, time_bytes};
use crate::clock::whole_micros;

/// The maximum number of suspensions of a record.
pub(super) const MAX_SUSPENSIONS: usize = 8;

/// A suspension of a token. The token is refused until all its suspensions have passed or were ended by
/// resuming it.
///
/// The author and the reason name the suspension. A record has at most one with the same two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suspension {
    /// The time of the suspension. All tokens of one bulk suspension have the same time.
    pub since: DateTime<Utc>,
    /// The time at which the suspension passes by itself (exclusive), or `None` if it lasts until the token
    /// is resumed.
    pub until: Option<DateTime<Utc>>,
    /// The person or program that suspended the token, named by the embedder.
    pub by: Option<Box<str>>,
    /// The reason, for people who read the record later.
    pub reason: Option<Box<str>>,
}

impl Suspension {
    /// Returns whether the suspension has these texts as its name.
    pub(super) fn is_named(&self, by: Option<&str>, reason: Option<&str>) -> bool {
        self.by.as_deref() == by && self.reason.as_deref() == reason
    }

    /// Returns whether the suspension has not passed at the time `earlier`.
    #[inline]
    pub(super) fn is_running(&self, earlier: DateTime<Utc>) -> bool {
        self.until.is_none_or(|end| earlier < end)
    }

    /// Compares the ends of two suspensions. No end is the latest.
    pub(super) fn cmp_end(&self, other: &Self) -> Ordering {
        match (self.until, other.until) {
            (Some(own), Some(other)) => own.cmp(&other),
            (own, other) => own.is_none().cmp(&other.is_none()),
        }
    }

    /// Compares the places of two suspensions in a record. Two of one record are never equal.
    pub(super) fn cmp_place(&self, other: &Self) -> Ordering {
        self.since
            .cmp(&other.since)
            .then_with(|| self.by.cmp(&other.by))
            .then_with(|| self.reason.cmp(&other.reason))
    }

    /// Removes and returns the suspension that ends first. This one then lasts at least as long.
    ///
    /// Of several with the same end, it removes the one that began last.
    pub(super) fn take_over_first_to_end(&mut self, suspensions: &mut Vec<Self>) -> Option<Self> {
        let first = suspensions
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| a.cmp_end(b).then_with(|| b.cmp_place(a)));
        let removed = suspensions.swap_remove(first?.0);
        if removed.cmp_end(self).is_gt() {
            self.until = removed.until;
        }
        Some(removed)
    }
}

/// The encoding.
impl Suspension {
    /// Encodes the suspensions of a record. Each has its start, a flag, its end if it has one, and two counted
    /// texts, of which an empty one stands for none.
    pub(super) fn to_bytes(suspensions: &[Self]) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        for suspension in suspensions {
            out.bytes(&time_bytes(suspension.since));
            out.byte(u8::from(suspension.until.is_some()));
            if let Some(until) = suspension.until {
                out.bytes(&time_bytes(until));
            }
            for text in [&suspension.by, &suspension.reason] {
                out.counted(text.as_deref().unwrap_or_default().as_bytes());
            }
        }
        out.into_content()
    }

    /// Reads the suspensions of a record.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Self>, CorruptRecord> {
        let mut suspensions: Vec<Self> = Vec::new();
        while !reader.is_empty() {
            let since = reader.time()?;
            let until = if reader.flag()? { Some(reader.time()?) } else { None };
            let next = Self { since, until, by: read_text(reader)?, reason: read_text(reader)? };
            if suspensions.last().is_some_and(|last| last.cmp_place(&next).is_ge()) {
                return Err(CorruptRecord("suspensions are not in order"));
            }
            if suspensions.iter().any(|s| s.is_named(next.by.as_deref(), next.reason.as_deref())) {
                return Err(CorruptRecord("two suspensions have the same name"));
            }
            suspensions.push(next);
        }
        if suspensions.is_empty() || suspensions.len() > MAX_SUSPENSIONS {
            return Err(CorruptRecord("the number of suspensions is zero or too large"));
        }
        Ok(suspensions)
    }
}

fn read_text(reader: &mut Reader<'_>) -> Result<Option<Box<str>>, CorruptRecord> {
    let text = reader.counted_text()?;
    if text.len() > MAX_TEXT_LEN {
        return Err(CorruptRecord("a text is empty or too long"));
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

/// The suspensions that a resumption ends. A token with others stays suspended by these.
///
/// # Examples
///
/// ```
/// use service_tokens::record::SuspensionMatch;
///
/// let incident = SuspensionMatch::ByAndReason {
///     by: Some("alice@acme.example".to_owned()),
///     reason: Some("INC-42".to_owned()),
/// };
/// # let _ = incident;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuspensionMatch {
    /// The suspensions with exactly this name and this reason, byte for byte. `None` matches a suspension
    /// without a name, or without a reason.
    ByAndReason {
        /// The person or program that suspended the tokens.
        by: Option<String>,
        /// The reason of the suspension.
        reason: Option<String>,
    },
    /// The suspensions that began at this time. All tokens of one bulk suspension have the same time, which
    /// its event and [`SuspendAll::since`](crate::bulk::SuspendAll::since) contain. It is a whole
    /// millisecond, so it survives a client that rounds times to milliseconds.
    ///
    /// No two bulk suspensions of one service begin at the same time. Those of several processes can, so
    /// use a reason of your own if several processes suspend tokens.
    Since(DateTime<Utc>),
}

impl SuspensionMatch {
    /// Returns whether this suspension is one of those to end, whether or not it has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, SuspendRequest, TokenService, TokenType};
    /// use service_tokens::record::SuspensionMatch;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let record = acme.suspend(id, SuspendRequest::new().reason("INC-42")).await?.record;
    ///
    /// let incident = SuspensionMatch::ByAndReason { by: None, reason: Some("INC-42".to_owned()) };
    /// assert!(incident.selects(&record.suspensions()[0]));
    /// # Ok(()) }
    /// ```
    pub fn selects(&self, suspension: &Suspension) -> bool {
        match self {
            Self::ByAndReason { by, reason } => {
                by.as_deref() == suspension.by.as_deref()
                    && reason.as_deref() == suspension.reason.as_deref()
            }
            Self::Since(since) => whole_micros(*since) == suspension.since,
        }
    }
}
