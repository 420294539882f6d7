//! `service-tokens resume`

use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::record::{Suspension, SuspensionMatch};
use service_tokens::{Filter, ManageError, ResumeRequest, Resumed, State, TokenId};

use crate::args::Args;
use crate::bulk;
use crate::descendants;
use crate::exit::Exit;
use crate::output::{description, note};
use crate::prompt::confirm;
use crate::session::Session;
use crate::settings::Access;
use crate::several;
use crate::suspensions::{Matching, NO_SUCH, Named, named_help, others, running};
use crate::value;

pub(crate) const HELP: &str = concat!(
    "\
Resumes suspended tokens, which are then accepted again with the secrets that
they had. Without a named suspension it ends all suspensions of the tokens. With
one it ends only that suspension, and a token with others stays suspended. The
command shows the suspensions that will end, and asks for a confirmation, which
is y or yes on standard input.

  service-tokens resume ID... [OPTIONS]
  service-tokens resume - --yes [OPTIONS] < ids
                            reads the ids from standard input, one per line

",
    named_help!(),
    "  --with-descendants        also resume the tokens that were issued by these
                            tokens, directly or through other tokens; needs a
                            named suspension
  --by TEXT                 the person or program that resumes them
  --yes                     do not ask for a confirmation

`service-tokens show` shows the suspensions of a token. With several ids, an
unknown id does not stop the others, but the exit status is then 1. After
several ids the command compacts the file.

`service-tokens --help` lists the options for every verb.
"
);

/// A resumption that the command line describes.
struct Resumption {
    which: Option<SuspensionMatch>,
    request: ResumeRequest,
    yes: bool,
}

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let mut named = Named::default();
    let (mut by, mut with_descendants, mut yes) = (None, false, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "with-descendants" => args.flag(&mut with_descendants)?,
            "by" => args.set(&mut by, value::text)?,
            "yes" => args.flag(&mut yes)?,
            _ if named.take(&option, &mut args)? => {}
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let which = match with_descendants {
        true => Some(named.required(&args, "--with-descendants")?),
        false => named.which(&args)?,
    };
    let ids = several::ids(&args, yes)?;
    let resumption = Resumption { which, request: resume_request(by), yes };
    let service = args.settings.open(Access::Write)?;
    match (&resumption.which, &ids[..]) {
        (Some(which), _) if with_descendants => resumption.with_descendants(&service, &ids, which),
        (_, [id]) => resumption.one(&service, *id),
        _ => resumption.several(&service, &ids),
    }
}

/// Returns a request with the value of `--by`.
pub(crate) fn resume_request(by: Option<String>) -> ResumeRequest {
    match by {
        Some(by) => ResumeRequest::new().by(by),
        None => ResumeRequest::new(),
    }
}

impl Resumption {
    fn one(&self, service: &Session, id: TokenId) -> Result<(), Exit> {
        let record = block_on(service.all_owners().get(id))?.record;
        let mut matching = self.matching(service);
        matching.add(&record);
        self.confirm(&matching)?;
        let resumed = self.resume(service, id)?;
        service.settle();
        let token = description(&record);
        let remaining: Vec<&Suspension> =
            running(resumed.record.suspensions(), service.now()).collect();
        let still = || format!("{token} is still suspended by {}.", others(&remaining));
        if !resumed.ended.is_empty() && !has_running(&resumed.ended, service.now()) {
            note(format_args!("Removed the suspensions of {token} that had passed."));
            return Ok(());
        }
        match (resumed.ended.is_empty(), remaining.is_empty()) {
            (false, true) => note(format_args!("Resumed {token}.")),
            (false, false) => note(format_args!("Ended this suspension. {}", still())),
            (true, false) => note(format_args!("{NO_SUCH}\n{}", still())),
            (true, true) if self.which.is_some() => note(NO_SUCH),
            (true, true) => note(format_args!("{token} was not suspended. Nothing changed.")),
        }
        Ok(())
    }

    fn several(&self, service: &Session, ids: &[TokenId]) -> Result<(), Exit> {
        let found = several::find(service.all_owners(), ids)?;
        let mut matching = self.matching(service);
        found.records.iter().for_each(|record| matching.add(record));
        self.confirm(&matching)?;
        let now = service.now();
        let outcome = found
            .each("resuming", service, |id| Ok(has_running(&self.resume(service, id)?.ended, now)));
        matching.report(outcome, service)?;
        found.expect_known(ids)
    }

    fn with_descendants(
        &self,
        service: &Session,
        ids: &[TokenId],
        which: &SuspensionMatch,
    ) -> Result<(), Exit> {
        let view = service.all_owners();
        let found = several::find(view, ids)?;
        let mut matching = self.matching(service);
        found.records.iter().for_each(|record| matching.add(record));
        for id in ids {
            let below = Filter::new().issuer(*id).states(State::Suspended);
            descendants::for_each(view, below, |record| matching.add(record))?;
        }
        self.confirm(&matching)?;
        let outcome = bulk::run_each("resuming", matching.len(), ids, |id, update| {
            let run = view.resume_with_descendants(id, which.clone(), self.request.clone());
            block_on(run.on_progress(update).run())
        });
        matching.report(outcome, service)?;
        found.expect_known(ids)
    }

    fn matching(&self, service: &Session) -> Matching {
        Matching::new(self.which.clone(), service.now())
    }

    fn confirm(&self, matching: &Matching) -> Result<(), Exit> {
        if self.yes || matching.len() == 0 {
            return Ok(());
        }
        note(matching.notes());
        confirm(&matching.question())
    }

    fn resume(&self, service: &Session, id: TokenId) -> Result<Resumed, ManageError> {
        let (view, request) = (service.all_owners(), self.request.clone());
        match &self.which {
            Some(which) => block_on(view.resume_only(id, which.clone(), request)),
            None => block_on(view.resume(id, request)),
        }
    }
}

/// Returns whether one of the suspensions has not passed.
fn has_running(suspensions: &[Suspension], now: DateTime<Utc>) -> bool {
    running(suspensions, now).next().is_some()
}
