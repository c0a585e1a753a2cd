//! Which program it becomes, and what is loaded into that.

use core::ffi::{CStr, c_int};

use rustix::fs::{Access, AtFlags, CWD, accessat, readlinkat_raw, stat};

use crate::text::{PATH_BYTES_MAX, Text};
use crate::words::Words;

/// This program's file.
const OWN: &CStr = c"/proc/self/exe";

/// The crash recorder, seen from the folder above this program's.
const RECORDER: &[u8] = b"lib/libtrace_preload.so";

/// The variable in which this program counts itself, and the bytes of it.
const DEPTH: &CStr = c"TRACE_AGENT_DEPTH";
const DEPTH_BYTES_MAX: usize = 32;

/// Bytes of the longest `LD_PRELOAD`: our path, and what Lambda's 4 KiB of variables may have of others.
const PRELOAD_BYTES_MAX: usize = 2 * PATH_BYTES_MAX;

/// How often this program may have led to itself, through scripts that name it: two or three wrappers do, and a bootstrap without a program behind
/// it would for ever.
pub(crate) const DEPTH_MAX: usize = 8;

/// How often this program has run before it in this place.
pub(crate) fn depth(environment: Words<'_>) -> usize {
    environment.value(DEPTH).and_then(|depth| depth.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// The variable that says so to the next one.
pub(crate) fn depth_variable(depth: usize) -> Text<DEPTH_BYTES_MAX> {
    let mut variable = Text::new();
    variable.push(DEPTH.to_bytes());
    variable.push(b"=");
    variable.push_number(depth);
    variable
}

/// The other wrapper that the command is for, if there is one.
pub(crate) fn wrapper<'a>(environment: Words<'a>) -> Option<&'a CStr> {
    environment.value(c"TRACE_AGENT_EXEC_WRAPPER").filter(|wrapper| !is_this_program(wrapper))
}

/// The function's own program, where the command names none.
pub(crate) fn bootstrap(environment: Words<'_>) -> Option<Text<PATH_BYTES_MAX>> {
    let task_root = environment.value(c"LAMBDA_TASK_ROOT").map_or(&b"/var/task"[..], CStr::to_bytes);
    [task_root, b"/var/runtime"].into_iter().find_map(|folder| {
        let mut path = Text::new();
        path.push(folder);
        path.push(b"/bootstrap");
        let is_there = path.c_str().is_some_and(|path| exists(path) && !is_this_program(path));
        is_there.then_some(path)
    })
}

/// The variable that loads the crash recorder, behind what is loaded anyway. `None` if the layer has none.
pub(crate) fn preload(environment: Words<'_>) -> Option<Text<PRELOAD_BYTES_MAX>> {
    let mut own = [const { core::mem::MaybeUninit::uninit() }; PATH_BYTES_MAX];
    let (own, _) = readlinkat_raw(CWD, OWN, &mut own).ok()?;
    // The folder of this program is one below the layer's.
    let folder = own.iter().rposition(|byte| *byte == b'/')?;
    let root = own[..folder].iter().rposition(|byte| *byte == b'/')?;
    let mut recorder = Text::<PATH_BYTES_MAX>::new();
    recorder.push(&own[..=root]);
    recorder.push(RECORDER);
    if !exists(recorder.c_str()?) {
        return None;
    }
    let mut variable = Text::new();
    variable.push(b"LD_PRELOAD=");
    if let Some(before) = environment.value(c"LD_PRELOAD") {
        variable.push(before.to_bytes());
        variable.push(b":");
    }
    variable.push(recorder.bytes());
    Some(variable)
}

/// Why a program cannot be run, for the owner of the function.
pub(crate) fn reason(errno: c_int) -> &'static str {
    match errno {
        libc::ENOENT => "it does not exist, or the interpreter in its first line does not",
        libc::EACCES => "it may not be executed",
        libc::ENOEXEC => "it is no program for this processor, and no script that begins with #!",
        libc::E2BIG => "its arguments and variables are too long",
        libc::ENOMEM => "there is no memory",
        _ => "the system refuses it",
    }
}

fn exists(path: &CStr) -> bool {
    accessat(CWD, path, Access::EXISTS, AtFlags::empty()).is_ok()
}

/// True if `path` leads to this program, or to what must be a copy of it: to become it again would never end.
fn is_this_program(path: &CStr) -> bool {
    let (Ok(own), Ok(other)) = (stat(OWN), stat(path)) else { return false };
    (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino) || own.st_size == other.st_size
}
