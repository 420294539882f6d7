//! `import`.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use chrono::DateTime;
use futures_lite::future::block_on;
use service_tokens::clock::ManualClock;
use service_tokens::import::{Characters, ImportDigest, ImportForm};
use service_tokens::{FileStore, ImportRequest, TokenService, TokenType};

use crate::tool::{HOSTILE, Ran, Tool, of_2020};

const TEXT: &str = "sk_live_e5e9fa1ba31ecd1ae84f75caaa474f3a";
const FORM: &str = "sha256,prefix=sk_live_,characters=lower-hex,lengths=32";

/// The SHA-256 of [`TEXT`], computed by another program, in three encodings.
pub(crate) const HEX: &str = "18dfa9f7b7f6c370800ff9ad219969e4c0d72144302e1e818ce510f333f629a3";
const BASE64: &str = "GN+p97f2w3CAD/mtIZlp5MDXIUQwLh6BjOUQ8zP2KaM=";
const BASE64URL: &str = "GN-p97f2w3CAD_mtIZlp5MDXIUQwLh6BjOUQ8zP2KaM";

pub(crate) const HEADER: &str = "digest,owner,type,issued_to";

fn row(n: usize) -> String {
    format!("{n:064x},acme,connector,job {n}\n")
}

fn rows(many: usize) -> String {
    (0..many).fold(format!("{HEADER}\n"), |text, n| text + &row(n))
}

impl Tool {
    pub(crate) fn import(&self, rows: &str, more: &[&str]) -> Ran {
        self.import_with(FORM, rows, more)
    }

    fn import_with(&self, form: &str, rows: &str, more: &[&str]) -> Ran {
        let ran = self.answer(&[&["import", "-", "--import-form", form], more].concat(), rows);
        assert_eq!(ran.out, "", "{ran:?}");
        assert!(!ran.err.contains(&HEX[..8]) && !ran.err.contains(&BASE64[..8]), "{ran:?}");
        ran
    }

    fn verify_imported(&self, form: &str, text: &str) -> Ran {
        self.answer(&["verify", "--import-form", form], format!("{text}\n"))
    }
}

impl Ran {
    /// Checks the sums of an import that succeeded.
    #[track_caller]
    pub(crate) fn imported(self, imported: usize, before: usize) -> Self {
        let sums = format!("{imported} imported, {before} already imported, 0 refused.");
        assert!(self.err.contains(&sums), "{sums:?} is not in {self:?}");
        self.done()
    }

    /// Checks that rows were refused for these reasons.
    #[track_caller]
    pub(crate) fn refused(self, reasons: &[&str]) -> Self {
        assert_eq!(self.status, Some(3), "{self:?}");
        for reason in reasons {
            assert!(self.err.contains(reason), "{reason:?} is not in {self:?}");
        }
        self
    }
}

#[test]
fn import_makes_old_text_acceptable() {
    for digest in [HEX, &HEX.to_uppercase(), BASE64, BASE64.trim_end_matches('='), BASE64URL] {
        let tool = Tool::new();
        let rows = format!("{HEADER}\r\n{digest},acme,connector,\"backup, nightly\"\r\n");
        tool.import(&rows, &[]).imported(1, 0);
        let ran = tool.verify_imported(FORM, TEXT).done();
        assert!(ran.out.starts_with("accepted 0") && ran.out.contains("acme connector"), "{ran:?}");
        let listed = tool.run(&["list"]).done().out;
        assert!(listed.contains("backup, nightly"), "{listed}");
        // Without the form the text is malformed.
        tool.answer(&["verify"], format!("{TEXT}\n")).failed("");
    }
}

