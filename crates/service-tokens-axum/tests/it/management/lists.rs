//! Lists: filters, pages, and cursors, which are valid for one list only.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use service_tokens::{IssueRequest, MemoryStore, Requirement, RevokeRequest, TokenStore};
use service_tokens_axum::management;

use crate::api::{Api, api, api_with, builder, call, issue, name, problem};
use crate::harness::serve;

fn ids(page: &Value) -> Vec<String> {
    let tokens = page["tokens"].as_array().unwrap();
    tokens.iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
}

/// Returns all ids, page after page.
async fn list_all<S: TokenStore + 'static>(api: &Api<S>, query: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let query: Vec<_> =
            query.iter().copied().chain([&*cursor]).filter(|part| !part.is_empty()).collect();
        let page = api.manage("GET", &format!("/tokens?{}", query.join("&")), "").await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        all.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { return all };
        assert!(next.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        cursor = format!("cursor={next}");
    }
}

/// Issues 300 tokens that differ in every property with a filter.
async fn many() -> Api<MemoryStore> {
    let api = api().await;
    let (other_id, other) = api.issue("manager").await;
    for n in 0..300_u32 {
        api.clock.advance(Duration::from_secs(60));
        let kind = if n % 2 == 0 { "connector" } else { "developer" };
        let lifetime = Duration::from_secs(u64::from(n % 7 + 1) * 3_600);
        if n % 5 == 0 {
            let body = format!(
                r#"{{"type":"{kind}","issued_to":"robot {n}","expires_in":{}}}"#,
                lifetime.as_secs()
            );
            let token = if n % 10 == 0 { &api.manager } else { &other };
            assert_eq!(api.call(token, "POST", "/tokens", &body).await.status, 201, "{other_id}");
            continue;
        }
        let mut request = IssueRequest::new(kind, format!("job {n}")).expires_in(lifetime);
        if n % 3 == 0 {
            request = request
                .issued_by("alice & co=?")
                .not_before(api.service.now() + Duration::from_secs(36_000))
                .expires_in(Duration::from_secs(72_000));
        }
        let issued = api.service.owner("acme").issue(request).await.unwrap();
        if n % 4 == 0 {
            let acme = api.service.owner("acme");
            let _ = acme.revoke(issued.record.id(), RevokeRequest::new()).await.unwrap();
        } else if n % 3 != 0 {
            api.service
                .verify(issued.token.expose_secret(), &Requirement::any_token())
                .await
                .unwrap();
        }
    }
    api.clock.advance(Duration::from_secs(60));
    api
}

#[tokio::test]
async fn list_with_each_filter_returns_each_token_once() {
    let api = many().await;
    let everything = api.manage("GET", "/tokens?state=all&limit=1000", "").await.json();
    let everything = everything["tokens"].as_array().unwrap().clone();
    assert_eq!(everything.len(), 302);
    // From 2026-01-01T00:00 on, one a minute until 05:00.
    let before = |token: &Value, member: &str, time: &str| {
        token[member].as_str().is_some_and(|found| found < time)
    };
    let revoked_at = |token: &Value| match token["revocation"]["at"].as_str() {
        Some(at) => Some(at.to_owned()),
        None if token["state"] == "expired" => token["expires_at"].as_str().map(str::to_owned),
        None => None,
    };
    let state = |token: &Value, states: &[&str]| states.contains(&token["state"].as_str().unwrap());
    let manager = api.manager_id.clone();
    let issuer = format!("issuer={manager}&state=all");
    type Matches<'m> = Box<dyn Fn(&Value) -> bool + 'm>;
    let filters: Vec<(&str, Matches<'_>)> = vec![
        ("", Box::new(|t| state(t, &["active", "pending"]))),
        ("state=live", Box::new(|t| state(t, &["active", "pending"]))),
        ("state=ended", Box::new(|t| state(t, &["expired", "revoked"]))),
        ("state=all", Box::new(|_| true)),
        ("state=pending", Box::new(|t| state(t, &["pending"]))),
        ("state=active", Box::new(|t| state(t, &["active"]))),
        ("state=expired", Box::new(|t| state(t, &["expired"]))),
        ("state=revoked%2Cactive", Box::new(|t| state(t, &["revoked", "active"]))),
        ("state=all&type=developer", Box::new(|t| t["type"] == "developer")),
        ("state=all&type=nothing", Box::new(|_| false)),
        ("state=all&issued_to=job+7", Box::new(|t| t["issued_to"] == "job 7")),
        (
            "state=all&issued_to_contains=job%202",
            Box::new(|t| t["issued_to"].as_str().unwrap().contains("job 2")),
        ),
        (&issuer, Box::new(|t| t["issuers"][0] == *manager)),
        (
            "issued_by=alice+%26+co%3D%3F",
            Box::new(|t| t["issued_by"] == "alice & co=?" && state(t, &["active", "pending"])),
        ),
        (
            "state=all&expires_before=2026-01-01T03:00:00Z",
            Box::new(|t| before(t, "expires_at", "2026-01-01T03:00:00Z")),
        ),
        (
            "state=all&created_before=2026-01-01T03:00:00%2B01:00",
            Box::new(|t| before(t, "created_at", "2026-01-01T02:00:00Z")),
        ),
        (
            "unused_since=2026-01-01T03:00:00Z",
            Box::new(|t| {
                let time = "2026-01-01T03:00:00Z";
                state(t, &["active", "pending"])
                    && before(t, "created_at", time)
                    && (t["last_used_at"].is_null() || before(t, "last_used_at", time))
            }),
        ),
        (
            "ended_before=2026-01-01T03:30:00Z",
            Box::new(|t| revoked_at(t).is_some_and(|at| &*at < "2026-01-01T03:30:00Z")),
        ),
        (
            "ended_before=2026-01-01T03:30:00Z&state=revoked",
            Box::new(|t| {
                t["state"] == "revoked"
                    && revoked_at(t).is_some_and(|at| &*at < "2026-01-01T03:30:00Z")
            }),
        ),
    ];
    for (filter, matches) in filters {
        let mut expected: Vec<_> = everything
            .iter()
            .filter(|t| matches(t))
            .map(|t| t["id"].as_str().unwrap().to_owned())
            .collect();
        assert!(!expected.is_empty() || filter.ends_with("nothing"), "{filter} is no test");
        expected.sort();
        for limit in ["limit=7", "limit=1000"] {
            let oldest = list_all(&api, &[filter, limit, "order=oldest"]).await;
            assert_eq!(oldest, expected, "{filter}");
        }
        let newest = list_all(&api, &["limit=13", filter]).await;
        assert!(newest.iter().eq(expected.iter().rev()), "{filter}");
    }
}

