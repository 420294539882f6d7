//! Measurements in a process of their own, which nothing else has allocated in.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// The argument that asks the program for one of them.
pub const ARGUMENT: &str = "--child";

/// Starts this program again for one measurement.
pub fn start(arguments: &[&str]) -> Child {
    let program = std::env::current_exe().expect("the program's path");
    Command::new(program)
        .arg(ARGUMENT)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process")
}

/// The numbers on the child's next line.
pub fn numbers(child: &mut Child) -> Vec<f64> {
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("a line");
    line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

/// The numbers that a child prints, once it has ended.
pub fn measure(arguments: &[&str]) -> Vec<f64> {
    let mut child = start(arguments);
    let numbers = numbers(&mut child);
    assert!(child.wait().expect("an ended child").success(), "the child failed");
    numbers
}

/// What a child tells its parent.
pub fn tell(numbers: &[f64]) {
    let line: Vec<String> = numbers.iter().map(f64::to_string).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", line.join(" ")).and_then(|()| out.flush()).expect("an output");
}
