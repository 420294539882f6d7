//! A store that you write yourself. It has one file per record in a directory, and the conformance suite
//! checks it.
//!
//! ```text
//! cargo run --example custom_store --features conformance
//! ```
//!
//! A store has the five functions of `impl TokenStore`. The other code writes files safely, and creates
//! stores for the conformance suite.
#![allow(clippy::print_stdout, reason = "this program prints the report of the suite")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::conformance::{StoreFactory, run};
use service_tokens::store::{BoxError, LastUsed, Order, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};
use tempfile::TempDir;

/// Stores each record in a file. The file has eight bytes of version, then the encoded record.
///
/// Several processes can share the directory. A call blocks its thread while the disk writes.
struct DirectoryStore {
    directory: PathBuf,
}

impl DirectoryStore {
    fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// Returns the path of a record's file. The name is the id as lower-case hexadecimal digits, because some
    /// file systems ignore case.
    fn path(&self, id: TokenId) -> PathBuf {
        self.directory.join(id.to_uuid().simple().to_string())
    }

    /// Locks out other writers, in all threads and processes, until the returned file is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let lock = options.open(self.directory.join("lock")).map_err(StoreError::unavailable)?;
        lock.lock().map_err(StoreError::unavailable)?;
        Ok(lock)
    }

    /// Returns a version that the store has never used. The lock file contains the latest one. A count
    /// per record would start again when a record is removed and another one is inserted.
    fn next_version(mut lock: &File) -> io::Result<Version> {
        let mut latest = Vec::new();
        lock.read_to_end(&mut latest)?;
        let next = latest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)) + 1;
        lock.seek(SeekFrom::Start(0))?;
        lock.write_all(&next.to_be_bytes())?;
        lock.sync_all()?;
        Ok(Version(next))
    }

    /// Reads a record. Readers need no lock, because `rename` replaces a file in one step.
    fn read(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        let bytes = match fs::read(self.path(id)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A missing file means that there is no record. A missing directory means that the store
                // is unavailable, so the call must fail.
                fs::metadata(&self.directory).map_err(StoreError::unavailable)?;
                return Ok(None);
            }
            Err(error) => return Err(StoreError::unavailable(error)),
        };
        let (version, record) = bytes
            .split_first_chunk()
            .ok_or_else(|| StoreError::corrupt("the file is too short"))?;
        let record = Record::from_bytes(record)?;
        if record.id() != id {
            return Err(StoreError::corrupt(
                "the file contains a record with another id than its name",
            ));
        }
        let version = Version(u64::from_be_bytes(*version));
        Ok(Some(StoredRecord::new(record, version, LastUsed::NotTracked)))
    }

    /// Returns the record if it still has the version that the caller read.
    fn expect(&self, id: TokenId, expected: Version) -> Result<StoredRecord, StoreError> {
        let current = self.read(id)?.filter(|current| current.version == expected);
        current.ok_or(StoreError::Conflict)
    }

    /// Writes a temporary file and renames it, so that a crash leaves the old file or the new one.
    fn write(&self, lock: &File, record: &Record) -> Result<Version, StoreError> {
        let version = Self::next_version(lock).map_err(StoreError::unavailable)?;
        let path = self.path(record.id());
        let temporary = path.with_extension("new");
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&version.0.to_be_bytes())?;
            file.write_all(&record.to_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&temporary, &path)).map_err(StoreError::unavailable)?;
        self.sync()?;
        Ok(version)
    }

    /// Writes the directory to the disk. Before that, a crash can undo a rename or a removal.
    fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(StoreError::indeterminate)
    }

    fn ids(&self) -> io::Result<Vec<TokenId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            // The names of the lock and of temporary files are not ids, so they do not parse.
            let id = name.to_str().and_then(|name| uuid::Uuid::try_parse(name).ok());
            ids.extend(id.map(TokenId::from_uuid));
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

#[async_trait]
impl TokenStore for DirectoryStore {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        let lock = self.lock()?;
        match self.read(record.id())? {
            Some(_) => Err(StoreError::Exists),
            None => self.write(&lock, record),
        }
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.read(id)
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let lock = self.lock()?;
        let current = self.expect(record.id(), expected)?;
        StoreError::check_replacement(&current.record, record)?;
        self.write(&lock, record)
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        self.expect(id, expected)?;
        fs::remove_file(self.path(id)).map_err(StoreError::unavailable)?;
        self.sync()
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        if query.filter.unused_since.is_some() {
            return Err(StoreError::last_use_not_tracked());
        }
        let mut ids = self.ids().map_err(StoreError::unavailable)?;
        ids.retain(|id| query.is_past_cursor(*id));
        if query.order == Order::NewestFirst {
            ids.reverse();
        }
        let mut items = Vec::new();
        for id in ids {
            // The service refuses a limit of zero, so a full page has a last record.
            if items.len() == query.limit {
                let next = items.last().map(|last: &StoredRecord| last.record.id());
                return Ok(Page::new(items, next));
            }
            // Another process can remove a record after the directory was read. It is skipped.
            let stored = self.read(id)?;
            items.extend(stored.filter(|s| query.filter.matches(&s.record, s.last_used, now)));
        }
        Ok(Page::new(items, None))
    }
}

/// Creates a store in a new directory for each promise that the suite checks.
///
/// The optional functions let the suite check more promises, such as those about a second process.
struct Directories;

fn tokens(guard: &TempDir) -> PathBuf {
    guard.path().join("tokens")
}

#[async_trait]
impl StoreFactory for Directories {
    type Store = DirectoryStore;
    /// Removes the directory when it is dropped.
    type Guard = TempDir;

    async fn fresh(&self) -> Result<(DirectoryStore, TempDir), BoxError> {
        let guard = tempfile::tempdir()?;
        Ok((DirectoryStore::open(tokens(&guard))?, guard))
    }

    async fn reopen(
        &self,
        store: DirectoryStore,
        guard: &mut TempDir,
    ) -> Option<Result<DirectoryStore, BoxError>> {
        drop(store);
        Some(DirectoryStore::open(tokens(guard)).map_err(Into::into))
    }

    async fn second(
        &self,
        _: &DirectoryStore,
        guard: &mut TempDir,
    ) -> Option<Result<DirectoryStore, BoxError>> {
        Some(DirectoryStore::open(tokens(guard)).map_err(Into::into))
    }

    async fn make_unavailable(&self, _: &DirectoryStore, guard: &mut TempDir) -> bool {
        let elsewhere: &Path = &guard.path().join("elsewhere");
        fs::rename(tokens(guard), elsewhere).is_ok()
    }

    async fn make_available(&self, _: &DirectoryStore, guard: &mut TempDir) -> bool {
        let elsewhere: &Path = &guard.path().join("elsewhere");
        fs::rename(elsewhere, tokens(guard)).is_ok()
    }

    async fn plant_bytes(
        &self,
        store: &DirectoryStore,
        _: &mut TempDir,
        id: TokenId,
        bytes: &[u8],
    ) -> bool {
        // The version stays.
        let version = fs::read(store.path(id)).unwrap_or_default();
        let version = version.get(..8).unwrap_or_default();
        fs::write(store.path(id), [version, bytes].concat()).is_ok()
    }

    fn runtime_free(&self) -> bool {
        true
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let report = run(&Directories).await;
    print!("{report}");
    match report.broken().count() {
        0 => {
            println!("\nThis store keeps every promise that the suite could check.");
            ExitCode::SUCCESS
        }
        broken => {
            println!("\nThis store breaks {broken} promises. Do not use it yet.");
            ExitCode::FAILURE
        }
    }
}
