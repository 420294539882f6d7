//! The whole story on a real file: issue, list, verify, revoke, and still revoked after reopening.
//!
//! `cargo run --example quickstart --features file`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;

use service_tokens::store::States;
use service_tokens::{
    FileStore, Filter, IssueRequest, ListRequest, Requirement, RevokeRequest, TokenService,
    TokenType,
};

fn open(path: &Path) -> Result<TokenService<FileStore>, Box<dyn Error>> {
    Ok(TokenService::builder(FileStore::open(path)?, "acme_live")
        .token_type(
            TokenType::new("connector", ["files:upload"])?.with_description("may upload files"),
        )
        .token_type(
            TokenType::new("developer", ["*"])?
                .with_description("for all available APIs. Handle it with caution"),
        )
        .build()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tokens.journal");
    let service = open(&path)?;

    println!("Two programs ask for access, and each is issued a token:\n");
    let backup =
        service.owner("acme").issue(IssueRequest::new("connector", "Nightly backup")).await?;
    let laptop =
        service.owner("acme").issue(IssueRequest::new("developer", "Ada's laptop")).await?;
    println!("    Authorization: Bearer {}", backup.token.expose_secret());
    println!("    Authorization: Bearer {}\n", laptop.token.expose_secret());
    println!("That was the only time they were shown. The file keeps digests:\n");
    print_table(&service).await?;

    let (upload, invoices) =
        (Requirement::scope("files:upload")?, Requirement::scope("invoices:read")?);
    println!("\nThe Connector may upload files and nothing else; the Developer may do both:\n");
    for (name, token) in [("Connector", &backup.token), ("Developer", &laptop.token)] {
        for requirement in [&upload, &invoices] {
            println!(
                "    {name:<10} {requirement:<14} {}",
                verdict(&service, token, requirement).await
            );
        }
    }

    println!("\nThe backup server was stolen, so its token is revoked:\n");
    let stolen = RevokeRequest::new().by("ada@acme.example").reason("the server was stolen");
    service.owner("acme").revoke(backup.record.id(), stolen).await?;
    println!("    Connector  {upload:<14} {}", verdict(&service, &backup.token, &upload).await);

    println!("\nThe service stops, starts again and opens the same file:\n");
    drop(service);
    let service = open(&path)?;
    println!("    Connector  {upload:<14} {}", verdict(&service, &backup.token, &upload).await);
    println!("    Developer  {upload:<14} {}\n", verdict(&service, &laptop.token, &upload).await);
    print_table(&service).await?;
    println!("\nA revoked token cannot be recovered. Issue a new one instead.");
    Ok(())
}

async fn verdict(
    service: &TokenService<FileStore>,
    token: &service_tokens::Token,
    requirement: &Requirement,
) -> String {
    match service.verify(token.expose_secret(), requirement).await {
        Ok(verified) => format!("yes, as {}", verified.owner()),
        Err(error) => format!("no: {error}"),
    }
}

async fn print_table(service: &TokenService<FileStore>) -> Result<(), Box<dyn Error>> {
    let heads = ["ID", "Type", "Issued To", "Created At", "Expiration", "State"];
    let [id, token_type, issued_to, created_at, expiration, state] = heads;
    println!(
        "    {id:<22}  {token_type:<9}  {issued_to:<14}  {created_at:<16}  {expiration:<10}  {state}"
    );
    let everything = ListRequest::from(Filter::new().states(States::ALL));
    for stored in service.owner("acme").list(everything).await?.items {
        let record = stored.record;
        println!(
            "    {}  {:<9}  {:<14}  {}  {:<10}  {}",
            record.id(),
            record.token_type(),
            record.issued_to(),
            record.created_at().format("%Y-%m-%d %H:%M"),
            record.expires_at().map_or("never".into(), |end| end.format("%Y-%m-%d").to_string()),
            record.state(service.now()),
        );
    }
    Ok(())
}
