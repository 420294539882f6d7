//! `service-tokens rotate`

use futures_lite::future::block_on;
use service_tokens::RotateRequest;
use service_tokens::record::ReplacedSecret;

use crate::args::Args;
use crate::clock_check;
use crate::exit::Exit;
use crate::issue::prepare_output;
use crate::output::{description, expiry, hand_over, time};
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
  --by TEXT             the person or program that rotates it
  --out FILE            write the token to this file instead of standard output

The file of --out is replaced only if the command succeeds. A refusal leaves it
as it is, so an earlier token in it is not lost. If it has a live token with
another id, the command refuses. A new file can be read only by its user, and an
existing one retains its owner, group and mode. Symbolic links, pipes and
devices are refused. Other hard links of that file are not changed. If the file
cannot be written after the rotation, the token goes to standard output, and the
exit status is 1.

With --at-once, use --out: the space for the token is reserved before the old
secret ends. A pipe whose reader has left and a full disk are found only after
the rotation, and then the new token is lost.

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
    let (mut replacing, mut expires, mut by, mut out) = (None, None, None, None);
    while let Some(option) = args.next_option()? {
        match &*option {
            "at-once" => args.flag(&mut at_once)?,
            "overlap" => args.set(&mut overlap, value::duration)?,
            "until-first-use" => args.set(&mut first_use, value::duration)?,
            "replacing" => args.set(&mut replacing, replaced_secret)?,
            "expires" => args.set(&mut expires, Expiry::parse)?,
            "by" => args.set(&mut by, value::text)?,
            "out" => args.set_path(&mut out)?,
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
    if let Some(by) = by {
        request = request.by(by);
    }

    let out = prepare_output(out.as_deref(), &args.settings)?;
    let service = args.settings.open(Access::Write)?;
    if let Some(out) = &out {
        out.expect_no_other(&service, Some(id))?;
    }
    if overlap.or(first_use).is_some() || matches!(expires, Some(Expiry::In(_))) {
        clock_check::warn(&service)?;
    }
    let rotated = block_on(service.all_owners().rotate(id, request))?;
    // The program that reads the token from a pipe may open the file at once. This also writes the event.
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
    let about = format!(
        "Rotated {}.\n{older} The token expires: {}.",
        description(record),
        expiry(record.expires_at()),
    );
    hand_over(&rotated, out, &about)
}
