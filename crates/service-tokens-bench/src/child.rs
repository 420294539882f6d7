//! Runs a measurement in a process of its own, in which no other code has allocated memory.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// The argument that starts such a measurement.
pub const ARGUMENT: &str = "--child";

/// Starts this program as a child process for one measurement.
pub fn start(arguments: &[&str]) -> Child {
    let program = std::env::current_exe().expect("the program's path");
    Command::new(program)
        .arg(ARGUMENT)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process")
}

/// Reads the numbers on the next line of the child's output.
pub fn numbers(child: &mut Child) -> Vec<f64> {
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("a line");
    line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

/// Runs a child process to its end and returns the numbers that it prints.
pub fn measure(arguments: &[&str]) -> Vec<f64> {
    let mut child = start(arguments);
    let numbers = numbers(&mut child);
    assert!(child.wait().expect("an ended child").success(), "the child failed");
    numbers
}

/// Prints numbers on one line, for the parent process.
pub fn print_numbers(numbers: &[f64]) {
    let line: Vec<String> = numbers.iter().map(f64::to_string).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", line.join(" ")).and_then(|()| out.flush()).expect("an output");
}
