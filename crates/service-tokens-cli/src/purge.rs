//! `tokens purge`

use futures_lite::future::block_on;

use crate::args::Words;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::prompt::agree;
use crate::settings::Access;
use crate::stop::{Stop, note, print};
use crate::text::time;
use crate::value;

pub(crate) const HELP: &str = "\
Removes the records of tokens that have been expired or revoked for long, and
with them who revoked them, when and why. No token is deader for it: this is
for keeping house, not for an incident. Shows how many they are and asks. Then
the file is written anew, so that it gets smaller.

  tokens purge --retention 180d [OPTIONS]

  --retention DURATION    what has been dead for longer than this goes; at
                          least 1d
  --owner OWNER           only this owner's
  --dry-run               print how many they are, and change nothing
  --yes                   do not ask

`tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let (mut retention, mut owner, mut dry_run, mut yes) = (None, None, false, false);
    while let Some(option) = words.next_option()? {
        match &*option {
            "retention" => words.set(&mut retention, value::duration)?,
            "owner" => words.set(&mut owner, value::text)?,
            "dry-run" => words.flag(&mut dry_run)?,
            "yes" => words.flag(&mut yes)?,
            _ => return Err(words.unknown(&option)),
        }
    }
    let [] = words.operands([])?;
    let retention = words.required(retention, "retention")?;

    let access = if dry_run { Access::Read } else { Access::Change };
    let service = words.settings.open(access)?;
    let view = service.owner_or_all(owner.as_deref());
    let count = block_on(view.purge(retention).count())?;
    if dry_run {
        return print(count);
    }
    if count == 0 {
        note("No such records. Nothing changed.");
        return Ok(());
    }
    if !yes {
        // On a wrong clock what died today is long dead.
        note(format_args!(
            "{count} records. By this machine's clock it is {}.\nWhat is removed cannot be recovered.",
            time(service.now())
        ));
        agree("Remove them?")?;
    }
    let mut progress = Progress::new("removing");
    let removals = view.purge(retention).on_progress(|at| progress.show(at.found, count));
    let mut outcome = Outcome::default();
    outcome.add(block_on(removals.run()));
    drop(progress);
    outcome.tell("Removed", "records", &service)
}
