//! Real reverse proxies as child processes, with the configurations of the documentation, between a
//! client and an upload service.

mod envoy;
mod nginx;
mod traefik;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use http_body_util::BodyExt;
use service_tokens::{IssueRequest, Policy, ScopeSet, TokenService, TokenType};
use service_tokens_axum::standards;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::harness::{Answer, Call, Fault, FaultyStore, exchange, send, serve};

/// The headers that identify the token to a backend.
pub(crate) const IDENTITY: [&str; 5] = [
    "service-token-id",
    "service-token-owner",
    "service-token-type",
    "service-token-issued-to",
    "service-token-scopes",
];

/// A service and a backend behind one proxy.
pub(crate) struct ProxiedService {
    pub(crate) service: Arc<TokenService<FaultyStore>>,
    /// The address for clients.
    pub(crate) proxy: SocketAddr,
    /// How many requests reached the backend.
    reached: Arc<AtomicUsize>,
    lets_through: &'static str,
    _child: Child,
    _folder: tempfile::TempDir,
}

/// How a proxy is started: its documented configuration, and the text around it that the test needs.
pub(crate) struct Proxy {
    pub(crate) configuration: &'static str,
    /// Returns the whole file, from the folder and the documented part.
    pub(crate) around: fn(&Path, &str) -> String,
    /// Returns the command, from the folder, the file and the address to listen on.
    pub(crate) command: fn(&Path, &Path, SocketAddr) -> Command,
    /// Characters other than `-` that the proxy lets through in a forged name. The name is not an identity
    /// header, but a careless backend may read it as one.
    pub(crate) lets_through: &'static str,
}

impl ProxiedService {
    /// Starts the service, the backend and the proxy.
    pub(crate) async fn start(proxy: &Proxy) -> Self {
        let service = TokenService::builder(FaultyStore::new(), "acme_test")
            .token_type(TokenType::new("connector", ["files:upload"]).expect("a type"))
            .token_type(TokenType::new("reader", ["files:read"]).expect("a type"))
            .token_type(TokenType::new("developer", ["*"]).expect("a type"))
            .policy(Policy::new().max_text_len(1024))
            .build();
        let service = Arc::new(service.expect("a service"));
        let router = serve(standards::router(service.clone())).await;
        let reached = Arc::new(AtomicUsize::new(0));
        let backend = Router::new().fallback(upload).with_state(reached.clone());
        let backend = serve(backend).await;

        let folder = tempfile::tempdir().expect("a folder");
        // Another process may take the port in between, so a failed start is repeated with another one.
        for _ in 0..5 {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            drop(listener);
            let mut configuration = proxy.configuration.to_owned();
            for (placeholder, here) in [
                ("127.0.0.1:8080", address),
                ("127.0.0.1:9001", router),
                ("127.0.0.1:9002", backend),
            ] {
                configuration = configuration.replace(placeholder, &here.to_string());
                // Some configurations have the port in a setting of its own.
                let (_, port) = placeholder.split_once(':').expect("a port");
                let (old, new) = (format!("port_value: {port}"), here.port());
                configuration = configuration.replace(&old, &format!("port_value: {new}"));
            }
            let file = folder.path().join("proxy.conf");
            std::fs::write(&file, (proxy.around)(folder.path(), &configuration)).expect("a file");
            let mut command = (proxy.command)(folder.path(), &file, address);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
            let mut child = command.kill_on_drop(true).spawn().expect("the proxy is installed");
            if answers(address, &mut child).await {
                reached.store(0, Ordering::SeqCst);
                let lets_through = proxy.lets_through;
                let proxy = address;
                return Self {
                    service,
                    proxy,
                    reached,
                    lets_through,
                    _child: child,
                    _folder: folder,
                };
            }
        }
        panic!("the proxy does not start");
    }

    /// Issues a token and returns its id and text.
    pub(crate) async fn token(&self, owner: &str, kind: &str, label: &str) -> (String, String) {
        let request = IssueRequest::new(kind, label);
        let issued = self.service.owner(owner).issue(request).await.expect("a token");
        (issued.record.id().to_string(), issued.token.expose_secret().to_owned())
    }

    pub(crate) async fn upload(&self, headers: &[&str]) -> Answer {
        self.send("POST", "/upload/x?y=z", headers, "the file").await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        lines: &[&str],
        body: &str,
    ) -> Answer {
        send(self.proxy, method, path, lines, body).await
    }

    /// Whether the backend was reached since the last call.
    pub(crate) fn reached(&self) -> bool {
        self.reached.swap(0, Ordering::SeqCst) > 0
    }

