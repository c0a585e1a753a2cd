//! The raw stack: return addresses only, nothing looked up.
#![expect(unsafe_code, reason = "walking without the lock of the `backtrace` crate is marked unsafe")]

use crate::wire::{FRAMES_MAX, Frame};

/// The frames of a thread, innermost first.
pub(crate) struct Stack {
    frames: [Frame; FRAMES_MAX],
    count: usize,
    /// Whether there are frames beyond the last.
    pub(crate) cut: bool,
}

impl Stack {
    /// Walks the calling thread's stack, from the caller of the function that `local` is a variable of.
    ///
    /// Our own frames are skipped by their place on the stack: it grows downwards, so at its call the stack pointer of
    /// each function up to the one that owns `local` is at or below `local`, and that of its callers is above.
    #[inline(never)]
    pub(crate) fn above<T>(local: &T) -> Stack {
        let own = std::ptr::from_ref(local).addr();
        let mut stack = Stack { frames: [Frame::default(); FRAMES_MAX], count: 0, cut: false };
        let visit = |frame: &backtrace::Frame| {
            if stack.count == 0 && frame.sp().addr() <= own && !frame.sp().is_null() {
                return true;
            }
            // glibc's `_start` says that it has no caller; the unwinder hands that out as a last frame without an
            // address.
            if frame.ip().is_null() {
                return false;
            }
            let Some(slot) = stack.frames.get_mut(stack.count) else {
                stack.cut = true;
                return false;
            };
            slot.return_address = frame.ip().addr() as u64;
            stack.count += 1;
            true
        };
        // SAFETY: on Linux this is `_Unwind_Backtrace`, which keeps its state on the stack and may run in many
        // threads at once. The lock that the safe `backtrace::trace` takes first is there for the crate's symbol
        // cache and for Windows; another thread holds it while it resolves a backtrace of its own, and waiting for
        // that would stop this thread for many milliseconds. `visit` does not panic: it indexes nothing.
        unsafe { backtrace::trace_unsynchronized(visit) };
        stack
    }

    /// The frames.
    pub(crate) fn frames(&mut self) -> &mut [Frame] {
        self.frames.get_mut(..self.count).unwrap_or_default()
    }
}
