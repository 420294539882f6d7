//! Empty values, which a variable of the shell that is not set gives, and rights that the umask takes away.

use crate::tool::Tool;

#[test]
fn empty_required_text_is_refused() {
    let tool = Tool::new();
    let issue = |owner: &str, label: &str| {
        tool.run(&["issue", "--type", "connector", "--owner", owner, "--issued-to", label])
    };
    for empty in ["", " ", "\u{3000}"] {
        issue(empty, "x").failed("--owner must contain a visible character");
        issue("acme", empty).failed("--issued-to must contain a visible character");
    }
    assert_eq!(tool.files(), [""; 0]);
    let form = "sha256,prefix=sk_,characters=base62,lengths=32";
    let rows = format!("digest,issued_to\n{},x\n", "ab".repeat(32));
    let import = ["import", "-", "--type", "connector", "--import-form", form, "--owner", ""];
    let ran = tool.answer(&import, rows);
    assert!(ran.status == Some(3) && ran.err.contains("owner"), "{ran:?}");
    assert_eq!(tool.files(), [""; 0]);
}

#[test]
fn empty_path_is_refused() {
    let tool = Tool::new();
    let issue = ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "x"];
    for option in ["--file", "--events", "--out"] {
        let words = [&issue[..], &[option, ""]].concat();
        tool.run(&words).misused(&format!("{option} must not be empty"));
    }
    assert_eq!(tool.files(), [""; 0]);
}

#[test]
#[cfg(unix)]
fn out_file_under_umask_can_be_read() {
    use std::os::unix::fs::PermissionsExt;

    let tool = Tool::new();
    tool.issue(&[]);
    let mut command = std::process::Command::new("bash");
    let script = format!(
        "umask 777; exec '{}' issue --type connector --owner a --issued-to b --out token",
        tool.program().display()
    );
    command.args(["-c", &script]).env("TOKENS_FILE", tool.path());
    let ran = command.current_dir(tool.folder.path()).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let out = std::fs::metadata(tool.folder.path().join("token")).unwrap();
    assert_eq!(out.permissions().mode() & 0o777, 0o600);
}

/// The new file takes this name only.
#[test]
#[cfg(unix)]
fn hard_link_of_out_file_retains_its_text() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    let path = |name: &str| tool.folder.path().join(name);
    std::fs::write(path("token"), "earlier\n").unwrap();
    std::fs::hard_link(path("token"), path("second")).unwrap();
    tool.run(&["rotate", &id, "--at-once", "--out", "token"]).done();
    assert_eq!(std::fs::read(path("second")).unwrap(), b"earlier\n");
    tool.answer(&["verify"], std::fs::read(path("token")).unwrap()).done();
    let help = tool.run(&["rotate", "--help"]).done().out;
    assert!(help.contains("Other hard links of that file are not changed"), "{help}");
}
