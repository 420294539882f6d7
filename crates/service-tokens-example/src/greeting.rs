//! The text that the service prints at startup.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use service_tokens::{FileStore, IssueRequest, ManageError, TokenService};

use crate::options::Options;
use crate::tokens::OWNER;

const DAY: Duration = Duration::from_secs(86_400);

/// Prints the address of the page and, for a new store, the first tokens.
pub(crate) async fn print(
    service: &TokenService<FileStore>,
    address: SocketAddr,
    options: &Options,
) -> Result<(), ManageError> {
    let first = service.store().open_report().records == 0;
    let mut text = format!("Service Tokens page:  http://{address}/service-tokens\n");
    if first || options.issue_manager {
        let token = issue(service, "manager", "the operator", 90 * DAY).await?;
        let _ = write!(
            text,
            "\nManager token for the sign-in on the page. It is not stored and not shown again:\n\n    {token}\n"
        );
    } else {
        text +=
            "\nThe first start printed the manager token. --issue-manager issues another one.\n";
    }
    if first {
        // The commands have their own short-lived token, because a manager token must not be in a shell's
        // history.
        let token = issue(service, "connector", "the first example", DAY).await?;
        let _ = write!(
            text,
            "\nA Connector token may upload a file (201):\n\n    \
             curl -i -H 'Authorization: Bearer {token}' -X PUT --data-binary 'Hello' http://{address}/files/hello.txt\n\n\
             and may not read files (403):\n\n    \
             curl -i -H 'Authorization: Bearer {token}' http://{address}/files/hello.txt\n"
        );
    }
    if !address.ip().is_loopback() {
        text += "\nThis is plain HTTP on a network, so tokens can be read in transit. Put a proxy with TLS in front.\n";
    }
    // A closed standard output is not a reason to stop.
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(())
}

async fn issue(
    service: &TokenService<FileStore>,
    token_type: &str,
    issued_to: &str,
    lifetime: Duration,
) -> Result<String, ManageError> {
    let request = IssueRequest::new(token_type, issued_to)
        .expires_in(lifetime)
        .issued_by("the example service at startup");
    let issued = service.owner(OWNER).issue(request).await?;
    Ok(issued.token.expose_secret().to_owned())
}