#[test]
fn import_reads_every_column() {
    let tool = Tool::new();
    let rows = format!(
        "digest,owner,type,issued_to,issued_by,expires_at,not_before,created_at,scopes,networks,\
         metadata.old_id\n{HEX},globex,developer,backup,migration,never,2020-01-02T00:00:00Z,\
         2019-05-04T08:00:00Z,files:read files:list,10.0.0.0/8 2001:db8::/32,4711\n"
    );
    tool.import(&rows, &["--allow-never"]).imported(1, 0);
    let id = tool.run(&["list", "--json"]).done().out[7..29].to_owned();
    let shown = tool.run(&["show", &id, "--json"]).done().out;
    for part in [
        "globex",
        "developer",
        "migration",
        "2020-01-02T00:00:00",
        "2019-05-04T08:00:00",
        "files:read",
        "files:list",
        "4711",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    assert!(!shown.contains("expires_at"), "{shown}");
}

#[test]
fn import_options_fill_empty_fields() {
    let tool = Tool::new();
    let rows = format!("digest,owner,issued_to\n{HEX},,backup\n{:064x},globex,reports\n", 7);
    let options =
        ["--owner", "acme", "--type", "connector", "--expires", "30d", "--issued-by", "ada"];
    tool.import(&rows, &options).imported(2, 0);
    for (owner, label) in [("acme", "backup"), ("globex", "reports")] {
        let listed = tool.run(&["list", "--json", "--owner", owner]).done().out;
        assert!(listed.contains(label) && listed.lines().count() == 1, "{listed}");
    }
}

#[test]
fn import_twice_changes_nothing() {
    let tool = Tool::new();
    let text = rows(20);
    tool.import(&text, &[]).imported(20, 0);
    let before = fs::read(tool.path()).unwrap();
    tool.import(&text, &[]).imported(0, 20);
    tool.import(&text, &["--dry-run"]).done();
    assert_eq!(fs::read(tool.path()).unwrap(), before);
    tool.import(&(text + &row(20)), &[]).imported(1, 20);
}

#[test]
fn import_leaves_revoked_token_revoked() {
    let tool = Tool::new();
    let text = format!("{HEADER}\n{HEX},acme,connector,backup\n");
    tool.import(&text, &[]).imported(1, 0);
    let id = tool.run(&["list", "--json"]).done().out[7..29].to_owned();
    tool.run(&["revoke", &id, "--yes"]).done();
    tool.import(&text, &[]).imported(0, 1);
    let ran = tool.verify_imported(FORM, TEXT);
    assert!(ran.out.contains("refused the token was revoked"), "{ran:?}");
}

#[test]
fn import_after_kill_completes() {
    let tool = Tool::new();
    let text = rows(4_000);
    fs::write(tool.folder.path().join("rows.csv"), &text).unwrap();
    let words = ["import", "rows.csv", "--import-form", FORM];
    let mut child = tool.start(&words);
    // Kill it as soon as some rows are in the file.
    let began = Instant::now();
    while fs::metadata(tool.path()).map_or(0, |file| file.len()) < 20_000 {
        assert!(began.elapsed() < Duration::from_secs(60), "no row was imported");
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait_with_output().unwrap();
    let ran = tool.run(&words).done();
    let sums = ran.err.lines().find(|line| line.contains("already imported")).unwrap();
    let numbers: Vec<usize> = sums.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert_eq!(numbers[0] + numbers[1], 4_000, "{sums}");
    assert!(numbers[1] > 0, "the killed run imported nothing: {sums}");
    let listed = tool.run(&["list", "--json", "--limit", "10000"]).done().out;
    assert_eq!(listed.lines().count(), 4_000);
    tool.import(&text, &[]).imported(0, 4_000);
}

#[test]
fn dry_run_reports_and_changes_nothing() {
    let tool = Tool::new();
    let ran = tool.import(&rows(3), &["--dry-run"]).done();
    assert!(ran.err.contains("3 would be imported, 0 already imported, 0 refused."), "{ran:?}");
    assert!(tool.files().is_empty());
    tool.import(&rows(2), &[]).imported(2, 0);
    let mixed = rows(3) + &format!("{:064x},acme,unknown,x\n", 9);
    let ran = tool.import(&mixed, &["--dry-run"]).refused(&["line 5: type is not a type"]);
    assert!(ran.err.contains("1 would be imported, 2 already imported, 1 refused."), "{ran:?}");
}

#[test]
fn refused_row_prevents_all_unless_skipped() {
    let tool = Tool::new();
    let text = rows(2)
        + "00,acme,connector,short\n"
        + &format!("{:064x},acme,unknown,x\n", 3)
        + &format!("{:064x},acme,connector, \n", 4)
        + &row(0)
        + &row(5);
    let reasons = [
        "line 4: digest must be 32 bytes in hexadecimal or base64",
        "line 5: type is not a type of this service",
        "line 6: issued_to must contain a visible character",
    ];
    let ran = tool.import(&text, &[]).refused(&reasons);
    assert!(ran.err.contains("Nothing was changed"), "{ran:?}");
    assert!(tool.files().is_empty(), "a refused import creates no file");
    let ran = tool.import(&text, &["--skip-refused"]).refused(&reasons);
    assert!(ran.err.contains("3 imported, 0 already imported, 1 repeated, 3 refused."), "{ran:?}");
    let again = tool.import(&text, &["--skip-refused"]).refused(&reasons);
    assert!(
        again.err.contains("0 imported, 3 already imported, 1 repeated, 3 refused."),
        "{again:?}"
    );
}

#[test]
fn import_for_other_owner_is_refused() {
    let tool = Tool::new();
    tool.import(&rows(3), &[]).imported(3, 0);
    let other = rows(3).replace("acme,connector,job 0", "globex,connector,job 0");
    let other = other.replace("acme,connector,job 1", "acme,developer,job 1");
    let other = other.replace("acme,connector,job 2", "globex,developer,job 2");
    let other = other + &row(3);
    let id = |label: &str| {
        let listed = tool.run(&["list", "--json"]).done().out;
        let line = listed.lines().find(|line| line.contains(label)).unwrap();
        line[7..29].to_owned()
    };
    let reasons = [
        format!("line 2: the token {} was imported for another owner\n", id("job 0")),
        format!("line 3: the token {} was imported with another type\n", id("job 1")),
        format!(
            "line 4: the token {} was imported for another owner and with another type\n",
            id("job 2")
        ),
    ];
    let reasons = reasons.each_ref().map(|reason| &**reason);
    tool.import(&other, &["--dry-run"]).refused(&reasons);
    tool.import(&other, &[]).refused(&reasons);
    let ran = tool.import(&other, &["--skip-refused"]).refused(&reasons);
    assert!(ran.err.contains("1 imported, 0 already imported, 3 refused."), "{ran:?}");
}

#[test]
fn row_whose_end_passed_stays_imported() {
    let tool = Tool::new();
    let rows = format!("{HEADER},expires_at\n{HEX},acme,connector,backup,2s\n");
    tool.import(&rows, &[]).imported(1, 0);
    let past = rows.replace("2s", "2020-01-01T00:00:00Z");
    let again = tool.import(&past, &[]).done();
    assert!(again.err.contains("1 already imported (1 with other values), 0 ref"), "{again:?}");
    let fresh = past.replace(HEX, &HEX.replace('1', "2"));
    tool.import(&fresh, &[]).refused(&["line 2: expires_at must be in the future"]);
}

#[test]
fn malformed_csv_is_refused() {
    let tool = Tool::new();
    let quoted = |field: &str| format!("{HEADER}\n{HEX},acme,connector,{field}\n");
    for (text, reason) in [
        (String::new(), "the file is empty"),
        ("\n\n".into(), "the file is empty"),
        (format!("{HEX},acme,connector,backup\n"), "unknown column in place 1"),
        (format!("{HEADER},Owner\n"), "unknown column in place 5"),
        (format!("{HEADER},owner\n"), "repeats the column in place 5"),
        ("digest,owner,issued_to\n".into(), "the column type or the option --type is missing"),
        ("owner,type,issued_to\n".into(), "the column digest is missing"),
        ("digest,owner,type\n".into(), "the column issued_to is missing"),
        (format!("{HEADER}\n{HEX},acme,connector\n"), "line 2: 3 fields instead of 4"),
        (format!("{HEADER}\n{HEX},acme,connector,x,\n"), "line 2: 5 fields instead of 4"),
        (quoted("a\"b"), "line 2: a quote inside a field"),
        (quoted("\"a\"b"), "line 2: text after a closing quote"),
        (quoted("\"a"), "line 2: a quote is not closed"),
        (quoted("a\rb"), "line 2: a carriage return"),
    ] {
        tool.import(&text, &[]).failed(reason);
        assert!(tool.files().is_empty());
    }
    let latin = tool.answer(&["import", "-", "--import-form", FORM], b"digest\xe9\n");
    latin.failed("the rows are not valid UTF-8");
    tool.run(&["import", "missing.csv", "--import-form", FORM]).failed("reading the rows");
    // Quotes, line breaks and a byte order mark that are right.
    let label = "\"two\nlines, \"\"quoted\"\"\"";
    let text = format!("\u{feff}{HEADER}\n\n{HEX},acme,connector,{label}\n0,acme,connector,x");
    tool.import(&text, &["--skip-refused"]).refused(&["line 5: digest must be"]);
    let listed = tool.run(&["list", "--json"]).done().out;
    assert!(listed.contains(r#"two\nlines, \"quoted\""#), "{listed}");
}

#[test]
fn import_escapes_text_of_rows() {
    let tool = Tool::new();
    let field = HOSTILE.replace('"', "\"\"");
    let rows = format!("{HEADER},metadata.{}\n{HEX},acme,\"{field}\",\"{field}\",x\n", "k");
    tool.import(&rows, &[]).refused(&["line 2: type is not"]);
}

#[test]
fn import_of_other_hashes_works() {
    let tool = Tool::new();
    let rest = "prefix=sk_live_,characters=lower-hex,lengths=32";
    let sha512 = "83c88881f7ea05758297a73da8789b4ad18c161e7323047971f4ca8668d476da\
                  6b296aa41da7fde39543388c320d6dc84c49b0c4dcdccbc22c59358870c81bec";
    let hmac = "e048deed58a03373e428a3e2132cfbd9fd125e855c653b311dfb04fad9aa4af7";
    fs::write(tool.folder.path().join("key"), "pepper").unwrap();
    let keyed = format!("hmac-sha256,{rest},key-id=old1,key-file=key");
    let sanctum =
        "sha256,characters=base62,lengths=42..69,hashed=after:|,hashed-lengths=40+48".to_owned();
    let of_sanctum = "42be5be006aa2b4370d4b8e2347102e3ae325d21eb888cd68c33fde89f45f9c2";
    let text_of_sanctum = "7|RqPz7mXv0KcB4tWn9sYd2LhG6jFa1UeO8iTkQxN3";
    for (form, digest, text) in [
        (format!("sha512,{rest}"), sha512, TEXT),
        (keyed, hmac, TEXT),
        (sanctum, of_sanctum, text_of_sanctum),
    ] {
        let rows = format!("{HEADER}\n{digest},acme,connector,backup\n");
        tool.import_with(&form, &rows, &[]).imported(1, 0);
        let ran = tool.verify_imported(&form, text).done();
        assert!(ran.out.starts_with("accepted "), "{ran:?}");
    }
    tool.import_with(&format!("sha512,{rest}"), &rows(1), &[]).refused(&["must be 64 bytes"]);
}

#[test]
fn wrong_import_form_is_refused() {
    let tool = Tool::new();
    let misused = |form: &str, mistake: &str| {
        tool.answer(&["import", "-", "--import-form", form], rows(1)).misused(mistake);
    };
    misused("", "must have the form");
    misused("md5,characters=base62,lengths=32", "must have the form");
    misused("sha256,base62", "must have the form");
    misused("sha256,characters=base62", "needs lengths");
    misused("sha256,lengths=32", "needs characters");
    misused("sha256,characters=base63,lengths=32", "characters must be");
    misused("sha256,characters=base62,lengths=48..32", "lengths must be");
    misused("sha256,characters=base62,lengths=32,hashed=x", "hashed must be");
    misused("sha256,characters=base62,lengths=42,hashed=after:|", "needs hashed-lengths");
    misused("sha256,characters=base62,lengths=32,hashed-lengths=3", "without hashed=after");
    misused("sha256,characters=base62,lengths=32,key-id=old1", "hash without a key");
    misused("hmac-sha256,characters=base62,lengths=32", "needs key-id and key-file");
    misused("hmac-sha256,characters=base62,lengths=32,key-id=old,key-file=k", "four bytes");
    misused("hmac-sha256,characters=base62,lengths=32,key-id=old1,key-file=k", "cannot be read");
    tool.run(&["import", "-"]).misused("--import-form is missing");
    tool.run(&["import", "--import-form", FORM]).misused("ROWS.csv is missing");
    let two = ["import", "-", "--import-form", FORM, "--import-form"];
    let other = "sha512,prefix=pk_,characters=base62,lengths=32";
    tool.run(&[&two[..], &[other]].concat()).misused("different hashes");
    // The library refuses impossible forms.
    let few = "sha256,characters=digits,lengths=10";
    let ran = tool.answer(&["import", "-", "--import-form", few], rows(1));
    ran.failed("a text may have only 33 random bits");
    tool.import_with(&format!("{few},allow-guessing-from-ids"), &rows(1), &[]).imported(1, 0);
}

/// Imports and issues a token in 2020, which ended long ago.
#[test]
fn purge_retains_imported_unless_included() {
    let tool = Tool::new();
    of_2020(&tool, 1, Duration::from_secs(86_400));
    let form = ImportForm::sha256("old keys").characters(Characters::BASE62).lengths([32]);
    let service = TokenService::builder(FileStore::open(tool.path()).unwrap(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .clock(ManualClock::new(DateTime::from_timestamp(1_577_836_800, 0).unwrap()))
        .import_form(form)
        .build()
        .unwrap();
    let request = ImportRequest::of_digest(ImportDigest::sha256([1; 32]), "connector", "old");
    let _ = block_on(service.owner("acme").import(request)).unwrap();
    drop(service);
    let purge = |more: &[&str]| {
        let words = [&["purge", "--retention", "365d"], more].concat();
        tool.run(&words).done()
    };
    assert_eq!(purge(&["--dry-run"]).out, "1\n");
    assert_eq!(purge(&["--dry-run", "--include-imported"]).out, "2\n");
    let clock = "--clock-is-right";
    assert!(purge(&["--yes", clock]).err.contains("Removed 1 records."));
    // The rest is imported, and the answer says so.
    let retained = "Only records of imported tokens match, and they are retained: 1. \
                    --include-imported removes them too.\n";
    for of_owner in [&[][..], &["--owner", "acme"]] {
        assert_eq!(purge(of_owner).err, format!("{retained}Nothing changed.\n"));
    }
    let counted = purge(&["--dry-run"]);
    assert_eq!((&*counted.out, &*counted.err), ("0\n", retained));
    let none = "No records match. Nothing changed.\n";
    assert!(purge(&["--yes", clock, "--include-imported"]).err.contains("Removed 1 records."));
    assert_eq!(purge(&["--include-imported"]).err, none);
    assert_eq!(purge(&[]).err, none);
}
