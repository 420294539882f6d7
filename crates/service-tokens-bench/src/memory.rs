//! What a token takes in memory: the difference in resident size of a process that issues nothing else.

use service_tokens::MemoryStore;

use crate::child::{measure, tell};
use crate::figure::{Asked, Figure};
use crate::poll::ready;
use crate::service::{issue, service};
use crate::{Plan, size_name};

/// The name of the child's measurement.
pub const CHILD: &str = "memory";

/// Bytes a token, all indexes included.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 20_000);
    let numbers = measure(&[CHILD, &size.to_string()]);
    let name = format!("memory: bytes a token at {}", size_name(size));
    // With few tokens the tables' own size outweighs them.
    let asked = plan.pick(Asked::AtMost(400.0), Asked::Nothing);
    let note = "label of 24, owner of 16 characters, all indexes; difference in resident size";
    vec![Figure::new(name, numbers[0], "bytes", asked).note(note)]
}

/// The child: issues so many tokens and tells what one has added.
pub fn child(size: usize) {
    let service = service(MemoryStore::new());
    // What the first act allocates for good is not a token's.
    drop(ready(issue(&service, 0)).expect("an issued token"));
    let before = resident();
    for n in 1..=size {
        drop(ready(issue(&service, n)).expect("an issued token"));
    }
    tell(&[(resident() - before) / size as f64]);
}

/// This process's resident size in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux's /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1_024.0
}
