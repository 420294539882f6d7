//! A process that is killed while it issues, rotates, revokes and compacts.
//!
//! The child is this test program. It runs only [`child`], and only if a variable names the file.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::model::{Model, Random, Steps, perform};
use super::*;
use crate::store::TokenStore;
use crate::stores::file::OpenError;

const PATH: &str = "SERVICE_TOKENS_KILL_PATH";
const ROUND: &str = "SERVICE_TOKENS_KILL_ROUND";

/// The variable that sets the number of kills.
const KILLS: &str = "SERVICE_TOKENS_KILLS";

/// The number of threads in the child. Each writes to its own ids.
const LANES: u64 = 4;

/// The distance between the first ids of two threads.
const LANE: u64 = 100_000;

fn first_id(round: u64, lane: u64) -> u64 {
    (round * LANES + lane) * LANE + 1
}

fn steps(round: u64, lane: u64) -> Steps {
    Steps::new(round * LANES + lane, first_id(round, lane), true)
}

/// Runs one test of this program in a separate process.
pub(super) fn spawn(test: &str, path: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads", "1"])
        .env(PATH, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns the path and the round of the child, or `None` in the parent.
pub(super) fn child_arguments() -> Option<(PathBuf, u64)> {
    let path = std::env::var_os(PATH)?.into();
    Some((path, std::env::var(ROUND).ok()?.parse().ok()?))
}

/// Writes directly to standard output, because the test harness would capture macros.
pub(super) fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "the child of the test below"]
fn child() {
    let Some((path, round)) = child_arguments() else { return };
    let store = FileStoreOptions::new().compact_above(20_000).open(path).unwrap();
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let store = &store;
            scope.spawn(move || {
                let (mut model, mut steps) = (Model::default(), steps(round, lane));
                let end = Instant::now() + Duration::from_secs(20);
                while Instant::now() < end {
                    let step = steps.next(&model);
                    block_on(perform(store, &step)).unwrap();
                    print_line(&format!("ack {lane}\n"));
                    model.apply(&step);
                }
            });
        }
    });
}

/// Returns the state of a lane after this many writes, and after one more.
fn lane_after(round: u64, lane: u64, writes: u64) -> (Model, Model) {
    let (mut model, mut steps) = (Model::default(), steps(round, lane));
    for _ in 0..writes {
        let step = steps.next(&model);
        model.apply(&step);
    }
    let next = steps.next(&model);
    let next = model.with(&next);
    (model, next)
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    kill_repeatedly(40);
}

#[test]
#[ignore = "campaign"]
fn acknowledged_writes_survive_kills_campaign() {
    kill_repeatedly(500);
}

fn kill_repeatedly(rounds: u64) {
    let rounds = std::env::var(KILLS).map_or(rounds, |rounds| rounds.parse().unwrap());
    let mut random = Random(rounds);
    let mut place = Place::new();
    let mut kept = Model::default();
    let (mut acknowledged, mut cut_off, mut mid_compaction) = (0, 0, 0);
    for round in 0..rounds {
        if round % 25 == 0 {
            (place, kept) = (Place::new(), Model::default());
        }
        let path = place.path();
        let mut child = spawn("stores::file::tests::kill::child", &path, round);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut acks = [0; LANES as usize];
        let mut take = |line: &str| {
            // The harness prints the name of the test on the same line as the first
            // acknowledgement.
            if let Some((_, lane)) = line.trim_end().rsplit_once("ack ") {
                acks[lane.parse::<usize>().unwrap()] += 1;
            }
        };
        // Some children are killed at their start, most of them during writes.
        let wanted = random.below(8) * random.below(40);
        let mut line = String::new();
        for _ in 0..wanted {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the child gave up");
            take(&line);
        }
        std::thread::sleep(Duration::from_micros(random.below(3_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let complete = rest.rfind('\n').map_or("", |end| &rest[..=end]);
        complete.lines().for_each(take);
        mid_compaction +=
            u64::from(place.directory.path().join("tokens.journal.compacting").exists());

        let store = FileStoreOptions::new().compact_above(20_000).open(&path).unwrap();
        cut_off += u64::from(store.open_report().truncated_tail.is_some());
        let found = Model::of(&store);
        assert_eq!(found.between(0, first_id(round, 0)), kept, "round {round}");
        for lane in 0..LANES {
            let writes = acks[lane as usize];
            let (before, after) = lane_after(round, lane, writes);
            let lane = found.between(first_id(round, lane), first_id(round, lane + 1));
            assert!(lane == before || lane == after, "round {round}, {writes} writes");
            acknowledged += writes;
        }
        kept = found;
    }
    assert!(acknowledged > rounds * 10, "{acknowledged} writes");
    print_line(&format!(
        "{rounds} kills: {acknowledged} writes acknowledged, {cut_off} ends cut off, {mid_compaction} \
         in a compaction\n"
    ));
}

#[test]
#[ignore = "the child of the test below"]
fn second() {
    let Some((path, _)) = child_arguments() else { return };
    for read_only in [false, true] {
        match FileStoreOptions::new().read_only(read_only).open(&path) {
            Err(OpenError::Locked { lock }) => print_line(&format!("locked {}\n", lock.display())),
            other => print_line(&format!("{other:?}\n")),
        }
    }
}

#[test]
fn second_process_is_refused() {
    let place = Place::new();
    let store = place.open();
    let ask = || {
        let output = spawn("stores::file::tests::kill::second", &place.path(), 0);
        String::from_utf8(output.wait_with_output().unwrap().stdout).unwrap()
    };
    let answer = ask();
    assert_eq!(answer.matches("locked ").count(), 2, "{answer}");
    assert!(answer.contains("tokens.journal.lock"), "{answer}");
    block_on(store.close()).unwrap();
    let answer = ask();
    assert_eq!(answer.matches("locked ").count(), 0, "{answer}");
    assert_eq!(answer.matches("Ok(FileStore").count(), 2, "{answer}");
}
