//! `GET /tokens`

use axum::extract::RawQuery;
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Serialize;
use service_tokens::{
    Direction, PAGE_MAX, Query, Rule, State, States, TYPE_NAME_MAX_LEN, TokenId, TokenStore,
};
use utoipa::ToSchema;

use super::access::{Caller, Read};
use super::answer::{json, refused};
use super::cursor;
use super::failure::Failure;
use super::query::{self, Parameters};
use super::token::TokenJson;
use super::types::Time;

/// The longest text that any record holds, in bytes.
pub(super) const TEXT_MAX: usize = 1_024;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenPage)]
pub(super) struct PageJson {
    /// The tokens, in order. There may be none although there is a next page.
    tokens: Vec<TokenJson>,
    /// The cursor of the next page. Null is the end.
    next: Option<String>,
}

/// A page of the owner's tokens.
pub(super) async fn list<S: TokenStore + 'static>(
    caller: Caller<Read, S>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let owner = caller.token().owner();
    let query = query_of(owner, raw.as_deref())?;
    let page = caller.acts().list(query.clone()).await.map_err(|error| {
        refused(error, |invalid| {
            query::refused(&invalid.field.to_string(), invalid.rule.to_string())
        })
    })?;
    let now = caller.service().now();
    let page = PageJson {
        tokens: page.items.iter().map(|stored| TokenJson::stored(stored, now)).collect(),
        next: page.next.map(|last| cursor::write(owner, &query, last)),
    };
    json(StatusCode::OK, &page)
}

fn query_of(owner: &str, raw: Option<&str>) -> Result<Query, Failure> {
    let mut given = Parameters::parse(raw)?;
    let mut query = Query::new();
    if let Some(time) = time(&mut given, "died_before")? {
        query = query.died_before(time);
    }
    if let Some(states) = given.take("state") {
        let rule = "must be live, dead, all, or some of pending, active, expired and revoked";
        query = query.states(states_of(&states).ok_or_else(|| query::refused("state", rule))?);
    }
    if let Some(name) = text(&mut given, "type", TYPE_NAME_MAX_LEN)? {
        query = query.token_type(name);
    }
    if let Some(exact) = text(&mut given, "issued_to", TEXT_MAX)? {
        query = query.issued_to(exact);
    }
    if let Some(part) = text(&mut given, "issued_to_contains", TEXT_MAX)? {
        query = query.issued_to_contains(part);
    }
    if let Some(issuer) = given.parsed::<TokenId>("issuer", "must be a token's id")? {
        query = query.issuer(issuer);
    }
    if let Some(by) = text(&mut given, "issued_by", TEXT_MAX)? {
        query = query.issued_by(by);
    }
    if let Some(time) = time(&mut given, "expiring_before")? {
        query = query.expiring_before(time);
    }
    if let Some(time) = time(&mut given, "created_before")? {
        query = query.created_before(time);
    }
    if let Some(time) = time(&mut given, "unused_since")? {
        query = query.unused_since(time);
    }
    if let Some(direction) = given.take("direction") {
        query = query.direction(match &*direction {
            "newest" => Direction::NewestFirst,
            "oldest" => Direction::OldestFirst,
            _ => return Err(query::refused("direction", "must be newest or oldest")),
        });
    }
    if let Some(limit) = given.take("limit") {
        let digits = limit.bytes().all(|byte| byte.is_ascii_digit());
        let limit = limit.parse().ok().filter(|limit| digits && (1..=PAGE_MAX).contains(limit));
        let rule = Rule::Bounds { most: PAGE_MAX };
        query = query.limit(limit.ok_or_else(|| query::refused("limit", rule.to_string()))?);
    }
    let cursor = given.take("cursor");
    given.finish()?;
    if let Some(cursor) = cursor {
        let last = cursor::read(owner, &query, &cursor).ok_or_else(|| {
            query::refused("cursor", "is none of this list: of this owner, filter and direction")
        })?;
        query = query.after(last);
    }
    Ok(query)
}

fn text(given: &mut Parameters, name: &str, longest: usize) -> Result<Option<String>, Failure> {
    match given.take(name) {
        Some(text) if text.len() > longest => {
            Err(query::refused(name, Rule::TooLong { longest }.to_string()))
        }
        text => Ok(text),
    }
}

fn time(given: &mut Parameters, name: &str) -> Result<Option<DateTime<Utc>>, Failure> {
    Ok(given.parsed::<Time>(name, Time::RULE)?.map(|Time(time)| time))
}

fn states_of(text: &str) -> Option<States> {
    match text {
        "live" => Some(States::LIVE),
        "dead" => Some(States::DEAD),
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
    }
}
