//! What one text of a token reaches, and the most that it may ever reach.

use std::sync::OnceLock;
use std::time::Duration;

use super::super::harness::{DAY, HOUR, any, delta};
use super::oracle::{PLACES, Places, Scopes, context, no_later, places, requirements};
use chrono::{DateTime, Utc};
use service_tokens::steps::{AccessRules, Digests, ParsedToken, Prefix};
use service_tokens::{Record, VerifiedToken};

/// The distances from the present at which a text is tried.
const HORIZONS: [Duration; 6] = [
    Duration::ZERO,
    HOUR,
    HOUR.saturating_mul(4),
    DAY,
    DAY.saturating_mul(3),
    DAY.saturating_mul(10_000),
];

/// One bit for each horizon.
pub(crate) type Times = u8;

/// When a text is accepted, from where, and for which scopes. A text that is never accepted reaches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) times: Times,
    pub(crate) places: Places,
    pub(crate) scopes: Scopes,
}

/// Returns the reach of a text, by the steps of a verification. They are pure functions, so this is not a use.
///
/// `same` is the reach with the same record at another time or with other types. Then the places are the same,
/// so only a few are tried again.
pub(crate) fn reach(
    record: &Record,
    text: &str,
    now: DateTime<Utc>,
    rules: &AccessRules,
    same: Option<Reach>,
) -> Reach {
    static PREFIXES: OnceLock<[Prefix; 1]> = OnceLock::new();
    let prefixes = PREFIXES.get_or_init(|| [Prefix::new("acme_live").unwrap()]);
    let (parsed, digests) = (ParsedToken::parse(text, prefixes).unwrap(), Digests::plain());
    let verify = |horizon: usize, place: usize| -> Option<VerifiedToken> {
        let at = now + delta(HORIZONS[horizon]);
        let matched = record.matches(&parsed, &digests).ok()?;
        matched.authorize(at, &any(), &context(place), rules).ok()
    };
    let mut reach = Reach { times: 0, places: 0, scopes: 0 };
    let permitted = places(record).trailing_zeros() as usize;
    for horizon in 0..HORIZONS.len() {
        let Some(verified) = verify(horizon, permitted) else { continue };
        if reach.times == 0 {
            // Neither places nor scopes change with the horizon.
            let met = requirements().iter().enumerate();
            let met = met.filter(|(_, scope)| verified.permits(scope));
            reach.scopes = met.fold(0, |scopes, (at, _)| scopes | 1 << at);
            let accepted = |place: &usize| verify(horizon, *place).is_some();
            match same.filter(|same| same.places != 0) {
                Some(same) => {
                    reach.places = same.places;
                    let place = now.timestamp() as usize / 3_600 % PLACES.len();
                    assert_eq!(accepted(&place), same.places >> place & 1 == 1);
                }
                None => {
                    let accepted = (0..PLACES.len()).filter(accepted);
                    reach.places = accepted.fold(0, |places, place| places | 1 << place);
                }
            }
        }
        reach.times |= 1 << horizon;
    }
    reach
}

/// Returns the horizons before an end.
pub(crate) fn before(end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Times {
    let before = |horizon: Duration| end.is_none_or(|end| now + delta(horizon) < end);
    let horizons = HORIZONS.iter().enumerate().filter(|(_, horizon)| before(**horizon));
    horizons.fold(0, |times, (at, _)| times | 1 << at)
}

/// The most that a text may ever reach, even after the embedder changes the types or opens an owner. An end of
/// `None` is no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceiling {
    pub(crate) places: Places,
    pub(crate) scopes: Scopes,
    pub(crate) end: Option<DateTime<Utc>>,
}

impl Ceiling {
    /// Returns what is below both.
    pub(crate) fn meet(self, other: Self) -> Self {
        Self {
            places: self.places & other.places,
            scopes: self.scopes & other.scopes,
            end: if no_later(self.end, other.end) { self.end } else { other.end },
        }
    }

    #[track_caller]
    pub(crate) fn expect_above(&self, reach: Reach, now: DateTime<Utc>) {
        assert_eq!(reach.places & !self.places, 0, "it is accepted from more places: {reach:?}");
        assert_eq!(reach.scopes & !self.scopes, 0, "it may do more: {reach:?}");
        assert_eq!(reach.times & !before(self.end, now), 0, "it lives longer: {reach:?}");
    }
}
