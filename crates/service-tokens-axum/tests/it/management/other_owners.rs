//! Managers learn nothing about other owners' tokens and cannot change them.

use service_tokens_axum::{management, standards};

use crate::api::{call, issue};
use crate::harness::{Answer, send, serve, service};

/// Removes the `date` header.
fn timeless(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, _)| name != "date");
    answer
}

#[tokio::test]
async fn use_id_of_other_owner_answers_as_unknown() {
    let (service, _) = service();
    let app = management::router(service.clone()).merge(standards::router(service.clone()));
    let address = serve(app).await;
    let (_, mine) = issue(&service, "acme", "manager").await;
    let unknown_id = service.new_id().unwrap().to_string();
    let mut theirs = Vec::new();
    for kind in ["connector", "developer", "manager"] {
        let (id, token) = issue(&service, "other", kind).await;
        theirs.push((id, token));
    }
    let (revoked, _) = issue(&service, "other", "connector").await;
    let id = revoked.parse().unwrap();
    let request = service_tokens::RevokeRequest::new();
    let _ = service.all_owners().revoke(id, request).await.unwrap();
    // An owner whose name starts with the other's.
    let (longer, _) = issue(&service, "acme2", "connector").await;
    let ids: Vec<_> = theirs.iter().map(|(id, _)| id.clone()).chain([revoked, longer]).collect();
    let none = [
        "no-id",
        &unknown_id[1..],
        &format!("{unknown_id}0"),
        "zzzzzzzzzzzzzzzzzzzzzz",
        "%FF",
        "%2F",
    ];
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(1_001));

    for (method, path, bodies) in [
        ("GET", "/tokens/{id}", &[""][..]),
        ("HEAD", "/tokens/{id}", &[""]),
        ("DELETE", "/tokens/{id}", &[""]),
        ("GET", "/tokens/{id}?x=1", &[""]),
        (
            "POST",
            "/tokens/{id}/revoke",
            &["", "{}", r#"{"reason":""}"#, r#"{"reason":1}"#, "{", &long],
        ),
        (
            "POST",
            "/tokens/{id}/rotate",
            &[
                "",
                r#"{"replacing":"oldest"}"#,
                r#"{"if_secret_created_at":"2020-01-01T00:00:00Z"}"#,
                r#"{"expires_in":1}"#,
                r#"{"never_expires":true}"#,
                r#"{"overlap_for":9999999999}"#,
                r#"{"overlap_for":1,"overlap_until":"2026-01-01T00:00:00Z"}"#,
                "{",
            ],
        ),
        ("GET", "/tokens?issuer={id}", &[""]),
        ("GET", "/tokens?issued_by={id}&state=all", &[""]),
        ("GET", "/tokens?cursor={id}{id}", &[""]),
    ] {
        for body in bodies {
            let about = async |id: &str| {
                timeless(call_any(address, &mine, method, &path.replace("{id}", id), body).await)
            };
            let unknown = about(&unknown_id).await;
            for id in &ids {
                assert_eq!(about(id).await, unknown, "{method} {path} {body}");
            }
            // A filter with a malformed id is an invalid parameter instead.
            let none = if path.starts_with("/tokens/{id}") { &none[..] } else { &[] };
            for id in none {
                assert_eq!(about(id).await, unknown, "{method} {path} {id} {body}");
            }
        }
    }
    // No token was changed.
    for (id, token) in &theirs {
        let record = service.all_owners().get(id.parse().unwrap()).await.unwrap().record;
        assert!(record.revocation().is_none() && record.secret_created_at() == record.created_at());
        let form = format!("token={token}");
        let bearer = format!("Authorization: Bearer {mine}");
        let headers = [&*bearer, "Content-Type: application/x-www-form-urlencoded"];
        let answer = send(address, "POST", "/introspect", &headers, &form).await;
        assert_eq!(answer.body, r#"{"active":false}"#);
    }
}

/// Like `call`, but also for HEAD, whose answer has no body to check.
async fn call_any(
    address: std::net::SocketAddr,
    token: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Answer {
    if method == "HEAD" {
        let bearer = format!("Authorization: Bearer {token}");
        return send(address, method, path, &[&bearer], body).await;
    }
    call(address, token, method, path, body, &[]).await
}
