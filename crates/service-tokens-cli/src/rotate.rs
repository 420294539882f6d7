//! `service-tokens rotate`

use futures_lite::future::block_on;
use service_tokens::RotateRequest;
use service_tokens::record::ReplacedSecret;

use crate::args::Args;
use crate::exit::Exit;
use crate::output::{description, expiry, note, print_token, time};
use crate::settings::Access;
use crate::value::{self, Expiry};

pub(crate) const HELP: &str = "\
Gives a token a new secret and prints the new token once, alone on standard
output. The id does not change.

  service-tokens rotate ID --at-once  [OPTIONS]
  service-tokens rotate ID --overlap 24h  [OPTIONS]
  service-tokens rotate ID --until-first-use 24h  [OPTIONS]

  --at-once             the old secret ends now; use this if the token leaked
  --overlap DURATION    both secrets are accepted for this duration, at most 30d
  --until-first-use DURATION
                        the old secret ends when the new one is first used, or
                        after this duration, at most 30d; `service-tokens
                        verify` does not count as a use
  --replacing newest    during an overlap: replace the newest secret, because it
                        was lost
  --replacing oldest    during an overlap: end the oldest secret now
  --expires WHEN        a new expiry, as in `service-tokens issue` (default: the
                        expiry does not change)

`service-tokens --help` lists the options for every verb. The new token gets the
prefix of --prefix.
";

fn replaced_secret(text: &str) -> Result<ReplacedSecret, String> {
    match text {
        "newest" => Ok(ReplacedSecret::Newest),
        "oldest" => Ok(ReplacedSecret::Oldest),
        _ => Err("must be newest or oldest".into()),
    }
}

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut at_once, mut overlap, mut first_use) = (false, None, None);
    let (mut replacing, mut expires) = (None, None);
    while let Some(option) = args.next_option()? {
        match &*option {
            "at-once" => args.flag(&mut at_once)?,
            "overlap" => args.set(&mut overlap, value::duration)?,
            "until-first-use" => args.set(&mut first_use, value::duration)?,
            "replacing" => args.set(&mut replacing, replaced_secret)?,
            "expires" => args.set(&mut expires, Expiry::parse)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let id = args.id()?;
    let mut request = match (at_once, overlap, first_use) {
        (true, None, None) => RotateRequest::at_once(),
        (false, Some(overlap), None) => RotateRequest::with_overlap(overlap),
        (false, None, Some(latest)) => RotateRequest::until_first_use(latest),
        (false, None, None) => {
            return Err(args.usage_error("--at-once, --overlap or --until-first-use is missing"));
        }
        _ => {
            let error = "--at-once, --overlap and --until-first-use exclude each other";
            return Err(args.usage_error(error));
        }
    };
    if let Some(secret) = replacing {
        request = request.replacing(secret);
    }
    if let Some(expires) = expires {
        request = expires.set_in_rotation(request);
    }

    let service = args.settings.open(Access::Write)?;
    let rotated = block_on(service.all_owners().rotate(id, request))?;
    // The program that reads the token from a pipe may open the file at once.
    drop(service);
    let record = &rotated.record;
    let older = match record.overlap(record.secret_created_at()) {
        Some(overlap) if overlap.ends_on_first_use => format!(
            "The older secret ends when the new one is first used, at the latest at {}.",
            time(overlap.ends_at)
        ),
        Some(overlap) => format!("The older secret ends at {}.", time(overlap.ends_at)),
        None => "The older secret has ended.".into(),
    };
    note(format_args!(
        "Rotated {}.\n{older} The token expires: {}. It is shown only once:",
        description(record),
        expiry(record.expires_at()),
    ));
    print_token(&rotated)
}
