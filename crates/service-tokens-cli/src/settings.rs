//! What belongs to the service whose tokens these are: change this file for a tool of your own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use service_tokens::file::{FileStoreOptions, OpenError};
use service_tokens::steps::Prefix;
use service_tokens::{
    FileStore, InvalidScope, MemoryStore, Policy, TokenService, TokenStore, TokenType,
};

use crate::progress::Progress;
use crate::stop::{Stop, chain, note};

const PREFIX: &str = "acme_live";

const DEFAULT_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

fn types() -> Result<Vec<TokenType>, InvalidScope> {
    Ok(vec![
        TokenType::new("connector", ["files:upload"])?.with_description("may upload files"),
        TokenType::new("developer", ["*"])?
            .with_description("for all available APIs. Handle it with caution"),
        // It issues nothing that may do more than itself, hence `*`.
        TokenType::new("manager", ["*", "service-tokens:*"])?
            .with_description("may manage tokens, and use every API"),
    ])
}

/// What a verb does with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Others may read it at the same time.
    Read,
    Change,
    /// The only one that creates the file.
    ChangeOrCreate,
}

/// What the options for every verb say.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) file: Option<PathBuf>,
    pub(crate) prefix: Option<Prefix>,
    pub(crate) accepted: Vec<Prefix>,
    pub(crate) types: Vec<TokenType>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) allow_never: bool,
}

impl Settings {
    /// The prefix of new tokens first, then the others that are accepted.
    pub(crate) fn prefixes(&self) -> Result<Vec<Prefix>, Stop> {
        let own = match &self.prefix {
            Some(prefix) => prefix.clone(),
            None => Prefix::new(PREFIX).map_err(|error| Stop::failed(&error))?,
        };
        Ok([own].into_iter().chain(self.accepted.iter().cloned()).collect())
    }

    /// The types of the service.
    pub(crate) fn types(&self) -> Result<Vec<TokenType>, Stop> {
        let types = match self.types.is_empty() {
            true => types().map_err(|error| Stop::failed(&error))?,
            false => self.types.clone(),
        };
        for (i, token_type) in types.iter().enumerate() {
            if types[..i].iter().any(|earlier| earlier.name() == token_type.name()) {
                return Err(Stop::Usage(format!("type {} is given twice", token_type.name())));
            }
        }
        Ok(types)
    }

    /// Opens the file and puts the service together. Mistakes in these options are found before the
    /// file is touched.
    pub(crate) fn open(self, access: Access) -> Result<TokenService<FileStore>, Stop> {
        let variable = || std::env::var_os("TOKENS_FILE").filter(|path| !path.is_empty());
        let path = self.file.clone().or_else(|| variable().map(|path: OsString| path.into()));
        let path = path.ok_or_else(|| {
            Stop::Usage(
                "no file is given: --file PATH names it, or the variable TOKENS_FILE".into(),
            )
        })?;
        self.over(MemoryStore::new())?;
        self.over(open_store(&path, access)?)
    }

    /// The service over any store.
    pub(crate) fn over<S: TokenStore>(&self, store: S) -> Result<TokenService<S>, Stop> {
        let types = self.types()?;
        let mut policy = Policy::new().allow_never(self.allow_never);
        if let Some(longest) = self.max_lifetime {
            policy = policy.max_lifetime(longest);
            policy = policy.default_lifetime(DEFAULT_LIFETIME.min(longest));
        }
        let [own, accepted @ ..] = &*self.prefixes()? else {
            return Err(Stop::Usage("there is no prefix".into()));
        };
        let mut builder = TokenService::builder(store, own.as_str()).policy(policy);
        for prefix in accepted {
            builder = builder.accept_prefix(prefix.as_str());
        }
        for token_type in types {
            builder = builder.token_type(token_type);
        }
        builder.build().map_err(|error| Stop::failed(&error))
    }
}

fn open_store(path: &PathBuf, access: Access) -> Result<FileStore, Stop> {
    let mut progress = Progress::new("reading the file");
    let options = FileStoreOptions::new()
        .read_only(access == Access::Read)
        .must_exist(access != Access::ChangeOrCreate)
        .on_progress(move |at| progress.show(at.bytes_read, at.bytes_total));
    let store = options.open(path).map_err(|error| Stop::Failed(not_opened(&error, access)))?;
    let opening = store.opening();
    if opening.created {
        note(format_args!("Created {}.", store.path().display()));
    }
    if let Some(cut_off) = opening.cut_off {
        note(format_args!(
            "An unfinished write of {} bytes at the end of the file is left out: nobody was told that \
             it succeeded.",
            cut_off.bytes
        ));
    }
    if access != Access::Read && store.is_read_only() {
        return Err(Stop::Failed(format!(
            "{} cannot be written to: nothing was changed",
            store.path().display()
        )));
    }
    Ok(store)
}

/// What went wrong, and the way on.
fn not_opened(error: &OpenError, access: Access) -> String {
    let told = chain(error);
    match error {
        OpenError::Locked { .. } => format!(
            "{told}\nAnother process has it open, a service perhaps. Stop that, or do this through \
             it. Nothing was changed."
        ),
        OpenError::Damaged { .. } => format!(
            "{told}\nThe file is refused as a whole, because a part of it could bring a revoked token \
             back: restore a copy. This file was not changed."
        ),
        OpenError::Io { source, path, .. }
            if source.kind() == ErrorKind::NotFound && access != Access::ChangeOrCreate =>
        {
            format!("there is no file {}: only `tokens issue` creates one", path.display())
        }
        _ => told,
    }
}
