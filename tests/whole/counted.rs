//! What the extension costs a function that does not fail, as far as it can be counted. Times are printed by `cargo bench`.

use libtest_mimic::Trial;
use object::{Object as _, ObjectSection as _};

use crate::harness::{Outcome, Stop, equal, eventually, extension, holds, test, tool};
use crate::matrix::{Setup, Stage, fails};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("counted: the program is static and has nothing to relocate", the_program_is_static),
        test("counted: system calls of a good invocation", system_calls),
        test("counted: threads and memory stay as they are", threads_and_memory),
        test("counted: a worker that is not needed goes away", the_worker_goes_away),
    ]
}

/// The dynamic linker and relocations would be most of the start, see build.rs.
fn the_program_is_static() -> Outcome {
    let bytes = std::fs::read(extension())?;
    let file = object::File::parse(&*bytes)?;
    equal(file.kind(), object::ObjectKind::Executable, "no position-independent program")?;
    holds(file.section_by_name(".interp").is_none(), "it asks for no dynamic linker")?;
    let relocations = file.section_by_name(".rela.dyn").map_or(0, |section| section.size());
    // Those that choose a function for the processor: 24 bytes each, of which the C library has some 40.
    holds(relocations <= 2_048, format!("{relocations} bytes of relocations"))
}

/// Four: two to read and two to write, for the event and for the batch of telemetry.
const CALLS_PER_INVOCATION: usize = 4;

fn system_calls() -> Outcome {
    tool("strace")?;
    let calls = |invocations: usize| -> Result<usize, Stop> {
        let trace = tempfile::NamedTempFile::new()?;
        let path = trace.path().display().to_string();
        // The name that Lambda's side accepts is the traced program's own.
        let setup = Setup { before: format!("exec strace -qq -f -o '{path}' \"$0\";"), ..Setup::default() };
        let mut stage = Stage::start(&setup)?;
        (0..invocations).try_for_each(|_| stage.good())?;
        stage.shut_down("spindown")?;
        let text = std::fs::read_to_string(trace.path())?;
        // A call that another thread interrupts has a second line.
        Ok(text.lines().filter(|line| !line.contains(" resumed>")).count())
    };
    let (few, many) = (calls(20)?, calls(120)?);
    let per_invocation = (many - few) as f64 / 100.0;
    // A wait that is given up and begun again is one more, now and then.
    holds(per_invocation <= CALLS_PER_INVOCATION as f64 + 0.2, format!("{per_invocation} system calls"))
}

fn threads_and_memory() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    equal(stage.threads(), 4, "the events', the telemetry's, the capture socket's and the proxy's")?;
    (0..200).try_for_each(|_| stage.good())?;
    equal(stage.threads(), 5, "and the one connection of the telemetry")?;
    let before = stage.resident_kib()?;
    (0..1_000).try_for_each(|_| stage.good())?;
    let grown = stage.resident_kib()?.saturating_sub(before);
    holds(grown <= 64, format!("{grown} KiB more after 1,000 good invocations"))?;
    equal(stage.threads(), 5, "after all of them")?;
    stage.shut_down("spindown").map(|_| ())
}

fn the_worker_goes_away() -> Outcome {
    let mut stage = Stage::start(&Setup::default())?;
    fails(&mut stage)?;
    eventually("it is stored", || (stage.sink.stored().len() == 1).then_some(()))?;
    holds(stage.worker().is_some(), "the worker stays for a while")?;
    (0..20).try_for_each(|_| stage.good())?;
    // An invocation that finds it busy leaves it to the next one.
    eventually("the worker is gone", || (stage.good().is_err() || stage.worker().is_none()).then_some(()))?;
    // And comes again.
    fails(&mut stage)?;
    eventually("the second is stored", || (stage.sink.stored().len() == 2).then_some(()))?;
    stage.shut_down("spindown").map(|_| ())
}
