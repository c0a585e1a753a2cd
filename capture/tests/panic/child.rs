//! The programs that fail. Each is a name on the command line of the test program, run as a process of its own.
#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::panic::{self, UnwindSafe};
use std::thread;

/// How often [`with_gaps`] panics while nobody reads: more than the queue of the kernel or
/// the capture file holds.
pub(crate) const PANICS_WITHOUT_READER: u32 = 5_000;

/// The name of the thread in [`in_a_thread`].
pub(crate) const THREAD_NAME: &str = "prices";

/// Runs the program `name`, with the hook or without. Returns when it has not ended the process.
pub(crate) fn run(name: &str, install: bool) {
    if install {
        trace_capture::install();
        trace_capture::install();
    }
    match name {
        "three-calls-deep" => price_order("X-9"),
        "in-a-thread" => in_a_thread(),
        "while-unwinding" => while_unwinding(),
        "opaque-payload" => panic::panic_any(7_u8),
        "recursive" => recurse(200),
        "with-gaps" => with_gaps(),
        "allocations" => allocations(),
        _ => unreachable!("no program {name}"),
    }
}

#[inline(never)]
fn price_order(sku: &str) {
    black_box(unit_price(sku));
}

#[inline(never)]
fn unit_price(sku: &str) -> u32 {
    black_box(look_up(sku)) + 1
}

#[inline(never)]
fn look_up(sku: &str) -> u32 {
    panic!("no price for sku {sku:?}");
}

fn in_a_thread() {
    let prices = thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(|| price_order("X-9"));
    prices.unwrap().join().unwrap_err();
}

/// Panics in a destructor while a panic unwinds, which std answers by ending the process.
fn while_unwinding() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    let _bomb = Bomb;
    panic!("first");
}

#[inline(never)]
fn recurse(depth: usize) {
    if depth == 0 {
        panic!("too deep");
    }
    recurse(depth - 1);
    black_box(depth);
}

/// Panics into a queue that nobody reads, says so, waits for a word, and panics once more.
fn with_gaps() {
    for _ in 0..PANICS_WITHOUT_READER {
        panic::catch_unwind(|| price_order("X-9")).unwrap_err();
    }
    println!("full");
    io::stdout().flush().unwrap();
    io::stdin().read_exact(&mut [0]).unwrap();
    price_order("last");
}

/// Prints what a thousand successes allocate, and how much more a failure allocates with the hook than without.
fn allocations() {
    let fail = || drop(panic::catch_unwind(|| price_order("X-9")));
    panic::set_hook(Box::new(|_| {}));
    allocated_by(fail);
    let bare = allocated_by(fail);

    trace_capture::install();
    let successes = allocated_by(|| {
        for invocation in 0..1_000 {
            drop(panic::catch_unwind(|| black_box(invocation) + 1));
        }
    });
    let hooked = allocated_by(fail);

    println!("{successes} {}", hooked - bare);
}

/// Allocations of this thread in `work`.
fn allocated_by(work: impl FnOnce() + UnwindSafe) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: hands everything to `System`; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
