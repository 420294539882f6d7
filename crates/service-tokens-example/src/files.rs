//! Uploads and downloads of files in one folder.

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

/// The prefix of an upload's name until it is complete. Names of files cannot begin with it.
const INCOMING: &str = ".incoming-";

/// The folder of uploads.
#[derive(Debug, Clone)]
pub(crate) struct Uploads(Arc<Path>);

impl Uploads {
    /// Creates the folder if it does not exist, and removes incomplete uploads of a killed process.
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

    /// Returns the path of the file with this name. Rejects names that could lead out of the folder and names
    /// of hidden files.
    fn path(&self, name: &str) -> Result<PathBuf, FileError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.len() > 100 || name.starts_with('.') || !name.bytes().all(plain) {
            return Err(FileError::Name);
        }
        Ok(self.0.join(name))
    }
}

/// The reason why a file could not be stored or read.
pub(crate) enum FileError {
    Name,
    NotFound,
    TooSlow,
    TooLarge,
    CutShort,
    Disk(io::Error),
}

impl IntoResponse for FileError {
    fn into_response(self) -> Answer {
        let (status, text) = match self {
            Self::Name => (
                StatusCode::BAD_REQUEST,
                "a file name must have at most 100 letters, digits, '.', '_' or '-', and must not begin with '.'\n",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "the file does not exist\n"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the upload paused for too long\n"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the file is too large\n"),
            Self::CutShort => (StatusCode::BAD_REQUEST, "the upload ended early\n"),
            Self::Disk(error) => {
                // The client must not see details of the disk.
                tracing::error!(%error, "the folder of uploads failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "the file could not be stored or read\n")
            }
        };
        (status, text).into_response()
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            _ => Self::Disk(error),
        }
    }
}

/// Stores the body under this name, completely or not at all. This also holds if the client disconnects or
/// the service is killed.
pub(crate) async fn upload(
    State(uploads): State<Uploads>,
    Segment(name): Segment<String>,
    Bearer(token): Bearer,
    mut body: Body,
) -> Result<impl IntoResponse, FileError> {
    let path = uploads.path(&name)?;
    // The file is removed when it is dropped, also if the client disconnects.
    let incoming = tempfile::Builder::new().prefix(INCOMING).tempfile_in(&uploads.0);
    let incoming = incoming.map_err(FileError::Disk)?;
    let mut file = File::from_std(incoming.reopen()?);
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(body_error)?.into_data() else { continue };
        file.write_all(&piece).await.map_err(FileError::Disk)?;
        bytes += piece.len();
    }
    // A client that reads "stored" may delete its copy, so the data must be on disk by then.
    file.flush().await.map_err(FileError::Disk)?;
    file.sync_all().await.map_err(FileError::Disk)?;
    let replaced = tokio::fs::try_exists(&path).await?;
    incoming.persist(&path).map_err(|error| FileError::Disk(error.error))?;
    // The name must survive a power failure too. Other systems cannot sync folders.
    #[cfg(unix)]
    File::open(&uploads.0).await?.sync_all().await.map_err(FileError::Disk)?;

    // The id is public and identifies the token. The secret never reaches this function.
    tracing::info!(name, bytes, token = %token.id(), "stored");
    let status = if replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, format!("stored {name}, {bytes} bytes\n")))
}

/// Returns the reason why a body failed. Each layer that the body passed through has wrapped the error.
fn body_error(error: axum::Error) -> FileError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return FileError::TooLarge;
        }
        if error.is::<TimeoutError>() {
            return FileError::TooSlow;
        }
        cause = error.source();
    }
    FileError::CutShort
}

/// Lists the names of all files, one per line.
pub(crate) async fn list(State(uploads): State<Uploads>) -> Result<String, FileError> {
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

/// Returns the file with this name.
pub(crate) async fn download(
    State(uploads): State<Uploads>,
    Segment(name): Segment<String>,
) -> Result<Answer, FileError> {
    let file = File::open(uploads.path(&name)?).await?;
    let length = file.metadata().await?.len();
    let mut response = Response::new(Body::new(Content(file)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    // An uploaded file must not run as a script in the origin of the page, where people sign in with
    // manager tokens.
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

/// A file as a body that is read in pieces.
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
