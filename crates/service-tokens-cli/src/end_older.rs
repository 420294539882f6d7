//! `service-tokens end-older`

use futures_lite::future::block_on;
use service_tokens::EndOlderRequest;

use crate::args::Args;
use crate::exit::Exit;
use crate::output::{description, note};
use crate::settings::Access;
use crate::value;

pub(crate) const HELP: &str = "\
Ends the older secret of a token at once, while the newest one stays. Use it if
the older secret leaks during an overlap.

  service-tokens end-older ID [OPTIONS]

  --older-created-at TIME  end the secret that was created at this time, the
                    older_secret_created_at of `service-tokens show --json`;
                    refused if the token was rotated since (default: the older
                    secret that the token has now)
  --by TEXT         the person or program that ends it
  --reason TEXT     the reason, such as the number of an incident

Ending it again with the same time succeeds and changes nothing.

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut created_at, mut by, mut reason) = (None, None, None);
    while let Some(option) = args.next_option()? {
        match &*option {
            "older-created-at" => args.set(&mut created_at, value::exact_time)?,
            "by" => args.set(&mut by, value::text)?,
            "reason" => args.set(&mut reason, value::text)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let id = args.id()?;

    let service = args.settings.open(Access::Revoke)?;
    let view = service.all_owners();
    let created_at = match created_at {
        Some(created_at) => created_at,
        None => {
            let record = block_on(view.get(id))?.record;
            let overlap = record.overlap(service.now());
            let none = || Exit::Failed(format!("{id} has only one secret: nothing was changed"));
            overlap.ok_or_else(none)?.older_created_at
        }
    };
    let mut request = EndOlderRequest::new(created_at);
    if let Some(by) = by {
        request = request.by(by);
    }
    if let Some(reason) = reason {
        request = request.reason(reason);
    }
    let ended = block_on(view.end_older_secret(id, request))?;
    service.settle();
    let record = description(&ended.record);
    match ended.already_ended {
        true => note(format_args!("The older secret of {record} had ended. Nothing changed.")),
        false => note(format_args!("Ended the older secret of {record}.")),
    }
    Ok(())
}
