//! The types of single fields and parameters, with their parsers and OpenAPI schemas.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use service_tokens::State;
use service_tokens::record::{InvalidField, Rule};
use service_tokens::store::States;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::failure::Failure;
use super::json_body::{broken, invalid};

/// An RFC 3339 time with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) DateTime<Utc>);

impl FromStr for Time {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // chrono also accepts a space instead of the T, and a minus sign that is not ASCII.
        if !text.is_ascii() || !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return Err(());
        }
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.to_utc())).map_err(|_| ())
    }
}

/// A duration in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seconds(u64);

impl From<Seconds> for Duration {
    fn from(Seconds(seconds): Seconds) -> Self {
        Self::from_secs(seconds)
    }
}

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

/// A number in a query string, written in digits only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) usize);

impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self).ok_or(())
    }
}

/// The states of the tokens in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateFilter(pub(super) States);

impl FromStr for StateFilter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let states = match text {
            "live" => Some(States::LIVE),
            "ended" => Some(States::ENDED),
            "all" => Some(States::ALL),
            several => several
                .split(',')
                .map(|state| match state {
                    "pending" => Some(State::Pending),
                    "active" => Some(State::Active),
                    "suspended" => Some(State::Suspended),
                    "expired" => Some(State::Expired),
                    "revoked" => Some(State::Revoked),
                    _ => None,
                })
                .collect(),
        };
        states.map(Self).ok_or(())
    }
}

/// Implements `Deserialize` from a text through `FromStr`. The literal is the rule in the error.
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
    Time: "an RFC 3339 time with an offset";
    Number: "a whole number";
    StateFilter: "live, ended, all, or some of pending, active, expired and revoked";
}

/// The value `true`. The only alternative is to leave the field out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct True;

/// Returns the OpenAPI schema of [`True`].
pub(super) fn only_true() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .enum_values(Some([true]))
        .description(Some("The token never expires. The policy must allow this."))
        .build()
}

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bool;

        impl Visitor<'_> for Bool {
            type Value = True;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or absent")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<True, E> {
                if value { Ok(True) } else { Err(E::custom("must be true or absent")) }
            }
        }

        deserializer.deserialize_bool(Bool)
    }
}

/// The requested expiry of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    In(Duration),
    At(DateTime<Utc>),
    Never,
}

impl End {
    /// Combines the three fields, of which at most one may be present.
    pub(super) fn from_fields(
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
                "must not be combined with another of expires_in, expires_at and never_expires",
            )),
        }
    }

    /// Creates the failure for a refused expiry. It names the field that the client sent.
    pub(super) fn refused(end: Option<Self>, wrong: InvalidField) -> Failure {
        match (end, wrong.rule) {
            // The service reports a missing expiry, but the client sent the field `never_expires`.
            (Some(Self::Never), Rule::Required) => {
                broken("never_expires", "is not allowed because the policy requires an expiry")
            }
            (Some(Self::Never), _) => invalid(wrong, "never_expires"),
            (Some(Self::In(_)), _) => invalid(wrong, "expires_in"),
            (Some(Self::At(_)) | None, _) => invalid(wrong, "expires_at"),
        }
    }
}
