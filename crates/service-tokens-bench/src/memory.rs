//! Measures the memory of a token, as the growth of the resident size of a process that only issues tokens.

use service_tokens::MemoryStore;

use crate::child::{measure, print_numbers};
use crate::figure::{Figure, Target};
use crate::poll::ready;
use crate::service::{issue, service};
use crate::{Plan, size_name};

/// The argument that selects this measurement in the child process.
pub const CHILD: &str = "memory";

/// Measures the bytes per token with all indexes.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 20_000);
    let numbers = measure(&[CHILD, &size.to_string()]);
    let name = format!("memory: bytes per token at {}", size_name(size));
    // With few tokens, the fixed size of the tables is larger than the tokens.
    let target = plan.pick(Target::AtMost(400.0), Target::None);
    let note = "label of 24 and owner of 16 characters, all indexes; growth of the resident size";
    vec![Figure::new(name, numbers[0], "bytes", target).note(note)]
}

/// Issues `size` tokens and prints the growth per token. It runs in the child process.
pub fn child(size: usize) {
    let service = service(MemoryStore::new());
    // The first operation also allocates memory that does not belong to a token.
    drop(ready(issue(&service, 0)).expect("an issued token"));
    let before = resident();
    for n in 1..=size {
        drop(ready(issue(&service, n)).expect("an issued token"));
    }
    print_numbers(&[(resident() - before) / size as f64]);
}

/// Returns the resident size of this process in bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux's /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1_024.0
}
