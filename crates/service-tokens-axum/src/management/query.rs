//! Query strings, each parameter once and each of them known.

use std::borrow::Cow;
use std::str::FromStr;

use http::StatusCode;
use percent_encoding::percent_decode;

use super::failure::Failure;

/// The parameters of a query string, until they are taken.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `name=value&…` as the URL standard does, but refuses what that lets pass.
    ///
    /// # Errors
    ///
    /// A name twice, an empty name or value, an escape that is none, and what is no UTF-8.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Failure> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in query.filter(|query| !query.is_empty()).into_iter().flat_map(|q| q.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name).filter(|name| !name.is_empty()) else {
                return Err(Failure::new(
                    StatusCode::BAD_REQUEST,
                    "invalid-parameter",
                    "A query parameter breaks a rule",
                )
                .detail("A parameter's name is empty or wrongly encoded."));
            };
            let value = decode(value).ok_or_else(|| refused(&name, "is wrongly encoded"))?;
            if value.is_empty() {
                return Err(refused(&name, "must not be empty"));
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(refused(&name, "must not be repeated"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// Takes the value of this name.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes the value of this name as something else, or says what it must be.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        name: &str,
        rule: &str,
    ) -> Result<Option<T>, Failure> {
        let value = self.take(name).map(|text| text.parse());
        value.transpose().map_err(|_| refused(name, rule))
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.0.first() {
            Some((name, _)) => Err(refused(name, "is unknown here")),
            None => Ok(()),
        }
    }
}

/// A parameter that breaks a rule.
pub(super) fn refused(name: &str, rule: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid-parameter", "A query parameter breaks a rule")
        .field(name, rule)
}

fn decode(text: &str) -> Option<String> {
    let bytes = text.replace('+', " ").into_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    for (at, _) in escapes {
        bytes.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
    }
    percent_decode(&bytes).decode_utf8().ok().map(Cow::into_owned)
}
