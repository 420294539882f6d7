//! A PostgreSQL server of the tests, in a folder of its own, which ends with them.

#![allow(dead_code, reason = "the test and the measurements use different parts")]

mod proxy;

use std::error::Error;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) use proxy::Proxy;
use tokio_postgres::{Client, Config, NoTls};

/// The user of the server if the tests run as root, because `initdb` refuses root.
const UNPRIVILEGED: u32 = 65_534;

pub(crate) struct Server {
    folder: tempfile::TempDir,
    process: Child,
    schemas: AtomicU32,
}

impl Server {
    /// Starts a server that listens on a socket in its folder only.
    pub(crate) fn start() -> Self {
        let programs = programs();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let is_root = owner(folder.path()) == 0;
        if is_root {
            chown(folder.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).expect("chown");
        }
        let program = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.current_dir("/").stdin(Stdio::null());
            if is_root {
                command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
            }
            command
        };
        let data = folder.path().join("data");
        let created = program("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        let log = std::fs::File::create(folder.path().join("log")).expect("a log file");
        let process = program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=200"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres");
        let started = Instant::now();
        let is_ready = || program("pg_isready").arg("-qh").arg(folder.path()).status();
        while !is_ready().is_ok_and(|status| status.success()) {
            assert!(started.elapsed() < Duration::from_secs(60), "the server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, process, schemas: AtomicU32::new(0) }
    }

    /// Returns the settings of a connection to one schema, through the socket in this folder.
    pub(crate) fn config(&self, folder: &Path, schema: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(folder)
            .user("postgres")
            .dbname("postgres")
            .options(format!("-c search_path={schema}"));
        config
    }

    /// Returns the folder of the server's socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a proxy to this server.
    pub(crate) fn proxy(&self) -> std::io::Result<Proxy> {
        Proxy::start(self.folder.path().join(proxy::SOCKET))
    }

    /// Connects as the administrator of the server.
    pub(crate) async fn administrator(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config(self.folder.path(), "public").connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Creates a schema and returns its name.
    pub(crate) async fn new_schema(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let schema = format!("tokens_{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        self.administrator().await?.batch_execute(&format!("create schema {schema}")).await?;
        Ok(schema)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the folder of the server's programs. Debian does not have it in the path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    found.retain(|folder| folder.join("initdb").is_file());
    found.into_iter().next().expect("initdb is not installed (Debian: apt-get install postgresql)")
}

fn owner(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).expect("the temporary folder").uid()
}
