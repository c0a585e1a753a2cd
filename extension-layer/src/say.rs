//! The few messages for the owner of the function, on standard error, which Lambda carries to the log.
//!
//! Our output is part of what the owner pays for, and the log is full of it if a fault repeats: so every message is said
//! once, and there is no logging framework.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes of stack of each thread of the supervisor. Only touched pages count; the deepest path is a head's parse, with
/// 4 KiB of header slots.
const STACK_BYTES: usize = 256 * 1024;

/// Writes one line. A closed standard error is nobody's reason to stop.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    let mut line = String::from("trace-agent: ");
    // Writing to a String does not fail.
    let _ = writeln!(line, "{message}");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Says a message the first time only.
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) const fn new() -> Once {
        Once(AtomicBool::new(false))
    }

    /// Says `message` unless something was said here before.
    pub(crate) fn say(&self, message: fmt::Arguments<'_>) {
        if !self.0.swap(true, Ordering::Relaxed) {
            say(message);
        }
    }
}

/// How many panics were caught in this process.
static PANICS: AtomicU32 = AtomicU32::new(0);

/// Makes the first panic one line on standard error and the others a count: a fault that repeats must not fill the log.
pub(crate) fn quiet_panics() {
    panic::set_hook(Box::new(|panic| {
        if PANICS.fetch_add(1, Ordering::Relaxed) == 0 {
            say(format_args!("internal fault, the function is not affected: {panic}"));
        }
    }));
}

/// Runs `work`; a panic in it ends `work` and nothing else.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What `work` shares is behind locks that outlive a panic (see `lock`), and holds no half-made state worth more.
    panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Starts a small thread that cannot take the process with it.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    thread.spawn(move || {
        guarded(work);
    })?;
    Ok(())
}

/// Locks `mutex`, also after a panic under it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
