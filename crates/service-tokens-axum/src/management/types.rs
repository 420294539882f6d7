//! What requests say, as it is parsed and described.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use service_tokens::State;
use service_tokens::record::{InvalidField, ReplacedSecret, Rule};
use service_tokens::store::States;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::body::{broken, invalid};
use super::failure::Failure;

/// A time with its offset, as RFC 3339 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) DateTime<Utc>);

impl FromStr for Time {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Parsers let a space pass for the T, and a minus that is none of ASCII.
        if !text.is_ascii() || !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return Err(());
        }
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.to_utc())).map_err(|_| ())
    }
}

/// A span of time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds(u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of seconds")
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(seconds))
            }
        }

        deserializer.deserialize_u64(Number)
    }
}

/// A number in a query string: digits alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) usize);

impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self).ok_or(())
    }
}

/// The states that a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateFilter(pub(super) States);

impl FromStr for StateFilter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let states = match text {
            "live" => Some(States::LIVE),
            "dead" => Some(States::ENDED),
            "all" => Some(States::ALL),
            several => several
                .split(',')
                .map(|state| match state {
                    "pending" => Some(State::Pending),
                    "active" => Some(State::Active),
                    "expired" => Some(State::Expired),
                    "revoked" => Some(State::Revoked),
                    _ => None,
                })
                .collect(),
        };
        states.map(Self).ok_or(())
    }
}

/// Reads it from a text, by `FromStr`, or says what it must be.
macro_rules! from_text {
    ($($name:ident: $expected:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        let wrong = |()| E::invalid_value(Unexpected::Other("text"), &self);
                        text.parse().map_err(wrong)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    )*};
}

from_text! {
    Time: "a time as RFC 3339 writes it, with an offset";
    Number: "a whole number";
    StateFilter: "live, dead, all, or some of pending, active, expired and revoked";
}

/// `true`: its absence is the only other way to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct True;

/// As the description has it.
fn only_true() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .enum_values(Some([true]))
        .description(Some("There is no end, if the policy allows that."))
        .build()
}

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bool;

        impl Visitor<'_> for Bool {
            type Value = True;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, or left out")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<True, E> {
                if value { Ok(True) } else { Err(E::custom("must be true, or left out")) }
            }
        }

        deserializer.deserialize_bool(Bool)
    }
}

/// When a token is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    In(Duration),
    At(DateTime<Utc>),
    Never,
}

impl End {
    /// At most one of the three ways to say it.
    pub(super) fn of(
        expires_in: Option<Seconds>,
        expires_at: Option<Time>,
        never_expires: Option<True>,
    ) -> Result<Option<Self>, Failure> {
        match (expires_in, expires_at, never_expires) {
            (None, None, None) => Ok(None),
            (Some(Seconds(lifetime)), None, None) => {
                Ok(Some(Self::In(Duration::from_secs(lifetime))))
            }
            (None, Some(Time(end)), None) => Ok(Some(Self::At(end))),
            (None, None, Some(True)) => Ok(Some(Self::Never)),
            _ => Err(broken(
                if expires_in.is_some() { "expires_in" } else { "expires_at" },
                "must be the only one of expires_in, expires_at and never_expires",
            )),
        }
    }

    /// What the service refuses about it, by the field that it came from.
    pub(super) fn refused(end: Option<Self>, wrong: InvalidField) -> Failure {
        match (end, wrong.rule) {
            // To the service it is the end that is missing; the client has sent what is too much.
            (Some(Self::Never), Rule::Required) => {
                broken("never_expires", "is not allowed here: a token must have an end")
            }
            (Some(Self::Never), _) => invalid(wrong, "never_expires"),
            (Some(Self::In(_)), _) => invalid(wrong, "expires_in"),
            (Some(Self::At(_)) | None, _) => invalid(wrong, "expires_at"),
        }
    }
}

