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

use program::Program;
use text::Text;
use words::{Words, become_program};

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

fn run(arguments: Words, environment: Words) -> c_int {
    let first = arguments.iter().nth(1);
    match first.map(CStr::to_bytes) {
        Some(b"--help" | b"-h") => return print(HELP),
        Some(b"--version" | b"-V") => return print(concat!("trace-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => {}
    }
    let mut found = Text::new();
    let Some(program) = Program::of(arguments, &environment, &mut found) else {
        say("no program to run: name one, or put a bootstrap into the task root", b"");
        return CANNOT_RUN;
    };
    let mut address = Text::new();
    let mut preload = Text::new();
    let mut environment = environment;
    if !environment.is_on(c"TRACE_AGENT_DISABLED") && ask::attach(&environment, &mut address) {
        environment.set(&address);
        if program::preload(&environment, &mut preload) {
            environment.set(&preload);
        }
    }
    become_program(program.words(), &environment);
    say("cannot run ", program.name());
    CANNOT_RUN
}

fn print(text: &str) -> c_int {
    words::write(1, text.as_bytes());
    0
}

/// Writes a line for the function's log.
fn say(what: &str, name: &[u8]) {
    let mut line = Text::new();
    line.push(b"trace-agent: ");
    line.push(what.as_bytes());
    line.push(name);
    line.push(b"\n");
    words::write(2, line.bytes());
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    say("the wrapper failed", b"");
    words::exit(CANNOT_RUN)
}