    /// Only requests with a valid token pass, and the backend receives the identity but no token.
    pub(crate) async fn check_access(&self) {
        let (id, token) = self.token("acme", "connector", "x\u{2028}Zürich, \"100%\"").await;
        let (_, reader) = self.token("acme", "reader", "x").await;
        let bearer = format!("Authorization: Bearer {token}");
        let answer = self.upload(&[&bearer]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(self.reached());
        let got = answer.json();
        assert_eq!((&got["method"], &got["path"]), (&"POST".into(), &"/upload/x?y=z".into()));
        assert_eq!(got["body"], "the file");
        let label = "x%E2%80%A8Z%C3%BCrich%2C%20%22100%25%22";
        let expected = [&*id, "acme", "connector", label, "files:upload"];
        self.identity(&answer, Some(expected));
        assert!(got["headers"].as_array().expect("a list").iter().all(|pair| {
            pair[0] != "authorization" && !pair[1].as_str().is_some_and(|v| v.contains(&*token))
        }));

        let refused = |answer: &Answer, status, challenge: Option<&str>| {
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.header("www-authenticate"), challenge);
            assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("service-token")));
            assert!(!self.reached());
        };
        let bare = "Bearer realm=\"service-tokens\"";
        let invalid = format!("{bare}, error=\"invalid_token\"");
        refused(&self.upload(&[]).await, 401, Some(bare));
        refused(&self.upload(&["Authorization: Basic YTpi"]).await, 401, Some(bare));
        for malformed in ["Authorization: Bearer", "Authorization: Bearer a b"] {
            refused(&self.upload(&[malformed]).await, 401, Some(&invalid));
        }
        let unknown = format!("Authorization: Bearer {}x", &token[..token.len() - 1]);
        refused(&self.upload(&[&unknown]).await, 401, Some(&invalid));
        // Newer proxies refuse this request themselves.
        let twice = self.upload(&[&bearer, &bearer]).await;
        assert!(matches!(twice.status, 400 | 401), "{twice:?}");
        assert!(!self.reached());

        let lacking = format!("Authorization: Bearer {reader}");
        let answer = self.upload(&[&lacking]).await;
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        assert!(challenge.as_deref().is_none_or(|c| c.contains("insufficient_scope")));
        refused(&answer, 403, challenge.as_deref());

        // Clients cannot reach the endpoint itself, and no path changes the scope.
        for path in [
            "/authorize/files:upload",
            "/authorize",
            "/ext-authz/files:upload",
            "/x/../authorize/files:upload",
            "/%61uthorize/files:upload",
            "/may/files:upload",
        ] {
            let answer = self.send("GET", path, &[&bearer], "").await;
            assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("service-token")));
            assert!(answer.status == 404 || self.reached(), "{answer:?}");
        }
        for path in
            ["/upload/../upload/x", "/upload/%2e%2e/x/../../upload/x", "//upload/x", "/%75pload/x"]
        {
            let answer = self.send("POST", path, &[&lacking], "the file").await;
            let open = answer.status == 200 && self.reached();
            if open {
                // The proxy treated it as an open path, so it has no identity.
                self.identity(&answer, None);
            }
        }
    }

    /// Identity headers from a client never reach the backend.
    pub(crate) async fn check_forged_identity(&self) {
        let (id, token) = self.token("acme", "connector", "x").await;
        let bearer = format!("Authorization: Bearer {token}");
        let mine = [&*id, "acme", "connector", "x", "files:upload"];
        for name in IDENTITY {
            for name in [
                name.to_owned(),
                name.to_uppercase(),
                "Service-Token-Owner".to_owned(),
                name.replace('-', "_"),
                name.to_uppercase().replace('-', "_"),
                name.replacen('-', "_", 1),
                name.replace('-', "."),
                format!("X-{name}"),
            ] {
                let line = format!("{name}: forged");
                for lines in [&[&*line][..], &[&line, &line], &["Service-Token-Id:", &line]] {
                    let with: Vec<_> =
                        [&*bearer].into_iter().chain(lines.iter().copied()).collect();
                    self.unforged(&self.upload(&with).await, Some(mine)).await;
                    let open = self.send("GET", "/open", lines, "").await;
                    self.unforged(&open, None).await;
                    let refused = self.upload(lines).await;
                    assert!(matches!(refused.status, 400 | 401) && !self.reached());
                }
            }
        }
        // Spaces before the colon, a folded line, and names declared as hop-by-hop.
        for raw in [
            "Service-Token-Owner : forged\r\n",
            "Service-Token-Owner\t: forged\r\n",
            "X: y\r\n Service-Token-Owner: forged\r\n",
            "Connection: Service-Token-Owner, Service-Token-Id, Service-Token-Scopes\r\n",
            "Connection: Service-Token-Owner\r\nService-Token-Owner: forged\r\n",
            "Service-Token-Owner: a\r\nservice-token-owner: b\r\nSERVICE_TOKEN_OWNER: c\r\n",
        ] {
            let request = format!(
                "POST /upload/x HTTP/1.1\r\nHost: x\r\n{bearer}\r\n{raw}Content-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            );
            let Some(answer) = exchange(self.proxy, request.as_bytes()).await else { continue };
            self.unforged(&answer, Some(mine)).await;
        }
    }

    /// The request was refused, or the backend received exactly this identity.
    async fn unforged(&self, answer: &Answer, expected: Option<[&str; 5]>) {
        let reached = self.reached();
        if answer.status == 400 {
            assert!(!reached, "{answer:?}");
        } else {
            assert_eq!(answer.status, 200, "{answer:?}");
            self.identity(answer, expected);
        }
    }

    /// The longest possible identity reaches the backend complete.
    pub(crate) async fn check_longest_identity(&self) {
        let label = "\u{e9}".repeat(512);
        let scopes: Vec<_> = (0..64)
            .map(|n| format!("a{n:02}:{}", "x".repeat(252)))
            .take(63)
            .chain(["files:upload".to_owned()])
            .collect();
        let request =
            IssueRequest::new("developer", &*label).scopes(ScopeSet::new(&scopes).expect("scopes"));
        let issued = self.service.owner(&label).issue(request).await.expect("a token");
        let bearer = format!("Authorization: Bearer {}", issued.token.expose_secret());
        let answer = self.upload(&[&bearer]).await;
        let (id, label) = (issued.record.id().to_string(), "%C3%A9".repeat(512));
        let scopes = issued.record.scopes().as_str().replace(' ', "%20");
        self.identity(&answer, Some([&*id, &*label, "developer", &*label, &*scopes]));
        let bytes = id.len() + 2 * label.len() + "developer".len() + scopes.len();
        assert!(bytes > 22_000, "{bytes}");
    }

    /// The proxy refuses with this status while the store fails.
    pub(crate) async fn check_store_failure(&self, status: u16) {
        let (_, token) = self.token("acme", "connector", "x").await;
        let bearer = format!("Authorization: Bearer {token}");
        self.service.store().fail(Call::Find, 0, Fault::Unavailable);
        let answer = self.upload(&[&bearer]).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!self.reached());
        self.service.store().repair();
        assert_eq!(self.upload(&[&bearer]).await.status, 200);
    }

    /// A request that the HTTP server cannot read is an error of the client through a proxy, too.
    pub(crate) async fn check_unreadable(&self) {
        let (_, token) = self.token("acme", "connector", "x").await;
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let many = "X: y\r\n".repeat(120);
        for (what, lines) in [
            ("a control character between scheme and token", "Authorization: Bearer\x0bx\r\n"),
            ("one before the scheme", "Authorization: \x01Bearer x\r\n"),
            ("one that deletes", "Authorization: Bearer x\x7f\r\n"),
            ("one after a token", &bearer.replace("\r\n", "\x0b\r\n")),
            ("one in another header", &format!("{bearer}X: \x01\r\n")),
            ("two credentials, one with it", &format!("{bearer}Authorization: Bearer\x0bx\r\n")),
            ("too many headers", &format!("{bearer}{many}")),
            ("too many headers and no token", &*many),
        ] {
            let request =
                format!("GET /upload/x HTTP/1.1\r\nHost: x\r\n{lines}Connection: close\r\n\r\n");
            let answer = exchange(self.proxy, request.as_bytes()).await;
            let reached = self.reached();
            let status = answer.as_ref().map(|answer| answer.status);
            // The proxy closed the connection or answered.
            assert!(matches!(status, None | Some(400..=499)) && !reached, "{what}: {answer:?}");
        }
    }

    /// Checks that the backend received each identity header once, or none of them, and no similar name.
    #[track_caller]
    fn identity(&self, answer: &Answer, expected: Option<[&str; 5]>) {
        let got = answer.json();
        let mut seen: Vec<(String, String)> = Vec::new();
        for pair in got["headers"].as_array().expect("a list") {
            let name = pair[0].as_str().expect("a name");
            if name.contains(|c| self.lets_through.contains(c)) {
                continue;
            }
            let plain = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            if plain.starts_with("service-token") {
                seen.push((name.to_owned(), pair[1].as_str().expect("a value").to_owned()));
            }
        }
        seen.sort();
        let mut wanted: Vec<_> = expected
            .into_iter()
            .flat_map(|values| IDENTITY.into_iter().zip(values))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        wanted.sort();
        assert_eq!(seen, wanted);
    }
}

/// Accepts a file and returns the whole request as JSON.
async fn upload(State(reached): State<Arc<AtomicUsize>>, request: Request) -> String {
    reached.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or(Bytes::new());
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    serde_json::json!({
        "method": parts.method.as_str(),
        "path": parts.uri.to_string(),
        "body": String::from_utf8_lossy(&body),
        "headers": headers,
    })
    .to_string()
}

/// Waits until the proxy passes a request on an open path; false if it ends before. A proxy may listen before
/// it has its routes.
async fn answers(address: SocketAddr, child: &mut Child) -> bool {
    for _ in 0..3000 {
        if TcpStream::connect(address).await.is_ok() {
            let request = "GET /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let answer = exchange(address, request.as_bytes()).await;
            if answer.is_some_and(|answer| answer.status == 200) {
                return true;
            }
        }
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