#[tokio::test]
async fn list_with_invalid_parameter_names_the_rule() {
    let api = api().await;
    let long = "x".repeat(1_025);
    let bounds = "must be between 1 and 1000";
    let time = "must be an RFC 3339 time with an offset";
    let states = "must be live, ended, all, or some of pending, active, expired and revoked";
    let number = "must be a whole number";
    let cases: Vec<(String, &str, &str)> = vec![
        ("x=1".into(), "x", "is unknown here"),
        ("owner=acme".into(), "owner", "is unknown here"),
        ("Type=connector".into(), "Type", "is unknown here"),
        ("type=connector&type=connector".into(), "type", "must not be repeated"),
        ("type=connector&%74ype=connector".into(), "type", "must not be repeated"),
        ("type=".into(), "type", "must not be empty"),
        ("type".into(), "type", "must not be empty"),
        ("cursor=".into(), "cursor", "must not be empty"),
        ("issued_to=%ff".into(), "issued_to", "must be valid percent-encoded UTF-8"),
        ("issued_to=%c3".into(), "issued_to", "must be valid percent-encoded UTF-8"),
        ("issued_to=%".into(), "issued_to", "must be valid percent-encoded UTF-8"),
        ("issued_to=%4".into(), "issued_to", "must be valid percent-encoded UTF-8"),
        ("issued_to=%zz".into(), "issued_to", "must be valid percent-encoded UTF-8"),
        ("issued_to=%+1".into(), "issued_to", "must be valid percent-encoded UTF-8"),
        (format!("issued_to={long}"), "issued_to", "has more than 1024 bytes"),
        (format!("issued_to_contains={long}"), "issued_to_contains", "has more than 1024 bytes"),
        (format!("issued_by={long}"), "issued_by", "has more than 1024 bytes"),
        (format!("type={}", "x".repeat(65)), "type", "has more than 64 bytes"),
        ("limit=0".into(), "limit", bounds),
        ("limit=1001".into(), "limit", bounds),
        ("limit=-1".into(), "limit", number),
        ("limit=%2B1".into(), "limit", number),
        ("limit=1.0".into(), "limit", number),
        ("limit=99999999999999999999".into(), "limit", number),
        ("state=living".into(), "state", states),
        ("state=active,".into(), "state", states),
        ("state=all,active".into(), "state", states),
        ("order=NEWEST".into(), "order", "must be one of: newest, oldest"),
        (
            "issuer=me".into(),
            "issuer",
            "a token id must have 22 characters of 0-9A-Za-z and a value below 2^128",
        ),
        ("expires_before=2026".into(), "expires_before", time),
        ("created_before=2026-01-01T00:00:00".into(), "created_before", time),
        ("unused_since=2026-01-01T00:00:00+00:00".into(), "unused_since", time),
        ("ended_before=now".into(), "ended_before", time),
    ];
    for (query, field, rule) in cases {
        let answer = api.manage("GET", &format!("/tokens?{query}"), "").await;
        let expected = (400, "invalid-parameter".into(), field.into(), rule.into());
        assert_eq!(problem(&answer), expected, "{query}");
    }
    for nameless in ["&", "=x", "type=connector&", "%ff=1", "&type=connector"] {
        let answer = api.manage("GET", &format!("/tokens?{nameless}"), "").await;
        assert_eq!((answer.status, name(&answer)), (400, "invalid-parameter".into()));
    }
    for fine in ["", "limit=1000", "limit=01", "issued_to=%00", "state=active,active"] {
        assert_eq!(api.manage("GET", &format!("/tokens?{fine}"), "").await.status, 200, "{fine}");
    }
}

