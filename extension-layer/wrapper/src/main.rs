//! `/opt/trace-agent/wrapper` and `/opt/trace-agent/bootstrap`: one program under two names.
//!
//! It runs where a runtime would begin, sends the runtime through the extension's proxy, and becomes the runtime. Whatever goes wrong on the way,
//! it becomes the runtime all the same, with the variables that it was given.
//!
//! - `words`: what C hands to a program, and exec;
//! - `text`: text in memory of a fixed size, since there is no other;
//! - `ask`: the question to the proxy, and how long it may take;
//! - `program`: which program it becomes.
#![no_std]
#![no_main]

mod words;
mod text;
mod ask;
mod program;

use core::ffi::{CStr, c_char, c_int};

use text::{PATH_BYTES_MAX, Text};
use words::{List, Words, become_program};

const HELP: &str = "\
Sends a Lambda function's runtime through trace-agent's proxy, and becomes the runtime.

Usage: wrapper PROGRAM [ARGUMENT]...      as AWS_LAMBDA_EXEC_WRAPPER
       bootstrap [PROGRAM [ARGUMENT]...]  for OS-only runtimes and images

Without PROGRAM it runs $LAMBDA_TASK_ROOT/bootstrap, or /var/runtime/bootstrap.

  TRACE_AGENT_EXEC_WRAPPER  another wrapper, which gets PROGRAM and its arguments
  TRACE_AGENT_DISABLED      1: become PROGRAM at once
";

/// The status of a shell for a program that cannot be run.
const CANNOT_RUN: c_int = 126;

/// The beginning, as the C library calls it.
// SAFETY: no other function of this program has this name, and its type is what C says.
#[expect(unsafe_code, reason = "without a standard library this is how a program begins")]
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, arguments: *const *const c_char, environment: *const *const c_char) -> c_int {
    // SAFETY: the C library passes two arrays of C strings, each with a null pointer at its end, which live as long as the process.
    let arguments = unsafe { Words::new(arguments) };
    // SAFETY: likewise.
    let environment = unsafe { Words::new(environment) };
    run(arguments, environment)
}

fn run(arguments: Words<'_>, environment: Words<'_>) -> c_int {
    let named = arguments.rest();
    match named.iter().next().map(CStr::to_bytes) {
        Some(b"--help" | b"-h") => return print(HELP),
        Some(b"--version" | b"-V") => return print(concat!("trace-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => {}
    }
    let depth = program::depth(environment);
    if depth >= program::DEPTH_MAX {
        say(&[b"the program leads back to this one: name the function's own behind it"]);
        return CANNOT_RUN;
    }
    let bootstrap = if named.is_empty() { program::bootstrap(environment) } else { None };
    let own = bootstrap.as_ref().and_then(Text::c_str);
    if named.is_empty() && own.is_none() {
        say(&[b"no program to run: name one, or put a bootstrap into the task root"]);
        return CANNOT_RUN;
    }
    let mut program = List::new();
    own.into_iter().for_each(|word| program.push(word));
    program.extend(named);
    // One with more arguments than a list has room for is C's own list, and does without the other wrapper.
    let program = program.whole().unwrap_or(named);
    let mut wrapped = List::new();
    if let Some(wrapper) = program::wrapper(environment) {
        wrapped.push(wrapper);
        wrapped.extend(program);
    }

    let is_disabled = environment.is_on(c"TRACE_AGENT_DISABLED");
    let address = if is_disabled { None } else { ask::attach(environment) };
    let preload = address.as_ref().and_then(|_| program::preload(environment));
    let wrapped = wrapped.whole().filter(|wrapped| !wrapped.is_empty());
    // Only what it changes, or chooses itself, can lead back to it for ever.
    let is_own_choice = own.is_some() || wrapped.is_some() || address.is_some();
    let depth = is_own_choice.then(|| program::depth_variable(depth + 1));

    let mut changed = List::new();
    changed.extend(environment);
    let variables = [
        address.as_ref().and_then(Text::c_str),
        preload.as_ref().and_then(Text::c_str),
        depth.as_ref().and_then(Text::c_str),
    ];
    variables.into_iter().flatten().for_each(|variable| changed.set(variable));
    // One that is longer than a list is passed on as it is.
    let environment = changed.whole().unwrap_or(environment);
    for command in wrapped.into_iter().chain([program]) {
        let reason = program::reason(become_program(command, environment));
        let name = command.iter().next().map_or(&b""[..], CStr::to_bytes);
        say(&[b"cannot run ", name, b": ", reason.as_bytes()]);
    }
    CANNOT_RUN
}

fn print(text: &str) -> c_int {
    words::write(1, text.as_bytes());
    0
}

/// Writes a line for the function's log.
fn say(parts: &[&[u8]]) {
    let mut line = Text::<{ 2 * PATH_BYTES_MAX }>::new();
    line.push(b"trace-agent: ");
    parts.iter().for_each(|part| line.push(part));
    line.push(b"\n");
    words::write(2, line.bytes());
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    say(&[b"the wrapper failed"]);
    words::exit(CANNOT_RUN)
}
