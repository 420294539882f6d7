//! The replay of `tests/mutants`: each patch breaks one rule, and the test that it names must fail.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use crate::{models, root};

/// The folders and files of the workspace that a build of the tests needs.
const COPIED: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "benches",
    "crates",
    "examples",
    "src",
    "tests",
    "xtask",
];

/// The macro of the patches. It is added to the copied crate. The first argument is the name of the patch.
const SWITCH: &str = r#"
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:literal; $broken:expr; $right:expr) => {
        if std::env::var_os("SERVICE_TOKENS_MUTANT").is_some_and(|name| name == $name) {
            $broken
        } else {
            $right
        }
    };
}
"#;

/// A test by its binary and its full name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    /// `lib`, `models` for a model of the library, or the name of an integration test.
    binary: String,
    name: String,
}

/// A part of a patch.
#[derive(Debug)]
struct Hunk {
    file: PathBuf,
    /// The lines with their signs, which are a blank, a minus or a plus.
    lines: Vec<(char, String)>,
}

/// A change of a file: these lines, counted from zero, become others.
#[derive(Debug)]
struct Edit {
    file: PathBuf,
    lines: Range<usize>,
    new: Vec<String>,
}

#[derive(Debug)]
struct Patch {
    name: String,
    rule: String,
    test: Test,
    hunks: Vec<Hunk>,
}

/// Files by their path from the root.
type Sources = BTreeMap<PathBuf, String>;

impl Patch {
    fn parse(name: &str, text: &str) -> Result<Self, Box<dyn Error>> {
        let header = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            value.ok_or_else(|| format!("{name}: the header has no line `{key}: …`"))
        };
        let test = header("Test")?;
        let (binary, test) = test
            .split_once(' ')
            .ok_or_else(|| format!("{name}: `Test:` is not a binary and a name"))?;
        let mut hunks: Vec<Hunk> = Vec::new();
        let mut file = None;
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("+++ b/") {
                file = Some(PathBuf::from(path));
            } else if let (true, Some(file)) = (line.starts_with("@@"), &file) {
                hunks.push(Hunk { file: file.clone(), lines: Vec::new() });
            } else if let Some(hunk) = hunks.last_mut() {
                // An empty line is one of the context.
                let mut characters = line.chars();
                let sign = characters.next().unwrap_or(' ');
                hunk.lines.push((sign, characters.as_str().to_owned()));
            }
        }
        if hunks.is_empty() {
            return Err(format!("{name}: no hunk").into());
        }
        Ok(Self {
            name: name.to_owned(),
            rule: header("Rule")?.to_owned(),
            test: Test { binary: binary.to_owned(), name: test.to_owned() },
            hunks,
        })
    }

    /// Returns whether the patch has the macro. One without it needs a build of its own.
    fn is_switched(&self) -> bool {
        self.hunks.iter().flat_map(|hunk| &hunk.lines).any(|(_, line)| line.contains("mutant!("))
    }

    /// Returns whether the test is a model, whose build has the model checker.
    fn is_model(&self) -> bool {
        self.test.binary == "models"
    }

    /// Returns the changes of the sources. The context and the old lines of each hunk must be in the file
    /// exactly once, in any place, so that a patch survives changes around it.
    fn edits(&self, sources: &Sources) -> Result<Vec<Edit>, Box<dyn Error>> {
        self.hunks.iter().map(|hunk| Ok(hunk.edit(&self.name, sources)?)).collect()
    }
}

