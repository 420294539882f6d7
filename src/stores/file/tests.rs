//! The file store under kills, damage, failing disks and load.

#[cfg(unix)]
mod access;
mod basics;
mod batches;
mod causes;
mod compactable;
mod damage;
mod double;
mod executors;
mod faults;
mod golden;
#[cfg(unix)]
mod irregular;
mod kill;
mod measure;
mod model;
#[cfg(unix)]
mod others;
mod pace;
mod panics;
mod power;
mod replay_blocks;
mod tails;
mod versions;
#[cfg(unix)]
mod volumes;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};
use tempfile::TempDir;

use super::{FileStore, FileStoreOptions};
use crate::clock::from_micros;
use crate::digest::StoredDigest;
use crate::network::NetworkSet;
use crate::record::{NewRecord, OlderEnds, Record, Rotation, Times};
use crate::scope::ScopeSet;
use crate::token::TokenId;

use futures_lite::future::block_on;

/// A directory for the store of one test.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Creates the directory in memory if possible, for tests that open thousands of files and do
    /// not test the disk.
    fn in_memory() -> Self {
        let shm = Path::new("/dev/shm");
        let directory = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Self { directory: directory.unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tokens.journal")
    }

    fn open(&self) -> FileStore {
        FileStore::open(self.path()).unwrap()
    }

    /// Opens a store that compacts only on request.
    fn open_quiet(&self) -> FileStore {
        FileStoreOptions::new().compact_above(u64::MAX).open(self.path()).unwrap()
    }
}

fn now() -> DateTime<Utc> {
    from_micros(1_790_000_000_000_000)
}

fn id(n: u64) -> TokenId {
    // Like ids of version 7: in order, and with a last byte that looks random.
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes[8..].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    TokenId::from_bytes(bytes)
}

fn digest(n: u64) -> StoredDigest {
    let mut bytes = [0x5a; 37];
    bytes[0] = 1;
    bytes[29..].copy_from_slice(&n.to_be_bytes());
    StoredDigest::from_bytes(&bytes)
}

fn new_record<'r>(
    n: u64,
    scopes: &'r ScopeSet,
    nothing: &'r std::collections::BTreeMap<String, String>,
) -> NewRecord<'r> {
    NewRecord {
        id: id(n),
        owner: "acme",
        token_type: "connector",
        issued_to: "backup service",
        scopes,
        created_at: now(),
        not_before: None,
        expires_at: Some(now() + Duration::days(90)),
        digest: digest(n),
        issued_by: None,
        issuers: &[],
        metadata: nothing,
        networks: None,
        imported_at: None,
    }
}

fn record(n: u64) -> Record {
    let scopes = ScopeSet::new(["files:read", "files:upload"]).unwrap();
    Record::new(&new_record(n, &scopes, &Default::default())).unwrap()
}

/// Returns a record with networks and metadata.
fn restricted(n: u64) -> Record {
    let networks = NetworkSet::parse(["10.0.0.0/8", "2001:db8::/32"]).unwrap();
    let scopes = ScopeSet::new(["files:read"]).unwrap();
    let metadata = [("team".to_owned(), "storage".to_owned())].into();
    let new = new_record(n, &scopes, &metadata);
    Record::new(&NewRecord { networks: Some(&networks), ..new }).unwrap()
}

fn revoked(record: &Record) -> Record {
    record.revoke(now(), Some("admin"), Some("leaked")).unwrap().unwrap()
}

fn rotated(record: &Record, n: u64) -> Record {
    let older_ends = OlderEnds::At(now() + Duration::days(1));
    let replaces = Some(crate::record::ReplacedSecret::Oldest);
    let rotation = Rotation {
        digest: digest(n),
        older_ends,
        replaces,
        expires_at: None,
        by: None,
        on_behalf_of: None,
        made_with: None,
    };
    record.rotate(Times::at(now()), &rotation).unwrap()
}