/// A token to be issued, of the acting token's owner. Unknown members are refused.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBody {
    /// The name of one of the service's types.
    #[serde(rename = "type")]
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_.-]+$",
        example = "connector"
    )]
    pub(super) token_type: String,
    /// The human label: which service is this given to. Its length counts in bytes of UTF-8; a policy
    /// allows 255 unless it says otherwise.
    #[schema(min_length = 1, max_length = 1024, example = "nightly backup")]
    pub(super) issued_to: String,
    /// Some of the type's scopes instead of all of them.
    #[schema(nullable = false, min_items = 1, max_items = 64)]
    pub(super) scopes: Option<Vec<ScopeText>>,
    /// It ends so many seconds after its issue.
    #[schema(nullable = false, value_type = Option<u64>, minimum = 1, maximum = 253_402_300_799_u64)]
    pub(super) expires_in: Option<Seconds>,
    /// It ends at this time; exclusive. Without any of the three the policy's default lifetime counts.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<Time>,
    /// It has no end, if the policy allows that.
    #[schema(schema_with = only_true, required = false)]
    pub(super) never_expires: Option<True>,
    /// It is accepted from this time on.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) not_before: Option<Time>,
    /// Notes of your own. The policy says how many and how long.
    #[schema(nullable = false, example = json!({"ticket": "OPS-1234"}))]
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

/// A scope: segments of `A-Z a-z 0-9 _ . -` with `:` between, of which the last may be `*`.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    as = Scope,
    value_type = String,
    max_length = 256,
    pattern = r"^(\*|[A-Za-z0-9_.\-]+(:[A-Za-z0-9_.\-]+)*(:\*)?)$",
    example = "files:upload"
)]
pub(super) struct ScopeText(pub(super) String);

impl AsRef<str> for ScopeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A new secret for a token. Without an overlap the old secret ends at once.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateBody {
    /// Both secrets are accepted for so many seconds; 0 is none.
    #[schema(nullable = false, value_type = Option<u64>, minimum = 0, maximum = 253_402_300_799_u64)]
    pub(super) overlap_for: Option<Seconds>,
    /// Both secrets are accepted until this time; exclusive.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) overlap_until: Option<Time>,
    /// The overlap ends when the new secret is first used, and at its end at the latest.
    #[schema(nullable = false)]
    pub(super) overlap_ends_on_first_use: Option<bool>,
    /// Which of two secrets is replaced. Required while an overlap runs.
    #[schema(nullable = false)]
    pub(super) replacing: Option<Replacing>,
    /// Rotate only if the token's `secret_created_at` is still this.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) if_secret_created_at: Option<Time>,
    /// The token ends so many seconds after this rotation.
    #[schema(nullable = false, value_type = Option<u64>, minimum = 1, maximum = 253_402_300_799_u64)]
    pub(super) expires_in: Option<Seconds>,
    /// The token ends at this time; exclusive. Without any of the three its end stays.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<Time>,
    /// The token has no end any more, if the policy allows that.
    #[schema(schema_with = only_true, required = false)]
    pub(super) never_expires: Option<True>,
}

/// Which secret a rotation replaces while two are accepted: the newest because the answer with it was
/// lost, or the oldest.
#[derive(Debug, Clone, Copy, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Replacing {
    Newest,
    Oldest,
}

impl From<Replacing> for ReplacedSecret {
    fn from(replacing: Replacing) -> Self {
        match replacing {
            Replacing::Newest => Self::Newest,
            Replacing::Oldest => Self::Oldest,
        }
    }
}

impl From<Seconds> for Duration {
    fn from(Seconds(seconds): Seconds) -> Self {
        Self::from_secs(seconds)
    }
}

/// A revocation.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    /// Why, for those who read it later. Its length counts in bytes of UTF-8; a policy allows 1,000
    /// unless it says otherwise.
    #[schema(nullable = false, min_length = 1, max_length = 1024, example = "INC-42: leaked")]
    pub(super) reason: Option<String>,
}
