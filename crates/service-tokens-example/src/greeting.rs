//! What is printed at the start.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use service_tokens::{FileStore, IssueRequest, ManageError, TokenService};

use crate::options::Options;
use crate::tokens::OWNER;

const DAY: Duration = Duration::from_secs(86_400);

/// Prints the page's address and, for a new store, tokens to begin with.
pub(crate) async fn print(
    service: &TokenService<FileStore>,
    address: SocketAddr,
    options: &Options,
) -> Result<(), ManageError> {
    let first = service.store().opening().records == 0;
    let mut text = format!("Service Tokens page:  http://{address}/service-tokens\n");
    if first || options.issue_manager {
        let token = issue(service, "manager", "whoever started the service", 90 * DAY).await?;
        let _ = write!(
            text,
            "\nManager token, to sign in there. It is not stored and not shown again:\n\n    {token}\n"
        );
    } else {
        text +=
            "\nThe manager token was shown at the first start. --issue-manager makes another.\n";
    }
    if first {
        // A token of its own, that ends by itself: a manager's has no place in a shell's history.
        let token = issue(service, "connector", "the first two lines", DAY).await?;
        let _ = write!(
            text,
            "\nA Connector token may upload a file (201):\n\n    \
             curl -i -H 'Authorization: Bearer {token}' -X PUT --data-binary 'Hello' http://{address}/files/hello.txt\n\n\
             and may not read files (403):\n\n    \
             curl -i -H 'Authorization: Bearer {token}' http://{address}/files/hello.txt\n"
        );
    }
    if !address.ip().is_loopback() {
        text +=
            "\nThis is plain HTTP on a network: tokens can be read on the way. Put TLS in front.\n";
    }
    // Whoever closed standard output does not want to know; the service goes on.
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
        .issued_by("the program, at its start");
    let issued = service.owner(OWNER).issue(request).await?;
    Ok(issued.token.expose_secret().to_owned())
}
