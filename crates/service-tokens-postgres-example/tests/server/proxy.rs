//! A proxy between a store and the server, which can end connections, refuse them and lose answers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The name of the server's socket in its folder.
pub(crate) const SOCKET: &str = ".s.PGSQL.5432";

/// The faults that the proxy is to cause.
struct Faults {
    /// Whether the next statement is forwarded and its answer is not.
    loses_answer: AtomicBool,
    /// Whether the next connection is refused.
    refuses_connection: AtomicBool,
    /// Whether the server can be reached. Connections end when it changes to `false`.
    is_up: watch::Sender<bool>,
}

pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    faults: Arc<Faults>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to the server with this socket.
    pub(crate) fn start(server: PathBuf) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = UnixListener::bind(folder.path().join(SOCKET))?;
        let faults = Arc::new(Faults {
            loses_answer: AtomicBool::new(false),
            refuses_connection: AtomicBool::new(false),
            is_up: watch::Sender::new(true),
        });
        let accepting = tokio::spawn(accept(listener, server, faults.clone()));
        Ok(Self { folder, faults, accepting })
    }

    /// Returns the folder of the proxy's socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Forwards the next statement, and ends its connection when the server has answered.
    pub(crate) fn lose_next_answer(&self) {
        self.faults.loses_answer.store(true, Ordering::SeqCst);
    }

    /// Refuses the next connection.
    pub(crate) fn refuse_next_connection(&self) {
        self.faults.refuses_connection.store(true, Ordering::SeqCst);
    }

    /// Ends all connections and refuses others, or accepts them again.
    pub(crate) fn set_up(&self, is_up: bool) {
        self.faults.is_up.send_replace(is_up);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set_up(false);
    }
}

async fn accept(listener: UnixListener, server: PathBuf, faults: Arc<Faults>) {
    while let Ok((client, _)) = listener.accept().await {
        let is_refused = faults.refuses_connection.swap(false, Ordering::SeqCst);
        if is_refused || !*faults.is_up.borrow() {
            continue;
        }
        let (server, faults) = (server.clone(), faults.clone());
        tokio::spawn(async move {
            let mut is_up = faults.is_up.subscribe();
            tokio::select! {
                _ = forward(client, &server, &faults) => {}
                _ = is_up.wait_for(|is_up| !is_up) => {}
            }
        });
    }
}

/// Forwards a connection until one side ends it, or an answer is to be lost.
async fn forward(client: UnixStream, server: &Path, faults: &Faults) -> io::Result<()> {
    let server = UnixStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let losing = AtomicBool::new(false);
    let requests = async {
        // The first message of a connection has no type.
        let length = from_client.read_u32().await?;
        to_server.write_u32(length).await?;
        copy(&mut from_client, &mut to_server, length).await?;
        loop {
            let (kind, message) = message(&mut from_client).await?;
            // `Execute` runs a statement.
            if kind == b'E' && faults.loses_answer.swap(false, Ordering::SeqCst) {
                losing.store(true, Ordering::SeqCst);
            }
            to_server.write_all(&message).await?;
        }
    };
    let answers = async {
        loop {
            let (kind, message) = message(&mut from_server).await?;
            if losing.load(Ordering::SeqCst) {
                // `ReadyForQuery` follows the commit.
                if kind == b'Z' {
                    return Ok(());
                }
                continue;
            }
            to_client.write_all(&message).await?;
        }
    };
    tokio::select! {
        ended = requests => ended,
        ended = answers => ended,
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    length: u32,
) -> io::Result<()> {
    let mut message = vec![0; (length as usize).saturating_sub(4)];
    from.read_exact(&mut message).await?;
    to.write_all(&message).await
}

/// Reads a message, and returns its type and all its bytes.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut bytes = vec![0; 5];
    from.read_exact(&mut bytes).await?;
    let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
    bytes.resize(1 + length, 0);
    from.read_exact(&mut bytes[5..]).await?;
    Ok((bytes[0], bytes))
}
