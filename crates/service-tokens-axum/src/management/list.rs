//! `GET /tokens`, which lists tokens in pages.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service_tokens::record::{InvalidField, Rule};
use service_tokens::scope::MAX_TYPE_NAME_LEN;
use service_tokens::store::{MAX_PAGE_LEN, Order};
use service_tokens::{Filter, ListRequest, TokenId, TokenStore};
use utoipa::{IntoParams, ToSchema};

use super::caller::{Caller, Read};
use super::cursor;
use super::failure::{Failure, refused};
use super::fields::{Number, StateFilter, Time};
use super::openapi_responses::{Credentials, JSON, response, responses};
use super::parameters::{self, Parameters};
use super::response::json;
use super::token_json::TokenJson;

/// The maximum length of a text in a record, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// The filters of a list, and the position and length of the page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only tokens of the type with this name.
    #[serde(rename = "type")]
    #[param(nullable = false, min_length = 1, max_length = 64)]
    token_type: Option<String>,
    /// Only tokens in these states. The value is `live` (active and pending, the default), `ended` (expired
    /// and revoked), `all`, or some of `pending`, `active`, `expired` and `revoked` separated by commas. With
    /// `ended_before` the default is `ended`.
    #[param(
        nullable = false,
        value_type = Option<String>,
        pattern = "^(live|ended|all|(pending|active|expired|revoked)(,(pending|active|expired|revoked)){0,3})$"
    )]
    state: Option<StateFilter>,
    /// Only tokens whose `issued_to` is exactly this.
    #[param(nullable = false, min_length = 1, max_length = 1024)]
    issued_to: Option<String>,
    /// Only tokens whose `issued_to` contains this, compared byte by byte.
    #[param(nullable = false, min_length = 1, max_length = 1024)]
    issued_to_contains: Option<String>,
    /// Only tokens that the token with this id issued or rotated, directly or through other tokens.
    #[param(nullable = false, value_type = Option<String>, pattern = "^[0-6][0-9A-Za-z]{21}$")]
    issuer: Option<TokenId>,
    /// Only tokens whose `issued_by` is exactly this.
    #[param(nullable = false, min_length = 1, max_length = 1024)]
    issued_by: Option<String>,
    /// Only tokens with an expiry before this time.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    expires_before: Option<Time>,
    /// Only tokens issued before this time.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    created_before: Option<Time>,
    /// Only tokens issued before this time and not used since.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    unused_since: Option<Time>,
    /// Only tokens that expired or were revoked before this time.
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    ended_before: Option<Time>,
    /// The order by time of issue. `newest` (the default) or `oldest` comes first.
    #[param(nullable = false, inline)]
    order: Option<OrderParameter>,
    /// The maximum number of tokens on the page.
    #[param(nullable = false, value_type = Option<u16>, minimum = 1, maximum = 1000, default = 50)]
    limit: Option<Number>,
    /// `next` of the previous page. It is valid for the same filters and order. `limit` may change.
    #[param(nullable = false, pattern = "^[0-9A-Za-z]{44}$")]
    cursor: Option<String>,
}

/// The order of a list by time of issue.
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
    /// The tokens in order. A page may be empty although there is a next one.
    tokens: Vec<TokenJson>,
    /// The cursor of the next page. Null at the end of the list.
    #[schema(required)]
    next: Option<String>,
}

responses! { Page => [(200, response(JSON, &PageJson::name(), "One page of tokens."))]; }

/// Lists the owner's tokens in pages.
///
/// Requires `service-tokens:read`. Reading all pages with the same filters and order returns each token that
/// exists during the whole time exactly once.
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
        |wrong: InvalidField| parameters::refused(&wrong.field.to_string(), wrong.rule.to_string());
    let page =
        caller.operations().list(request.clone()).await.map_err(|error| refused(error, named))?;
    let service = caller.service();
    let page = PageJson {
        tokens: page.items.iter().map(|stored| TokenJson::from_stored(service, stored)).collect(),
        next: page.next.map(|last| cursor::write(owner, &request, last)),
    };
    json(StatusCode::OK, &page)
}

fn request_of(owner: &str, asked: ListQuery) -> Result<ListRequest, Failure> {
    let bounded = |name: &str, text: String, max| {
        if text.len() > max {
            return Err(parameters::refused(name, Rule::TooLong { max }.to_string()));
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
        filter = filter.issued_to(bounded("issued_to", text, MAX_TEXT_BYTES)?);
    }
    if let Some(text) = asked.issued_to_contains {
        filter = filter.issued_to_contains(bounded("issued_to_contains", text, MAX_TEXT_BYTES)?);
    }
    if let Some(issuer) = asked.issuer {
        filter = filter.issuer(issuer);
    }
    if let Some(by) = asked.issued_by {
        filter = filter.issued_by(bounded("issued_by", by, MAX_TEXT_BYTES)?);
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
    if let Some(order) = asked.order {
        request = request.order(match order {
            OrderParameter::Newest => Order::NewestFirst,
            OrderParameter::Oldest => Order::OldestFirst,
        });
    }
    if let Some(Number(limit)) = asked.limit {
        if !(1..=MAX_PAGE_LEN).contains(&limit) {
            return Err(parameters::refused(
                "limit",
                Rule::Bounds { max: MAX_PAGE_LEN }.to_string(),
            ));
        }
        request = request.limit(limit);
    }
    match asked.cursor {
        None => Ok(request),
        Some(cursor) => match cursor::read(owner, &request, &cursor) {
            Some(last) => Ok(request.after(last)),
            None => Err(parameters::refused(
                "cursor",
                "must come from a list of the same owner with the same filters and order",
            )),
        },
    }
}
