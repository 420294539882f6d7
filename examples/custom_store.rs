//! A store of your own: a directory with one file per record, and whether it keeps its promises.
//!
//! ```text
//! cargo run --example custom_store --features conformance
//! ```
//!
//! What makes it a store are the five functions of `impl TokenStore`. The rest is how files are
//! written safely, and a factory for the conformance suite.
#![allow(clippy::print_stdout, reason = "the report is what this program is for")]

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::conformance::{StoreFactory, run};
use service_tokens::store::{BoxError, LastUsed, Order, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};
use tempfile::TempDir;

/// Keeps each record in a file: eight bytes of version, then the record's encoding.
///
/// Any number of processes may share the directory. Calls block their thread while the disk writes.
struct DirectoryStore {
    directory: PathBuf,
}

impl DirectoryStore {
    fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// A file's name has no capitals, since not every file system tells them from small letters.
    fn path(&self, id: TokenId) -> PathBuf {
        self.directory.join(id.to_uuid().simple().to_string())
    }

    /// Writers take turns, on all threads and in all processes, until the returned file is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let lock = File::create(self.directory.join("lock")).map_err(StoreError::unavailable)?;
        lock.lock().map_err(StoreError::unavailable)?;
        Ok(lock)
    }

    /// Readers need no lock: a file is there as a whole or not at all.
    fn read(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        let bytes = match fs::read(self.path(id)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // No file is no record, but no directory is a failure, and that is no answer.
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
            return Err(StoreError::corrupt("the file holds another record than its name says"));
        }
        let version = Version(u64::from_be_bytes(*version));
        Ok(Some(StoredRecord::new(record, version, LastUsed::NotTracked)))
    }

    /// The record, if it has the version that the caller read.
    fn expect(&self, id: TokenId, expected: Version) -> Result<StoredRecord, StoreError> {
        let present = self.read(id)?.filter(|present| present.version == expected);
        present.ok_or(StoreError::Conflict)
    }

    /// Writes beside, then renames: after a crash the old file is there, or the new one.
    fn write(&self, record: &Record, version: Version) -> Result<Version, StoreError> {
        let path = self.path(record.id());
        let beside = path.with_extension("new");
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&version.0.to_be_bytes())?;
            file.write_all(&record.to_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&beside, &path)).map_err(StoreError::unavailable)?;
        self.sync()?;
        Ok(version)
    }

    /// Until the directory is on disk, a file that came or went may do so again.
    fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(StoreError::indeterminate)
    }

    fn ids(&self) -> io::Result<Vec<TokenId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            // The lock and what is being written are no records; their names do not parse.
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
        let _lock = self.lock()?;
        match self.read(record.id())? {
            Some(_) => Err(StoreError::Exists),
            None => self.write(record, Version(1)),
        }
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.read(id)
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let _lock = self.lock()?;
        let present = self.expect(record.id(), expected)?;
        StoreError::check_replacement(&present.record, record)?;
        self.write(record, Version(expected.0 + 1))
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
            if items.len() == query.limit {
                let next = items.last().map(|last: &StoredRecord| last.record.id());
                return Ok(Page::new(items, next));
            }
            // A record that was removed since the directory was read is passed over.
            let stored = self.read(id)?;
            items.extend(stored.filter(|s| query.filter.matches(&s.record, s.last_used, now)));
        }
        Ok(Page::new(items, None))
    }
}

/// Gives each promise a directory of its own, and shows the suite all that this store can do.
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
            println!("\nThis store keeps every promise that could be checked.");
            ExitCode::SUCCESS
        }
        broken => {
            println!("\nThis store breaks {broken} of its promises: do not use it yet.");
            ExitCode::FAILURE
        }
    }
}
