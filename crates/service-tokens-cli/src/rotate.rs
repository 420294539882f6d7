//! `tokens rotate`

use futures_lite::future::block_on;
use service_tokens::RotateRequest;
use service_tokens::record::ReplacedSecret;

use crate::args::Words;
use crate::handover::hand_over;
use crate::settings::Access;
use crate::stop::{Stop, note};
use crate::text::{end, time, which};
use crate::value::{self, End};

pub(crate) const HELP: &str = "\
Gives a token a new secret and prints the new token, this once, alone on
standard output. The id stays.

  tokens rotate ID --at-once          the old secret ends now: it leaked
  tokens rotate ID --overlap 24h      both are accepted for so long, at most 30d
  tokens rotate ID --until-first-use 24h
                                      the old secret ends when the new one is
                                      first used, after so long at the latest;
                                      `tokens verify` is no use

  --replacing newest    while an overlap runs: the newest secret was lost
  --replacing oldest    while an overlap runs: the oldest secret ends now
  --expires WHEN        a new end, as in `tokens issue`; otherwise it stays

`tokens --help` lists the options for every verb. Mind --prefix: the new token
gets it.
";

fn replaces(text: &str) -> Result<ReplacedSecret, String> {
    match text {
        "newest" => Ok(ReplacedSecret::Newest),
        "oldest" => Ok(ReplacedSecret::Oldest),
        _ => Err("must be newest or oldest".into()),
    }
}

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let (mut at_once, mut overlap, mut first_use) = (false, None, None);
    let (mut replacing, mut expires) = (None, None);
    while let Some(option) = words.next_option()? {
        match &*option {
            "at-once" => words.flag(&mut at_once)?,
            "overlap" => words.set(&mut overlap, value::duration)?,
            "until-first-use" => words.set(&mut first_use, value::duration)?,
            "replacing" => words.set(&mut replacing, replaces)?,
            "expires" => words.set(&mut expires, End::read)?,
            _ => return Err(words.unknown(&option)),
        }
    }
    let id = words.id()?;
    let mut request = match (at_once, overlap, first_use) {
        (true, None, None) => RotateRequest::at_once(),
        (false, Some(overlap), None) => RotateRequest::with_overlap(overlap),
        (false, None, Some(latest)) => RotateRequest::until_first_use(latest),
        (false, None, None) => {
            return Err(words.mistake("--at-once, --overlap or --until-first-use is missing"));
        }
        _ => {
            let three = "--at-once, --overlap and --until-first-use exclude each other";
            return Err(words.mistake(three));
        }
    };
    if let Some(which) = replacing {
        request = request.replacing(which);
    }
    if let Some(expires) = expires {
        request = expires.of_rotation(request);
    }

    let service = words.settings.open(Access::Change)?;
    let rotated = block_on(service.all_owners().rotate(id, request))?;
    // Whoever reads the token from a pipe may want the file.
    drop(service);
    let record = &rotated.record;
    let older = match record.overlap(record.secret_created_at()) {
        Some(overlap) if overlap.ends_on_first_use => format!(
            "The older secret ends when the new one is first used, at the latest: {}.",
            time(overlap.ends_at)
        ),
        Some(overlap) => format!("The older secret ends: {}.", time(overlap.ends_at)),
        None => "The older secret has ended.".into(),
    };
    note(format_args!(
        "Rotated {}.\n{older} The token expires: {}. It is shown this once:",
        which(record),
        end(record.expires_at()),
    ));
    hand_over(&rotated)
}