impl Hunk {
    fn edit(&self, name: &str, sources: &Sources) -> Result<Edit, String> {
        let place = self.file.display();
        let text = sources.get(&self.file).ok_or_else(|| format!("{name}: no file {place}"))?;
        let present: Vec<&str> = text.lines().collect();
        let old: Vec<&str> =
            self.lines.iter().filter(|(sign, _)| *sign != '+').map(|(_, line)| &**line).collect();
        let found: Vec<usize> =
            (0..present.len()).filter(|start| present[*start..].starts_with(&old)).collect();
        let [start] = found[..] else {
            return Err(format!("{name}: its lines occur {} times in {place}", found.len()));
        };
        // Without the context, so that two patches can change neighbouring lines.
        let before = self.lines.iter().take_while(|(sign, _)| *sign == ' ').count();
        let after = self.lines.iter().rev().take_while(|(sign, _)| *sign == ' ').count();
        let switch = format!("crate::mutant!({name:?}; ");
        let new = self.lines[before..self.lines.len() - after]
            .iter()
            .filter(|(sign, _)| *sign != '-')
            .map(|(_, line)| line.replace("mutant!(", &switch))
            .collect();
        let lines = start + before..start + old.len() - after;
        Ok(Edit { file: self.file.clone(), lines, new })
    }
}

impl Edit {
    fn overlaps(&self, other: &Self) -> bool {
        self.file == other.file
            && self.lines.start < other.lines.end
            && other.lines.start < self.lines.end
    }
}

/// Makes these changes, none of which overlap.
fn apply(mut edits: Vec<Edit>, sources: &mut Sources) {
    // From the end, so that the numbers of the lines before do not change.
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.lines.start, edit.lines.end)));
    for Edit { file, lines, new } in edits {
        if let Some(text) = sources.get_mut(&file) {
            let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
            all.splice(lines, new);
            *text = all.join("\n") + "\n";
        }
    }
}

/// Checks that each patch applies to the sources, and that its test exists.
///
/// # Errors
///
/// Names the first patch for which that is not so.
pub(crate) fn check() -> Result<(), Box<dyn Error>> {
    let sources = sources()?;
    let patches = patches()?;
    for patch in &patches {
        patch.edits(&sources)?;
        let name = patch.test.name.rsplit("::").next().unwrap_or_default();
        let (declared, folder) =
            (format!("fn {name}("), if patch.test.binary == "it" { "tests" } else { "src" });
        if !sources.iter().any(|(path, text)| path.starts_with(folder) && text.contains(&declared))
        {
            return Err(format!("{}: there is no test {name}", patch.name).into());
        }
    }
    println!("{} patches apply, and their tests exist", patches.len());
    Ok(())
}

/// Applies the patches to a copy of the workspace, and runs the test of each.
///
/// As many patches as possible are in one build. An environment variable chooses one at run time. If
/// `only_models` is set, patches whose test is not a model are left out.
///
/// # Errors
///
/// A patch does not apply or compile, a test fails without its patch, or it passes with it.
pub(crate) fn replay(only_models: bool) -> Result<(), Box<dyn Error>> {
    let copy = Copy::new()?;
    let original = sources()?;
    let (mut left, mut survivors, mut count) = (patches()?, Vec::new(), 0);
    left.retain(|patch| patch.is_model() || !only_models);
    while !left.is_empty() {
        let mut round = Round::default();
        left = round.fill(left, &original)?;
        let mut patched = original.clone();
        apply(round.edits, &mut patched);
        *patched.get_mut(Path::new("src/lib.rs")).ok_or("src/lib.rs is not there")? += SWITCH;
        write(&copy.tree, &patched)?;
        println!("building {} patches", round.patches.len());
        let is_model = round.patches.iter().any(Patch::is_model);
        if !copy.build(is_model).status()?.success() {
            return Err("the patched crate does not compile".into());
        }
        for patch in round.patches {
            let Patch { name, rule, test, .. } = &patch;
            if patch.is_switched() && copy.run(test, "")? != Outcome::Passed {
                return Err(format!("{name}: its test fails without it, or is not there").into());
            }
            let caught = copy.run(test, name)? == Outcome::Failed;
            println!("{} {name}: {rule}", if caught { "caught  " } else { "SURVIVED" });
            survivors.extend((!caught).then(|| name.clone()));
            count += 1;
        }
    }
    if survivors.is_empty() {
        println!("all {count} are caught");
        Ok(())
    } else {
        Err(format!("not caught: {}", survivors.join(", ")).into())
    }
}

