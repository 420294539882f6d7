//! The second lines of `report-leak`, which say how to continue.

use futures_lite::future::block_on;
use service_tokens::{
    FileStore, IssueRequest, Issued, Requirement, RevokeRequest, RotateRequest, TokenService,
    TokenType,
};

use crate::tool::Tool;

fn service(tool: &Tool) -> TokenService<FileStore> {
    TokenService::builder(FileStore::open(tool.path()).unwrap(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .token_type(TokenType::new("agent", ["service-tokens:rotate-self"]).unwrap())
        .build()
        .unwrap()
}

fn rotate_self(service: &TokenService<FileStore>, secret: &Issued) -> Issued {
    let any = Requirement::any_token();
    let verified = block_on(service.verify(secret.token.expose_secret(), &any)).unwrap();
    block_on(service.on_behalf_of(&verified).rotate_self(RotateRequest::at_once())).unwrap()
}

#[test]
fn report_leak_says_that_token_rotated_itself() {
    let tool = Tool::new();
    let of_agent = service(&tool);
    let first = block_on(of_agent.owner("acme").issue(IssueRequest::new("agent", "x"))).unwrap();
    let second = rotate_self(&of_agent, &first);
    let third = rotate_self(&of_agent, &second);
    drop(of_agent);
    let id = first.record.id();
    let text = [first, second, third].map(|issued| issued.token.expose_secret().to_owned());
    let text = text.join("\n");
    let advice = format!(
        "  the token made its newest secret itself, so a finder of an earlier secret may know that one: \
         see `service-tokens show {id}`\n"
    );
    let ran = tool.answer(&["report-leak"], &text).done();
    let of = format!("{id} acme agent");
    assert_eq!(
        ran.out,
        format!("wrong_secret {id}\n{advice}ended_secret {of}\n{advice}live {of} active\n")
    );
    assert_eq!(ran.err, "");

    block_on(service(&tool).owner("acme").revoke(id, RevokeRequest::new())).map(drop).unwrap();
    let ran = tool.answer(&["report-leak"], &text).done();
    assert_eq!(
        ran.out,
        format!(
            "wrong_secret {id}\n{advice}ended_secret {of}\n{advice}ended_token {of} revoked\n{advice}"
        )
    );
}

#[test]
fn report_leak_after_other_rotation_is_silent() {
    let tool = Tool::new();
    let of_agent = service(&tool);
    let acme = of_agent.owner("acme");
    let first = block_on(acme.issue(IssueRequest::new("agent", "x"))).unwrap();
    let second = rotate_self(&of_agent, &first);
    let id = first.record.id();
    block_on(acme.rotate(id, RotateRequest::at_once())).map(drop).unwrap();
    drop(of_agent);
    let texts = [first, second].map(|issued| issued.token.expose_secret().to_owned());
    let ran = tool.answer(&["report-leak"], texts.join("\n")).done();
    assert_eq!(ran.out, format!("wrong_secret {id}\nended_secret {id} acme agent\n"));
}

#[test]
fn report_leak_of_unknown_id_names_list() {
    let (tool, other) = (Tool::new(), Tool::new());
    tool.issue(&[]);
    let (id, token) = other.issue(&[]);
    let ran = tool.answer(&["report-leak", "--action", "revoke"], &token).done();
    let advice = format!(
        "  if its record was purged, tokens below it may be live: `service-tokens list --issuer {id}` \
         lists them\n"
    );
    assert_eq!((ran.out, &*ran.err), (format!("unknown_id {id}\n{advice}"), ""));
    tool.run(&["list", "--issuer", &id]).done();
}

#[test]
fn report_leak_of_foreign_text_names_options() {
    let tool = Tool::new();
    let (_, token) = tool.issue(&[]);
    let form = "sha256,prefix=sk_live_,characters=lower-hex,lengths=32";
    let texts = format!("sk_live_{:032x}\n{token}\nother\n", 7);
    let ran = tool.answer(&["report-leak"], &texts).done();
    assert!(ran.out.starts_with("not_ours\nlive ") && ran.out.ends_with("\nnot_ours\n"), "{ran:?}");
    let hint = "hint: not_ours means that a text has none of the prefixes and import forms of this command \
                line; --prefix, --accept-prefix and --import-form set them\n";
    assert_eq!(ran.err, hint);
    // With the options, the same texts are known.
    let texts = texts.replace("\nother\n", "\n");
    let ran = tool.answer(&["report-leak", "--import-form", form], &texts).done();
    assert!(ran.out.starts_with("unknown_id ") && ran.err.is_empty(), "{ran:?}");
}
