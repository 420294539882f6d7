//! `GET /tokens`

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service_tokens::record::{InvalidField, Rule};
use service_tokens::scope::MAX_TYPE_NAME_LEN;
use service_tokens::store::{MAX_PAGE_LEN, Order};
use service_tokens::{Filter, ListRequest, TokenId, TokenStore};
use utoipa::{IntoParams, ToSchema};

use super::access::{Caller, Read};
use super::answer::{json, refused};
use super::cursor;
use super::described::{Credentials, JSON, answer, answers};
use super::failure::Failure;
use super::query::{self, Parameters};
use super::token::TokenJson;
use super::types::{Number, StateFilter, Time};

/// The longest text that any record holds, in bytes.
const TEXT_MAX: usize = 1_024;

/// Which tokens, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of the type of this name.
    #[serde(rename = "type")]
    #[param(nullable = false, min_length = 1, max_length = 64)]
    token_type: Option<String>,
    /// Only in these states: `live` (active and pending: the default), `dead` (expired and revoked),
    /// `all`, or some of `pending`, `active`, `expired` and `revoked` with commas between. With
    /// `ended_before` the default is `dead`.
    #[param(
        nullable = false,
        value_type = Option<String>,
        pattern = "^(live|dead|all|(pending|active|expired|revoked)(,(pending|active|expired|revoked)){0,3})$"
    )]
    state: Option<StateFilter>,
    /// Only those issued to exactly this.
    #[param(nullable = false, min_length = 1, max_length = 1024)]
    issued_to: Option<String>,
    /// Only those whose `issued_to` contains this, byte for byte.
    #[param(nullable = false, min_length = 1, max_length = 1024)]
    issued_to_contains: Option<String>,
    /// Only those that the token of this id issued or rotated, directly or through others.
    #[param(nullable = false, value_type = Option<String>, pattern = "^[0-6][0-9A-Za-z]{21}$")]
    issuer: Option<TokenId>,
    /// Only those issued by this.
    #[param(nullable = false, min_length = 1, max_length = 1024)]
    issued_by: Option<String>,
    /// Only those with an end before this time.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    expires_before: Option<Time>,
    /// Only those issued before this time.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    created_before: Option<Time>,
    /// Only those issued before this time and not used since.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    unused_since: Option<Time>,
    /// Only those that were expired or revoked before this time.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    ended_before: Option<Time>,
    /// `newest` (the default) or `oldest` first.
    #[param(nullable = false, inline)]
    direction: Option<OrderParameter>,
    /// The most tokens on the page; 50 unless said.
    #[param(nullable = false, value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: Option<Number>,
    /// `next` of the page before. It holds for the same filters and direction; `limit` may change.
    #[param(nullable = false, pattern = "^[0-9A-Za-z]{44}$")]
    cursor: Option<String>,
}

/// The order of a list, by time of issue.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Order)]
enum OrderParameter {
    Newest,
    Oldest,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenPage)]
pub(super) struct PageJson {
    /// The tokens, in order. There may be none although there is a next page.
    tokens: Vec<TokenJson>,
    /// The cursor of the next page. Null is the end.
    #[schema(required)]
    next: Option<String>,
}

answers! { Page => [(200, answer(JSON, &PageJson::name(), "One page of tokens."))]; }

/// Lists the owner's tokens, page by page.
///
/// Needs `service-tokens:read`. A walk over all pages, with the same filters and direction for each,
/// gives each token that was there from its beginning to its end exactly once.
#[utoipa::path(
    get, path = "/tokens", operation_id = "listTokens", tag = "tokens",
    params(ListQuery), responses(Page, Credentials), security(("bearer" = [])),
)]
pub(super) async fn list<S: TokenStore + 'static>(
    caller: Caller<Read, S>,
    Parameters(asked): Parameters<ListQuery>,
) -> Result<Response, Failure> {
    let owner = caller.token().owner();
    let request = request_of(owner, asked)?;
    let named =
        |wrong: InvalidField| query::refused(&wrong.field.to_string(), wrong.rule.to_string());
    let page = caller.acts().list(request.clone()).await.map_err(|error| refused(error, named))?;
    let now = caller.service().now();
    let page = PageJson {
        tokens: page.items.iter().map(|stored| TokenJson::stored(stored, now)).collect(),
        next: page.next.map(|last| cursor::write(owner, &request, last)),
    };
    json(StatusCode::OK, &page)
}

fn request_of(owner: &str, asked: ListQuery) -> Result<ListRequest, Failure> {
    let bounded = |name: &str, text: String, longest| {
        if text.len() > longest {
            return Err(query::refused(name, Rule::TooLong { max: longest }.to_string()));
        }
        Ok(text)
    };
    let mut filter = Filter::new();
    if let Some(Time(time)) = asked.ended_before {
        filter = filter.ended_before(time);
    }
    if let Some(StateFilter(states)) = asked.state {
        filter = filter.states(states);
    }
    if let Some(name) = asked.token_type {
        filter = filter.token_type(bounded("type", name, MAX_TYPE_NAME_LEN)?);
    }
    if let Some(text) = asked.issued_to {
        filter = filter.issued_to(bounded("issued_to", text, TEXT_MAX)?);
    }
    if let Some(text) = asked.issued_to_contains {
        filter = filter.issued_to_contains(bounded("issued_to_contains", text, TEXT_MAX)?);
    }
    if let Some(issuer) = asked.issuer {
        filter = filter.issuer(issuer);
    }
    if let Some(by) = asked.issued_by {
        filter = filter.issued_by(bounded("issued_by", by, TEXT_MAX)?);
    }
    if let Some(Time(time)) = asked.expires_before {
        filter = filter.expires_before(time);
    }
    if let Some(Time(time)) = asked.created_before {
        filter = filter.created_before(time);
    }
    if let Some(Time(time)) = asked.unused_since {
        filter = filter.unused_since(time);
    }
    let mut request = ListRequest::from(filter);
    if let Some(order) = asked.direction {
        request = request.order(match order {
            OrderParameter::Newest => Order::NewestFirst,
            OrderParameter::Oldest => Order::OldestFirst,
        });
    }
    if let Some(Number(limit)) = asked.limit {
        if !(1..=MAX_PAGE_LEN).contains(&limit) {
            return Err(query::refused("limit", Rule::Bounds { max: MAX_PAGE_LEN }.to_string()));
        }
        request = request.limit(limit);
    }
    match asked.cursor {
        None => Ok(request),
        Some(cursor) => match cursor::read(owner, &request, &cursor) {
            Some(last) => Ok(request.after(last)),
            None => Err(query::refused(
                "cursor",
                "is none of this list: it holds for one owner, its filters and its direction",
            )),
        },
    }
}
