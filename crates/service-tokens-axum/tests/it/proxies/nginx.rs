//! A real nginx, with the configuration that the docs show.

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
        // Debian keeps it where not everybody's path leads.
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
async fn who_passes() {
    ProxiedService::start(&NGINX).await.who_passes().await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn no_forged_identity_reaches_the_backend() {
    ProxiedService::start(&NGINX).await.forged().await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn the_longest_identity_gets_through() {
    ProxiedService::start(&NGINX).await.longest().await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn without_the_store_it_is_closed() {
    // Any status but 2xx, 401 and 403 is a 500 of nginx.
    ProxiedService::start(&NGINX).await.unavailable(500).await;
}

#[tokio::test]
#[ignore = "needs nginx; .ci/run installs it"]
async fn what_no_server_reads_is_the_client_s_mistake() {
    ProxiedService::start(&NGINX).await.unreadable().await;
}
