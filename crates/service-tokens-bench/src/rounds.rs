//! Measures rows in turn, so that other work on the machine affects all rows equally.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::stopwatch::{Stopwatch, Took};
use crate::tokens::Random;

/// A row to be measured.
pub struct Row<'r> {
    /// The name in the table.
    pub name: String,
    /// The name of the row with which it is compared.
    pub floor: String,
    body: Box<dyn FnMut(usize) + 'r>,
}

impl<'r> Row<'r> {
    /// Creates a row. `body` runs the measured operation as many times as its argument says.
    pub fn new(name: impl Into<String>, floor: &str, body: impl FnMut(usize) + 'r) -> Self {
        Self { name: name.into(), floor: floor.to_owned(), body: Box::new(body) }
    }

    fn time(&mut self, times: usize) -> Took {
        let stopwatch = Stopwatch::start();
        (self.body)(times);
        stopwatch.read()
    }

    /// Returns how many times fit into a slice.
    fn fitting(&mut self, slice: Duration) -> usize {
        let mut times = 1;
        loop {
            // The smaller of two, because the first run also fills caches.
            let took = self.time(times).work.min(self.time(times).work);
            if took * 4.0 >= slice.as_secs_f64() {
                return ((times as f64 * slice.as_secs_f64() / took) as usize).max(1);
            }
            times *= 2;
        }
    }
}

/// A measured row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The name in the table.
    pub name: String,
    /// The median of the rounds, in nanoseconds per operation.
    pub ns: f64,
    /// The ratio to the median of its floor in the same run.
    pub ratio_to_floor: f64,
}

/// Measures each row for a slice in every round. The order of the rows is random in each round.
///
/// Each slice begins with a warm-up that does not count. Slices in which other programs had the processor do
/// not count either. `between` is called between rounds, about once a second.
pub fn run(
    rows: &mut [Row<'_>],
    rounds: usize,
    slice: Duration,
    mut between: impl FnMut(),
) -> Vec<Measured> {
    let times: Vec<usize> = rows.iter_mut().map(|row| row.fitting(slice)).collect();
    let mut samples = vec![Vec::with_capacity(rounds); rows.len()];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut random = Random::new(2);
    let mut last = Instant::now();
    for _ in 0..rounds {
        random.shuffle(&mut order);
        for &n in &order {
            // The previous row has filled the caches with its data.
            rows[n].time(times[n] / 8);
            samples[n].push((rows[n].time(times[n]), times[n]));
        }
        if last.elapsed() >= Duration::from_secs(1) {
            between();
            last = Instant::now();
        }
    }
    let medians: Vec<f64> = samples.iter().map(|samples| undisturbed_median(samples)).collect();
    let of =
        |name: &str| rows.iter().position(|row| row.name == name).map_or(f64::NAN, |n| medians[n]);
    let measured = |(row, &ns): (&Row<'_>, &f64)| Measured {
        name: row.name.clone(),
        ns,
        ratio_to_floor: ns / of(&row.floor),
    };
    rows.iter().zip(&medians).map(measured).collect()
}

/// Returns the median wall time in nanoseconds per operation, of the slices in which this thread had the
/// processor. If fewer than a tenth of the slices are like that, returns the median of all.
fn undisturbed_median(samples: &[(Took, usize)]) -> f64 {
    let is_undisturbed = |(took, _): &&(Took, usize)| took.wall <= took.work * 1.05;
    let one = |(took, times): &(Took, usize)| took.wall * 1e9 / *times as f64;
    let mut undisturbed: Vec<f64> = samples.iter().filter(is_undisturbed).map(one).collect();
    if undisturbed.len() * 10 < samples.len() {
        undisturbed = samples.iter().map(one).collect();
    }
    median(&mut undisturbed)
}

/// Returns the middle sample, or the mean of the two middle samples. Sorts the samples.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples {
        [] => f64::NAN,
        _ if samples.len() % 2 == 1 => samples[middle],
        _ => f64::midpoint(samples[middle - 1], samples[middle]),
    }
}
