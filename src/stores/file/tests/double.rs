//! A directory that fails according to a plan, and records its calls.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::stores::file::access::FileAccess;
use crate::stores::file::disk::{Directory, Disk, RealDirectory};
use crate::stores::file::lock::{Lock, NotLocked};
use crate::stores::file::options::FileStoreOptions;

/// A call to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Write(PathBuf, u64, Vec<u8>),
    Sync(PathBuf),
    SetLen(PathBuf, u64),
    Create(PathBuf),
    Rename(PathBuf, PathBuf),
    SyncDirectory,
    /// Gives a file an owner and a group, or the mode as well.
    Give(PathBuf),
    Remove(PathBuf),
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Obey,
    /// Does nothing and fails.
    Fail(io::ErrorKind),
    /// Does nothing and fails with this error of the operating system.
    FailCode(i32),
    /// Writes half of the bytes, or does all of another call, and fails.
    FailAfter(io::ErrorKind),
    Panic,
}

type Plan = Box<dyn FnMut(usize, &Call) -> Behaviour + Send>;

/// Passes every call on to the real disk unless the plan for the n-th call says otherwise.
#[derive(Clone)]
pub(super) struct Double(Arc<Mutex<Recorded>>);

struct Recorded {
    plan: Plan,
    calls: usize,
    log: Vec<Call>,
}

impl Double {
    pub(super) fn new(plan: impl FnMut(usize, &Call) -> Behaviour + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Recorded { plan: Box::new(plan), calls: 0, log: Vec::new() })))
    }

    pub(super) fn directory(&self) -> Arc<dyn Directory> {
        Arc::new(self.clone())
    }

    /// Returns the options of a store on this double.
    pub(super) fn under(&self, mut options: FileStoreOptions) -> FileStoreOptions {
        options.directory = self.directory();
        options
    }

    /// Returns the calls so far that succeeded.
    pub(super) fn log(&self) -> Vec<Call> {
        self.0.lock().unwrap().log.clone()
    }

    pub(super) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(super) fn set_plan(&self, plan: impl FnMut(usize, &Call) -> Behaviour + Send + 'static) {
        self.0.lock().unwrap().plan = Box::new(plan);
    }

    fn run<T>(&self, call: Call, work: impl FnOnce(bool) -> io::Result<T>) -> io::Result<T> {
        // Locked during the call, so that the log has the order of the calls.
        let mut state = self.0.lock().unwrap();
        let number = state.calls;
        state.calls += 1;
        match (state.plan)(number, &call) {
            Behaviour::Obey => {
                state.log.push(call);
                work(true)
            }
            Behaviour::Fail(kind) => Err(kind.into()),
            Behaviour::FailCode(code) => Err(io::Error::from_raw_os_error(code)),
            Behaviour::FailAfter(kind) => {
                let _ = work(false);
                Err(kind.into())
            }
            Behaviour::Panic => {
                // The lock must not be poisoned, because later calls need it.
                drop(state);
                panic!("a planned panic");
            }
        }
    }

    fn disk(&self, path: &Path, real: Box<dyn Disk>) -> Box<dyn Disk> {
        Box::new(DoubleDisk { double: self.clone(), path: path.to_owned(), real })
    }
}

impl Directory for Double {
    fn adopt(&self, file: File, path: &Path) -> Box<dyn Disk> {
        self.disk(path, RealDirectory.adopt(file, path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Disk>> {
        let real = self.run(Call::Create(path.to_owned()), |_| RealDirectory.create(path))?;
        Ok(self.disk(path, real))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        // A failing rename may have taken effect.
        self.run(Call::Rename(from.to_owned(), to.to_owned()), |_| RealDirectory.rename(from, to))
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        self.run(Call::SyncDirectory, |_| RealDirectory.sync(file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.run(Call::Remove(path.to_owned()), |_| RealDirectory.remove(path))
    }
}

struct DoubleDisk {
    double: Double,
    path: PathBuf,
    real: Box<dyn Disk>,
}

impl Disk for DoubleDisk {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let call = Call::Write(self.path.clone(), offset, bytes.to_vec());
        self.double.run(call, |obeyed| {
            let written = if obeyed { bytes.len() } else { bytes.len() / 2 };
            self.real.write_at(offset, &bytes[..written])
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.double.run(Call::Sync(self.path.clone()), |_| self.real.sync())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.double.run(Call::Sync(self.path.clone()), |_| self.real.sync_all())
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let call = Call::SetLen(self.path.clone(), length);
        self.double.run(call, |_| self.real.set_len(length))
    }

    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.real.is_at(path)
    }

    fn names(&self) -> io::Result<u64> {
        self.real.names()
    }

    fn access(&self) -> io::Result<Option<FileAccess>> {
        self.real.access()
    }

    fn give_owner(&self, access: FileAccess) -> io::Result<()> {
        self.double.run(Call::Give(self.path.clone()), |_| self.real.give_owner(access))
    }

    fn give(&self, access: FileAccess) -> io::Result<()> {
        self.double.run(Call::Give(self.path.clone()), |_| self.real.give(access))
    }

    fn lock(&self) -> Result<Option<Lock>, NotLocked> {
        self.real.lock()
    }
}
