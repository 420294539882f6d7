//! The uploads: files in one folder.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path as Segment, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::{IntoResponse, Response as Answer};
use http_body_util::{BodyExt, LengthLimitError};
use hyper::body::Frame;
use service_tokens_axum::Bearer;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tower_http::timeout::TimeoutError;

/// What an upload is called until it is complete. No name of a file begins like this.
const INCOMING: &str = ".incoming-";

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Uploads(Arc<Path>);

impl Uploads {
    /// Creates the folder if need be, and removes what a killed process has left half done.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(INCOMING.as_bytes()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self(folder.into()))
    }

    /// Where the file of this name is, if files can have such a name: nothing that could lead out of
    /// the folder, or hide in it.
    fn path(&self, name: &str) -> Result<PathBuf, NoFile> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.len() > 100 || name.starts_with('.') || !name.bytes().all(plain) {
            return Err(NoFile::Name);
        }
        Ok(self.0.join(name))
    }
}

/// Why there is no file: in the folder afterwards, or for the client.
pub(crate) enum NoFile {
    Name,
    NotFound,
    TooSlow,
    TooLarge,
    CutShort,
    Disk(io::Error),
}

impl IntoResponse for NoFile {
    fn into_response(self) -> Answer {
        let (status, text) = match self {
            Self::Name => (
                StatusCode::BAD_REQUEST,
                "a file's name has letters, digits, '.', '_' and '-', and begins with no '.'\n",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no file of that name\n"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the upload paused for too long\n"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the file is too large\n"),
            Self::CutShort => (StatusCode::BAD_REQUEST, "the upload is not complete\n"),
            Self::Disk(error) => {
                // The client is not told what our disk is like.
                tracing::error!(%error, "the folder of uploads");
                (StatusCode::INTERNAL_SERVER_ERROR, "the file could not be kept or read\n")
            }
        };
        (status, text).into_response()
    }
}

impl From<io::Error> for NoFile {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            _ => Self::Disk(error),
        }
    }
}

/// Keeps the body under this name: all of it or nothing, also when the client or the service dies.
pub(crate) async fn upload(
    State(uploads): State<Uploads>,
    Segment(name): Segment<String>,
    Bearer(token): Bearer,
    mut body: Body,
) -> Result<impl IntoResponse, NoFile> {
    let path = uploads.path(&name)?;
    // Removed when dropped, so also when the client goes away.
    let incoming = tempfile::Builder::new().prefix(INCOMING).tempfile_in(&uploads.0);
    let incoming = incoming.map_err(NoFile::Disk)?;
    let mut file = File::from_std(incoming.reopen()?);
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(no_body)?.into_data() else { continue };
        file.write_all(&piece).await.map_err(NoFile::Disk)?;
        bytes += piece.len();
    }
    // Who reads "stored" may delete their copy.
    file.flush().await.map_err(NoFile::Disk)?;
    file.sync_all().await.map_err(NoFile::Disk)?;
    let replaced = tokio::fs::try_exists(&path).await?;
    incoming.persist(&path).map_err(|error| NoFile::Disk(error.error))?;
    // Its name, too, is to be there after a power failure. Elsewhere folders cannot be synced.
    #[cfg(unix)]
    File::open(&uploads.0).await?.sync_all().await.map_err(NoFile::Disk)?;

    // The id is public and tells which token it was; the token itself never gets this far.
    tracing::info!(name, bytes, token = %token.id(), "stored");
    let status = if replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, format!("stored {name}, {bytes} bytes\n")))
}

/// Why a body does not end as it should. It has passed through several layers, each of which has put
/// its own error around it.
fn no_body(error: axum::Error) -> NoFile {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return NoFile::TooLarge;
        }
        if error.is::<TimeoutError>() {
            return NoFile::TooSlow;
        }
        cause = error.source();
    }
    NoFile::CutShort
}

/// The names of all files, one a line.
pub(crate) async fn list(State(uploads): State<Uploads>) -> Result<String, NoFile> {
    let mut names = Vec::new();
    let mut entries = tokio::fs::read_dir(&uploads.0).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if uploads.path(&name).is_ok() {
            names.push(name + "\n");
        }
    }
    names.sort_unstable();
    Ok(names.concat())
}

/// The file of this name.
pub(crate) async fn download(
    State(uploads): State<Uploads>,
    Segment(name): Segment<String>,
) -> Result<Answer, NoFile> {
    let file = File::open(uploads.path(&name)?).await?;
    let length = file.metadata().await?.len();
    let mut response = Response::new(Body::new(Content(file)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    // Whoever may upload must not be able to run a script in the origin of the page, where people
    // sign in with manager tokens.
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// A file as a body, piece by piece.
struct Content(File);

impl HttpBody for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut piece = vec![0; 64 << 10];
        let mut read = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.0).poll_read(context, &mut read))?;
        let length = read.filled().len();
        piece.truncate(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(piece.into()))))
    }
}
