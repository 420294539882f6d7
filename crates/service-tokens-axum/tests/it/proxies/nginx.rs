//! nginx with the documented configuration.

use std::path::Path;

use tokio::process::Command;

use super::{ProxiedService, Proxy};

const NGINX: Proxy = Proxy {
    configuration: include_str!("../../../src/standards/proxies/nginx.conf"),
    around: |folder, configuration| {
        let folder = folder.display();
        format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr crit;\n\
             events {{ worker_connections 128; }}\n\
             http {{\naccess_log off;\n\
             client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
             fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\n\
             scgi_temp_path {folder}/scgi;\n{configuration}\n}}\n"
        )
    },
    command: |folder, file, _| {
        // Debian installs it outside of the usual `PATH`.
        let debian = Path::new("/usr/sbin/nginx");
        let program = if debian.exists() { debian } else { Path::new("nginx") };
        let mut command = Command::new(program);
        command.arg("-p").arg(folder).arg("-c").arg(file).arg("-e").arg("stderr");
        command
    },
    lets_through: "",
};

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn forward_request_requires_valid_token() {
    ProxiedService::start(&NGINX).await.check_access().await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn forward_forged_identity_is_replaced() {
    ProxiedService::start(&NGINX).await.check_forged_identity().await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn forward_longest_identity_arrives_complete() {
    ProxiedService::start(&NGINX).await.check_longest_identity().await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn forward_during_store_failure_is_refused() {
    // nginx turns any status but 2xx, 401 and 403 into 500.
    ProxiedService::start(&NGINX).await.check_store_failure(500).await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn forward_unreadable_request_returns_4xx() {
    ProxiedService::start(&NGINX).await.check_unreadable().await;
}