/// Patches that can be in one build.
#[derive(Default)]
struct Round {
    patches: Vec<Patch>,
    edits: Vec<Edit>,
}

impl Round {
    /// Takes as many of the patches as fit together, and returns the others.
    fn fill(
        &mut self,
        patches: Vec<Patch>,
        sources: &Sources,
    ) -> Result<Vec<Patch>, Box<dyn Error>> {
        let mut others = Vec::new();
        for patch in patches {
            let edits = patch.edits(sources)?;
            let is_alone = |patch: &Patch| !patch.is_switched();
            let fits_last = |last: &Patch| {
                last.is_model() == patch.is_model() && !is_alone(last) && !is_alone(&patch)
            };
            let fits = self.patches.last().is_none_or(fits_last)
                && !edits.iter().any(|edit| self.edits.iter().any(|other| other.overlaps(edit)));
            if fits {
                self.edits.extend(edits);
                self.patches.push(patch);
            } else {
                others.push(patch);
            }
        }
        Ok(others)
    }
}

/// A copy of the workspace, with a target folder of its own.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    NotThere,
}

impl Copy {
    fn new() -> io::Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let folder = target.unwrap_or_else(|| root().join("target")).join("mutants");
        fs::create_dir_all(folder.join("tree"))?;
        let folder = fs::canonicalize(folder)?;
        Ok(Self { tree: folder.join("tree"), target: folder.join("target") })
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target).stdin(Stdio::null());
        cargo.args(["test", "--quiet", "--all-features", "-p", "service-tokens"]).args(arguments);
        cargo
    }

    fn models(&self) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.tree).stdin(Stdio::null());
        models::configure(&mut cargo, &self.target.with_file_name("models")).arg("--quiet");
        cargo
    }

    /// Returns the command that builds the tests, or the models.
    fn build(&self, is_model: bool) -> Command {
        if !is_model {
            return self.cargo(&["--no-run", "--lib", "--tests"]);
        }
        let mut cargo = self.models();
        cargo.arg("--no-run");
        cargo
    }

    /// Runs a test with this mutant.
    fn run(&self, test: &Test, mutant: &str) -> io::Result<Outcome> {
        let mut cargo = match &*test.binary {
            "models" => self.models(),
            "lib" => self.cargo(&["--lib"]),
            binary => self.cargo(&["--test", binary]),
        };
        cargo.args(["--", "--exact", &test.name]).env("SERVICE_TOKENS_MUTANT", mutant);
        let output = cargo.output()?;
        if !String::from_utf8_lossy(&output.stdout).contains("running 1 test") {
            return Ok(Outcome::NotThere);
        }
        Ok(if output.status.success() { Outcome::Passed } else { Outcome::Failed })
    }
}

fn patches() -> Result<Vec<Patch>, Box<dyn Error>> {
    let folder = root().join("tests/mutants");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().map(|path| Patch::parse(&name(path), &fs::read_to_string(path)?)).collect()
}

/// Reads every text file that a build needs.
fn sources() -> Result<Sources, Box<dyn Error>> {
    let mut sources = Sources::new();
    for path in files(&root(), COPIED.iter().map(PathBuf::from).collect())? {
        if let Ok(text) = fs::read_to_string(root().join(&path)) {
            sources.insert(path, text);
        }
    }
    Ok(sources)
}

/// Returns the files below these paths, which are relative to the root.
fn files(root: &Path, mut left: Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        if root.join(&path).is_dir() {
            for entry in fs::read_dir(root.join(&path))? {
                left.push(path.join(entry?.file_name()));
            }
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// Makes the folder contain exactly these files. It writes only those that differ, so that a build can use
/// the last one.
fn write(tree: &Path, sources: &Sources) -> io::Result<()> {
    fs::create_dir_all(tree)?;
    for path in files(tree, vec![PathBuf::new()])? {
        if !sources.contains_key(&path) {
            fs::remove_file(tree.join(path))?;
        }
    }
    for (path, text) in sources {
        let path = tree.join(path);
        if fs::read_to_string(&path).is_ok_and(|present| present == *text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}
