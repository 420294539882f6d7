//! The settings of the service, which are its prefix, token types, policy and store. Change this file for
//! a tool of your own.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use service_tokens::file::{FileStoreOptions, OpenError, OpenWarning};
use service_tokens::steps::Prefix;
use service_tokens::{
    FileStore, InvalidScope, MemoryStore, Policy, TokenService, TokenServiceBuilder, TokenStore,
    TokenType,
};

use crate::events::{EventsFile, EventsOption};
use crate::exit::{Exit, with_causes};
use crate::import_form::FormOption;
use crate::output::note;
use crate::own_files;
use crate::progress::Progress;
use crate::session::Session;
use crate::stdio;

const PREFIX: &str = "acme_live";

const DEFAULT_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

fn types() -> Result<Vec<TokenType>, InvalidScope> {
    Ok(vec![
        TokenType::new("connector", ["files:upload"])?.with_description("may upload files"),
        TokenType::new("developer", ["*"])?
            .with_description("for all available APIs. Handle it with caution"),
        // A token can issue only tokens whose scopes it has itself, so this type needs `*`.
        TokenType::new("manager", ["*", "service-tokens:*"])?
            .with_description("may manage tokens, and use every API"),
    ])
}

const ACCESS_HINT: &str = "the events file needs the owner, group and mode of the token file";

/// The access to the file that a verb needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads. Other programs can read the file at the same time.
    Read,
    /// Reads and writes a file that exists.
    Write,
    /// Reads and writes a file that exists, to revoke or to suspend. If the events file next to it cannot be
    /// opened, the command continues and shows its events.
    Revoke,
    /// Reads and writes, and creates the file if it is missing.
    WriteOrCreate,
}

/// The values of the options for every verb.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) file: Option<PathBuf>,
    pub(crate) prefix: Option<Prefix>,
    pub(crate) accepted: Vec<Prefix>,
    pub(crate) types: Vec<TokenType>,
    pub(crate) import_forms: Vec<FormOption>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) allow_never: bool,
    pub(crate) events: EventsOption,
    /// The person or program that acts, for events that have no such field.
    pub(crate) events_by: Option<String>,
    /// The file of rows to import.
    pub(crate) rows: Option<PathBuf>,
    /// Whether the verb reads events, so that its input may be the events file.
    pub(crate) reads_events: bool,
}

impl Settings {
    /// Returns the prefix of new tokens, then the older prefixes that are also accepted.
    pub(crate) fn prefixes(&self) -> Result<Vec<Prefix>, Exit> {
        let own = match &self.prefix {
            Some(prefix) => prefix.clone(),
            None => Prefix::new(PREFIX).map_err(|error| Exit::failed(&error))?,
        };
        Ok([own].into_iter().chain(self.accepted.iter().cloned()).collect())
    }

    /// Returns the token types of the service.
    pub(crate) fn types(&self) -> Result<Vec<TokenType>, Exit> {
        let types = match self.types.is_empty() {
            true => types().map_err(|error| Exit::failed(&error))?,
            false => self.types.clone(),
        };
        for (i, token_type) in types.iter().enumerate() {
            if types[..i].iter().any(|earlier| earlier.name() == token_type.name()) {
                return Err(Exit::Usage(format!(
                    "--type-def: the type {} is given twice",
                    token_type.name()
                )));
            }
        }
        Ok(types)
    }

    /// Opens the file and builds the service. Errors in these options are found before the file is
    /// opened.
    pub(crate) fn open(self, access: Access) -> Result<Session, Exit> {
        let path = self.path()?;
        self.build(MemoryStore::new())?;
        if access != Access::Read {
            stdio::require_stderr()?;
        } else {
            return Ok(Session::new(self.build(open_store(&path, access)?)?, None));
        }
        // A refused events file must not leave an empty token file behind.
        let events_before = match path.exists() {
            true => None,
            false => self.open_events(&path, access)?,
        };
        let store = open_store(&path, access)?;
        let events = match events_before {
            None => self.open_events(&path, access)?,
            before => before,
        };
        let events = match events {
            Some(events) => Some(self.place_events(events, &store, access)?),
            None => None,
        };
        let mut builder = self.builder(store)?;
        if let Some(events) = &events {
            builder = builder.events(events.clone());
        }
        Ok(Session::new(builder.build().map_err(|error| Exit::failed(&error))?, events))
    }

    fn open_events(&self, tokens: &Path, access: Access) -> Result<Option<EventsFile>, Exit> {
        let Some(path) = self.events.path(tokens) else { return Ok(None) };
        let by = self.events_by.clone();
        let opened = own_files::refuse_as_events(&path, tokens, self)
            .and_then(|()| EventsFile::open(&path, by));
        opened.or_else(|error| self.without_events(&path, error, access)).map(Some)
    }

