//! Rows measured in turn, so that whatever else the machine does meets them all.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::stopwatch::{Stopwatch, Took};
use crate::tokens::Picks;

/// One thing to be measured.
pub struct Row<'r> {
    /// As it appears in the table.
    pub name: String,
    /// The row that it is held against.
    pub floor: String,
    body: Box<dyn FnMut(usize) + 'r>,
}

impl<'r> Row<'r> {
    /// `body` does its thing as many times as it is told.
    pub fn new(name: impl Into<String>, floor: &str, body: impl FnMut(usize) + 'r) -> Self {
        Self { name: name.into(), floor: floor.to_owned(), body: Box::new(body) }
    }

    fn time(&mut self, times: usize) -> Took {
        let stopwatch = Stopwatch::start();
        (self.body)(times);
        stopwatch.read()
    }

    /// So many times fill a slice.
    fn fitting(&mut self, slice: Duration) -> usize {
        let mut times = 1;
        loop {
            // Twice, since a first time also loads and prepares.
            let took = self.time(times).work.min(self.time(times).work);
            if took * 4.0 >= slice.as_secs_f64() {
                return ((times as f64 * slice.as_secs_f64() / took) as usize).max(1);
            }
            times *= 2;
        }
    }
}

/// A measured row.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// As it appears in the table.
    pub name: String,
    /// The median over the rounds, for one time, in nanoseconds.
    pub ns: f64,
    /// Against its floor's median in the same run.
    pub ratio_to_floor: f64,
}

/// Measures each row for a slice in every round, after a little of it that does not count, in an order
/// drawn anew for each round. Slices that other programs have cut into do not count. `beside` is called about once a second.
pub fn run(
    rows: &mut [Row<'_>],
    rounds: usize,
    slice: Duration,
    mut beside: impl FnMut(),
) -> Vec<Measured> {
    let times: Vec<usize> = rows.iter_mut().map(|row| row.fitting(slice)).collect();
    let mut samples = vec![Vec::with_capacity(rounds); rows.len()];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut picks = Picks::new(2);
    let mut last = Instant::now();
    for _ in 0..rounds {
        picks.shuffle(&mut order);
        for &n in &order {
            // The row before has filled the caches with its own.
            rows[n].time(times[n] / 8);
            samples[n].push((rows[n].time(times[n]), times[n]));
        }
        if last.elapsed() >= Duration::from_secs(1) {
            beside();
            last = Instant::now();
        }
    }
    let medians: Vec<f64> = samples.iter().map(|samples| calm_median(samples)).collect();
    let of =
        |name: &str| rows.iter().position(|row| row.name == name).map_or(f64::NAN, |n| medians[n]);
    let measured = |(row, &ns): (&Row<'_>, &f64)| Measured {
        name: row.name.clone(),
        ns,
        ratio_to_floor: ns / of(&row.floor),
    };
    rows.iter().zip(&medians).map(measured).collect()
}

/// The median time as it passed, in nanoseconds for one time, of the slices in which nobody else had
/// the processor. If hardly any was undisturbed, of all.
fn calm_median(samples: &[(Took, usize)]) -> f64 {
    let calm = |(took, _): &&(Took, usize)| took.wall <= took.work * 1.05;
    let one = |(took, times): &(Took, usize)| took.wall * 1e9 / *times as f64;
    let mut undisturbed: Vec<f64> = samples.iter().filter(calm).map(one).collect();
    if undisturbed.len() * 10 < samples.len() {
        undisturbed = samples.iter().map(one).collect();
    }
    median(&mut undisturbed)
}

/// The middle one, or the mean of the two in the middle.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples {
        [] => f64::NAN,
        _ if samples.len() % 2 == 1 => samples[middle],
        _ => f64::midpoint(samples[middle - 1], samples[middle]),
    }
}
