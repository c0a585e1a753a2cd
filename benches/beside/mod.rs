//! Several ways to one end, timed in one run and told against each other.
//!
//! criterion times each way by itself, but figures of two runs on a shared machine do not say which way is faster. So
//! a comparison keeps what criterion measured and, at its end, prints each way's median and its ratio to the first.
//!
//! Ways run one after the other. On a machine that does other work meanwhile, a ratio near 1 says nothing, and where
//! a disk is waited for, nor does a larger one; a floor that is not below what it stands under shows such a run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};

/// How long each way runs before it is measured, and how long it is measured.
const WARM_UP: Duration = Duration::from_millis(500);
const MEASUREMENT: Duration = Duration::from_secs(2);

/// Runs the benches of one program, as its command line wants it.
pub(crate) fn run(benches: &[fn(&mut Criterion)]) {
    let criterion = Criterion::default().warm_up_time(WARM_UP).measurement_time(MEASUREMENT);
    let mut criterion = criterion.configure_from_args();
    benches.iter().for_each(|bench| bench(&mut criterion));
    criterion.final_summary();
}

/// Ways to one end. The first is what the others are told against.
pub(crate) struct Comparison<'c> {
    /// criterion's own group, for its settings.
    pub(crate) group: BenchmarkGroup<'c, WallTime>,
    name: String,
    ways: Vec<(String, Vec<Sample>)>,
}

/// Some calls in a row.
struct Sample {
    calls: u64,
    seconds_per_call: f64,
}

impl<'c> Comparison<'c> {
    /// Begins a comparison.
    pub(crate) fn new(criterion: &'c mut Criterion, name: &str) -> Self {
        Self { group: criterion.benchmark_group(name), name: name.to_owned(), ways: Vec::new() }
    }

    /// Times `work` on what `prepare` makes for each call; making it and dropping the outcome are not timed.
    ///
    /// The clock is read around each call, which costs some 50 ns: `work` should take microseconds.
    pub(crate) fn time<I, O>(
        &mut self,
        way: &str,
        mut prepare: impl FnMut() -> I,
        mut work: impl FnMut(I) -> O,
    ) {
        let mut samples = Vec::new();
        self.group.bench_function(way, |bencher| {
            bencher.iter_custom(|calls| {
                let mut time = Duration::ZERO;
                for _ in 0..calls {
                    let input = black_box(prepare());
                    let began = Instant::now();
                    let outcome = work(input);
                    time += began.elapsed();
                    drop(black_box(outcome));
                }
                samples.push(Sample { calls, seconds_per_call: time.as_secs_f64() / calls as f64 });
                time
            });
        });
        self.ways.push((way.to_owned(), samples));
    }

    /// Prints the medians and their ratios. A way that was only tried once, as `--test` does, or filtered out has none.
    pub(crate) fn finish(self) {
        self.group.finish();
        let ways = self.ways.into_iter().filter(|(_, samples)| samples.len() > 1);
        let medians: Vec<(String, f64)> = ways.map(|(way, samples)| (way, median(samples))).collect();
        let Some(&(_, first)) = medians.first() else { return };
        for (way, seconds) in &medians {
            let time = format!("{:.2?}", Duration::from_secs_f64(*seconds));
            println!("{:<24} {time:>10} {:>9.3} ×  {way}", self.name, seconds / first);
        }
        println!();
    }
}

/// The time that half of all calls stayed below. What was measured while warming up is a small part of them.
fn median(mut samples: Vec<Sample>) -> f64 {
    samples.sort_by(|a, b| a.seconds_per_call.total_cmp(&b.seconds_per_call));
    let calls: u64 = samples.iter().map(|sample| sample.calls).sum();
    let mut below = 0;
    let middle = samples.iter().find(|sample| {
        below += sample.calls;
        below * 2 >= calls
    });
    middle.map_or(0.0, |sample| sample.seconds_per_call)
}