    /// Puts a new events file in place, with the access of the token file.
    fn place_events(
        &self,
        events: EventsFile,
        store: &FileStore,
        access: Access,
    ) -> Result<EventsFile, Exit> {
        let created_by_superuser = store
            .open_report()
            .warnings
            .iter()
            .any(|warning| matches!(warning, OpenWarning::CreatedBySuperuser { .. }));
        match events.put_in_place(store.path()) {
            Ok(true) if created_by_superuser => {
                note(format_args!(
                    "warning: run the same chown on the events file {}",
                    events.path().display()
                ));
                Ok(events)
            }
            Ok(_) => Ok(events),
            Err(error) => self.without_events(events.path(), error, access),
        }
    }

    /// Returns a file that shows its events at the end, if the command must not fail because of the events
    /// file. Otherwise returns the error.
    fn without_events(
        &self,
        path: &Path,
        error: io::Error,
        access: Access,
    ) -> Result<EventsFile, Exit> {
        let failure = format!("the events file {} cannot be opened: {error}", path.display());
        if access == Access::Revoke && self.events == EventsOption::NextToTokens {
            note(format_args!(
                "warning: {failure}: this command continues, and shows its events on standard error\n\
                 hint: {ACCESS_HINT}",
            ));
            return Ok(EventsFile::unopened(path, self.events_by.clone(), error));
        }
        let access_hint = match error.kind() {
            ErrorKind::PermissionDenied => format!("\nhint: {ACCESS_HINT}"),
            _ => String::new(),
        };
        Err(Exit::Failed(format!(
            "{failure}: nothing was changed\n\
             hint: --events FILE sets another file, and --no-events writes none{access_hint}"
        )))
    }

    /// Returns the paths of the HMAC keys of older systems.
    pub(crate) fn key_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.import_forms.iter().filter_map(|form| form.key_file.as_ref())
    }

    /// Returns the path of the token file.
    pub(crate) fn path(&self) -> Result<PathBuf, Exit> {
        let variable = || std::env::var_os("TOKENS_FILE").filter(|path| !path.is_empty());
        let path = self.file.clone().or_else(|| variable().map(|path: OsString| path.into()));
        path.ok_or_else(|| {
            Exit::Usage(
                "the token file is missing: set --file PATH or the variable TOKENS_FILE".into(),
            )
        })
    }

    /// Builds the service over a store.
    pub(crate) fn build<S: TokenStore>(&self, store: S) -> Result<TokenService<S>, Exit> {
        self.builder(store)?.build().map_err(|error| Exit::failed(&error))
    }

    fn builder<S: TokenStore>(&self, store: S) -> Result<TokenServiceBuilder<S>, Exit> {
        let types = self.types()?;
        let mut policy = Policy::new().allow_never(self.allow_never);
        if let Some(max_lifetime) = self.max_lifetime {
            policy = policy.max_lifetime(max_lifetime);
            policy = policy.default_lifetime(DEFAULT_LIFETIME.min(max_lifetime));
        }
        let [own, accepted @ ..] = &*self.prefixes()? else {
            return Err(Exit::Usage("--prefix is missing".into()));
        };
        let mut builder = TokenService::builder(store, own.as_str()).policy(policy);
        for prefix in accepted {
            builder = builder.accept_prefix(prefix.as_str());
        }
        for token_type in types {
            builder = builder.token_type(token_type);
        }
        for FormOption { form, .. } in &self.import_forms {
            builder = builder.import_form(form.clone());
        }
        Ok(builder)
    }
}

fn open_store(path: &Path, access: Access) -> Result<FileStore, Exit> {
    let mut progress = Progress::new("reading the file");
    let options = FileStoreOptions::new()
        .read_only(access == Access::Read)
        .must_exist(access != Access::WriteOrCreate)
        .on_progress(move |at| progress.update(at.bytes_read, at.bytes_total));
    let store = options.open(path).map_err(|error| Exit::Failed(open_failure(&error, access)))?;
    let report = store.open_report();
    if report.created {
        note(format_args!("Created {}.", store.path().display()));
    }
    for warning in &report.warnings {
        note(format_args!("warning: {warning}"));
    }
    if access != Access::Read && store.is_read_only() {
        return Err(Exit::Failed(format!(
            "{} cannot be written: nothing was changed",
            store.path().display()
        )));
    }
    Ok(store)
}

/// Returns the error message, with a hint how to continue.
fn open_failure(error: &OpenError, access: Access) -> String {
    let message = with_causes(error);
    match error {
        OpenError::Locked { .. } => format!(
            "{message}\nhint: another process, probably the service, has the file open; stop it, or use the \
             service's own API"
        ),
        OpenError::Damaged { .. } => format!(
            "{message}\nhint: restore a copy; the whole file is refused because a partial read could make a \
             revoked token valid again; this file was not changed"
        ),
        OpenError::Io { source, path, .. }
            if source.kind() == ErrorKind::NotFound && access != Access::WriteOrCreate =>
        {
            format!(
                "there is no file {}: only `service-tokens issue` and `import` create one",
                path.display()
            )
        }
        _ => message,
    }
}