#[tokio::test]
async fn list_with_cursor_of_other_list_is_refused() {
    let api = api_with(Arc::new(MemoryStore::new()), |builder| builder).await;
    for _ in 0..6 {
        api.issue("connector").await;
        issue(&api.service, "globex", "connector").await;
    }
    let first = "type=connector&issued_to_contains=acme";
    let page = api.manage("GET", &format!("/tokens?limit=2&{first}"), "").await.json();
    let cursor = page["next"].as_str().unwrap().to_owned();
    let seen: BTreeSet<_> = ids(&page).into_iter().collect();

    // The cursor works on another node, with another spelling, and with another page length.
    let other = builder(Arc::clone(api.service.store()), &api.clock).build().unwrap();
    let other = serve(management::router(Arc::new(other))).await;
    let again =
        "issued_to_contains=%61cme&state=pending,active,suspended&type=connector&order=newest";
    for address in [api.address, other] {
        let path = format!("/tokens?cursor={cursor}&{again}&limit=3");
        let page = call(address, &api.manager, "GET", &path, "", &[]).await;
        assert_eq!(page.status, 200, "{page:?}");
        let next = ids(&page.json());
        assert_eq!(next.len(), 3);
        assert!(next.iter().all(|id| !seen.contains(id)));
    }

    let refused = async |token: &str, filter: &str, cursor: &str| {
        let answer = api.call(token, "GET", &format!("/tokens?{filter}&cursor={cursor}"), "").await;
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (400, &Value::from("cursor")),
            "{filter} {cursor}"
        );
    };
    for filter in [
        "limit=2",
        "type=connector",
        "issued_to_contains=acme",
        "type=connector&issued_to=acme",
        "type=developer&issued_to_contains=acme",
        "type=connector&issued_to_contains=acm",
        &format!("{first}&order=oldest"),
        &format!("{first}&state=all"),
        &format!("{first}&issued_by=alice"),
        &format!("{first}&issuer={}", api.manager_id),
        &format!("{first}&expires_before=2030-01-01T00:00:00Z"),
        &format!("{first}&created_before=2030-01-01T00:00:00Z"),
        &format!("{first}&unused_since=2030-01-01T00:00:00Z"),
        &format!("{first}&ended_before=2030-01-01T00:00:00Z"),
    ] {
        refused(&api.manager, filter, &cursor).await;
    }
    let (_, stranger) = issue(&api.service, "globex", "manager").await;
    refused(&stranger, first, &cursor).await;
    // The same time in another filter.
    let page = api.manage("GET", "/tokens?limit=2&created_before=2030-01-01T00:00:00Z", "").await;
    let other = page.json()["next"].as_str().unwrap().to_owned();
    refused(&api.manager, "expires_before=2030-01-01T00:00:00Z", &other).await;

    // Each character altered, and each length.
    for at in 0..cursor.len() {
        let was = cursor.as_bytes()[at];
        for instead in [b'0', b'A', b'z', if was == b'9' { b'8' } else { was.wrapping_add(1) }] {
            let mut altered = cursor.clone().into_bytes();
            altered[at] = instead;
            if instead != was && instead.is_ascii_alphanumeric() {
                refused(&api.manager, first, std::str::from_utf8(&altered).unwrap()).await;
            }
        }
        refused(&api.manager, first, &cursor[..at.max(1)]).await;
    }
    for made_up in [
        format!("{cursor}0"),
        format!("{cursor}%20"),
        api.manager_id.clone(),
        "%F0%9F%A6%80".repeat(11),
    ] {
        refused(&api.manager, first, &made_up).await;
    }
}
