//! What `trace_capture::install` costs a handler: when it panics, and when it does not.
//!
//! - `capture/panic`: a panic, caught by `catch_unwind`, some 35 frames deep. The first way is the installed hook with an
//!   agent that listens; beside it, in the same place, hooks that take a `std::backtrace::Backtrace` or a
//!   `backtrace::Backtrace` without resolving it. The floor is a hook that does nothing.
//! - `capture/success`: a hundred thousand calls in `catch_unwind` that succeed, with the hook and, the floor, without.
//!
//! Bias: for us, the peers only collect addresses in memory, while the hook also looks up modules and build-ids and
//! sends them, so the peers do less. Against the handler's own view, no hook here prints a message, which in a real
//! handler costs all of them the same. The agent's queue is emptied outside the clock.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::env;
use std::hint::black_box;
use std::os::unix::net::UnixDatagram;
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;
use std::sync::OnceLock;

use criterion::Criterion;
use trace_capture::wire::{DATAGRAM_BYTES_MAX, decode};

use beside::Comparison;

mod beside;
mod environment;

/// How many calls lie between criterion and the panic, for some 35 frames in all. How many there are is printed.
const DEPTH: usize = 10;

/// Calls that succeed in one timed call: one takes less than a nanosecond.
const SUCCESSES: usize = 100_000;

/// Names the agent's socket.
const SOCKET_VARIABLE: &str = "TRACE_AGENT_SOCKET";

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

fn main() -> ExitCode {
    let prepare = || {
        let folder = tempfile::tempdir().unwrap();
        (vec![(SOCKET_VARIABLE, folder.path().join("capture.sock").into())], folder)
    };
    environment::run(prepare, || beside::run(&[panics, successes]))
}

fn panics(criterion: &mut Criterion) {
    let installed = installed();
    let agent = UnixDatagram::bind(env::var_os(SOCKET_VARIABLE).unwrap()).unwrap();
    agent.set_nonblocking(true).unwrap();
    let mut received = [0; DATAGRAM_BYTES_MAX];
    let mut frames = None;
    let mut empty_queue = || {
        while let Ok(length) = agent.recv(&mut received) {
            let report = decode(&received[..length]).unwrap();
            assert_eq!(report.lost, 0, "every report got through");
            frames = Some(report.frames.len());
        }
    };

    let mut comparison = Comparison::new(criterion, "capture/panic");
    let ways: [(&str, Hook); 4] = [
        ("trace-capture", Box::new(|info| installed(info))),
        (
            "std Backtrace::force_capture",
            Box::new(|_| {
                drop(black_box(std::backtrace::Backtrace::force_capture()));
            }),
        ),
        (
            "backtrace Backtrace::new_unresolved",
            Box::new(|_| {
                drop(black_box(backtrace::Backtrace::new_unresolved()));
            }),
        ),
        ("floor: a hook that does nothing", Box::new(|_| {})),
    ];
    for (name, hook) in ways {
        panic::set_hook(hook);
        comparison.time(name, &mut empty_queue, |()| panic::catch_unwind(|| fail(DEPTH)).unwrap_err());
        drop(panic::take_hook());
    }
    comparison.finish();
    empty_queue();
    if let Some(frames) = frames {
        println!("a report has {frames} frames\n");
    }
}

fn successes(criterion: &mut Criterion) {
    let installed = installed();
    let succeed = |()| {
        for event in 0..SUCCESSES {
            black_box(panic::catch_unwind(|| black_box(event) + 1).unwrap());
        }
    };
    let mut comparison = Comparison::new(criterion, "capture/success");
    panic::set_hook(Box::new(|info| installed(info)));
    comparison.time("trace-capture", || (), succeed);
    drop(panic::take_hook());
    comparison.time("floor: no hook", || (), succeed);
    comparison.finish();
}

/// The hook that `install` sets, which goes on to one that does nothing. Hooks cannot be changed during a panic, so it
/// is asked for before.
fn installed() -> &'static Hook {
    static HOOK: OnceLock<Hook> = OnceLock::new();
    HOOK.get_or_init(|| {
        panic::set_hook(Box::new(|_| {}));
        trace_capture::install();
        panic::take_hook()
    })
}

#[inline(never)]
fn fail(depth: usize) {
    if depth == 0 {
        panic!("no price for sku {:?}", "X-9");
    }
    fail(depth - 1);
    black_box(depth);
}
