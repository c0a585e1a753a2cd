//! The panic hook.
//!
//! std calls a hook at the point of the panic, before it unwinds, so the whole stack is still there. A panic inside a
//! hook makes std abort the process; therefore nothing here can panic: no index, no `unwrap`, no allocation that may
//! fail, no `std::thread::current`, which panics in a thread that is being torn down.
#![expect(unsafe_code, reason = "two system calls that std has no safe function for")]

use std::hint::black_box;
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::Once;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::modules::{Modules, program_path};
use crate::outlet::Outlet;
use crate::stack::Stack;
use crate::wire::{self, DATAGRAM_BYTES_MAX, Flags, Kind, Location, Report};

/// The text that std prints for a payload that is neither `&str` nor `String`.
const OPAQUE_PAYLOAD: &str = "Box<dyn Any>";

/// Bytes of a thread name that the kernel keeps, with the zero after it (`prctl(2)`).
const THREAD_NAME_BYTES: usize = 16;

/// Reports each panic of this process to the agent from now on, then does what would have been done without it.
///
/// Call it first in `main`. A second call does nothing. A hook that is set later replaces this one, unless it keeps and
/// calls what `std::panic::take_hook` gives it.
///
/// The agent listens at `TRACE_AGENT_SOCKET`, by default [`wire::SOCKET_PATH`]. While it does not, reports go to the
/// file that `TRACE_AGENT_CAPTURE_FILE` names, and without one they are counted. Both variables are read here, once.
pub fn install() {
    static ONCE: Once = Once::new();
    // In a destructor that runs while the thread unwinds, std would answer `take_hook` with a second panic.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let outlet = Outlet::open();
        let program = program_path();
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A variable of this function marks where the frames of the handler begin. It has to stand on the stack.
            let here = 0_u8;
            report(info, black_box(&here), &program, &outlet);
            previous(info);
        }));
    });
}

#[inline(never)]
fn report(info: &PanicHookInfo<'_>, hook_local: &u8, program: &[u8], outlet: &Outlet) {
    let time_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    let mut stack = Stack::above(hook_local);
    let mut flags = Flags::default();
    if stack.cut {
        flags.insert(Flags::FRAMES_CUT);
    }
    let (modules, frames) = Modules::of(&mut stack, program);
    if modules.cut {
        flags.insert(Flags::MODULES_CUT);
    }

    let process_id = process::id();
    let thread_id = thread_id();
    let mut name = [0; THREAD_NAME_BYTES];
    let thread_name = if thread_id == process_id { "main" } else { thread_name(&mut name) };

    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    outlet.send(|lost| {
        let report = Report {
            kind: Kind::Panic,
            flags,
            process_id,
            thread_id,
            time_us,
            lost,
            request_id: None,
            thread_name: Some(thread_name.into()),
            message: message(info).into(),
            location: info.location().map(|location| Location {
                file: location.file().into(),
                line: location.line(),
                column: location.column(),
            }),
            modules: modules.as_slice(),
            frames,
        };
        wire::encode(&report, &mut buffer)
    });
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        OPAQUE_PAYLOAD
    }
}

/// The kernel's id of this thread.
fn thread_id() -> u32 {
    // SAFETY: takes no argument and cannot fail.
    let id = unsafe { libc::gettid() };
    id.cast_unsigned()
}

/// The kernel's name of this thread: what std and every other runtime set, cut to 15 bytes, also where the thread is
/// not Rust's.
fn thread_name(name: &mut [u8; THREAD_NAME_BYTES]) -> &str {
    // SAFETY: writes at most 16 bytes, which `name` has.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let text = name.split(|&byte| byte == 0).next().unwrap_or_default();
    // A name may have been cut within a character.
    match str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            text.get(..error.valid_up_to()).and_then(|text| str::from_utf8(text).ok()).unwrap_or("")
        }
    }
}
