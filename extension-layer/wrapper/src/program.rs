//! Which program it becomes, and what is loaded into that.

use core::ffi::CStr;

use rustix::fs::{Access, AtFlags, CWD, accessat, readlinkat_raw, stat};

use crate::text::Text;
use crate::words::Words;

/// This program's file.
const OWN: &CStr = c"/proc/self/exe";

/// The crash recorder, seen from the folder above this program's.
const RECORDER: &[u8] = b"lib/libtrace_preload.so";

/// The command to become.
pub(crate) struct Program {
    words: Words,
}

impl Program {
    /// What the arguments name, behind another wrapper if there is one; else the function's own program, whose path goes into `found`. `None` if
    /// there is neither, or the command is too long.
    pub(crate) fn of(arguments: Words, environment: &Words, found: &mut Text) -> Option<Self> {
        let mut words = Words::none();
        let mut is_whole = true;
        if let Some(wrapper) =
            environment.value(c"TRACE_AGENT_EXEC_WRAPPER").filter(|wrapper| !is_this_program(wrapper))
        {
            is_whole &= words.push(wrapper);
        }
        if arguments.iter().nth(1).is_some() {
            is_whole &= words.extend(&arguments, 1);
        } else if find_bootstrap(environment, found) {
            is_whole &= words.push_text(found);
        } else {
            return None;
        }
        is_whole.then_some(Self { words })
    }

    /// Its words.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// Its name.
    pub(crate) fn name(&self) -> &[u8] {
        self.words.iter().next().map_or(b"", CStr::to_bytes)
    }
}

/// Finds the function's own program where none is named.
fn find_bootstrap(environment: &Words, found: &mut Text) -> bool {
    let task_root = environment.value(c"LAMBDA_TASK_ROOT").map_or(&b"/var/task"[..], CStr::to_bytes);
    for folder in [task_root, b"/var/runtime"] {
        *found = Text::new();
        found.push(folder);
        found.push(b"/bootstrap");
        let is_there = found.c_str().is_some_and(|path| exists(path) && !is_this_program(path));
        if is_there && found.is_whole() {
            return true;
        }
    }
    false
}

/// Writes the variable that loads the crash recorder, behind what is loaded anyway. False if the layer has none.
pub(crate) fn preload(environment: &Words, variable: &mut Text) -> bool {
    let mut own = [core::mem::MaybeUninit::uninit(); 4096];
    let Ok((own, _)) = readlinkat_raw(CWD, OWN, &mut own) else { return false };
    // The folder of this program is one below the layer's.
    let Some(root) = own
        .iter()
        .rposition(|byte| *byte == b'/')
        .and_then(|slash| own[..slash].iter().rposition(|byte| *byte == b'/'))
    else {
        return false;
    };
    let mut recorder = Text::new();
    recorder.push(&own[..=root]);
    recorder.push(RECORDER);
    if !recorder.is_whole() || !recorder.c_str().is_some_and(exists) {
        return false;
    }
    variable.push(b"LD_PRELOAD=");
    if let Some(before) = environment.value(c"LD_PRELOAD") {
        variable.push(before.to_bytes());
        variable.push(b":");
    }
    variable.push(recorder.bytes());
    variable.is_whole()
}

fn exists(path: &CStr) -> bool {
    accessat(CWD, path, Access::EXISTS, AtFlags::empty()).is_ok()
}

/// True if `path` leads to this program, or to what must be a copy of it: to become it again would never end.
fn is_this_program(path: &CStr) -> bool {
    let (Ok(own), Ok(other)) = (stat(OWN), stat(path)) else { return false };
    (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino) || own.st_size == other.st_size
}
