//! `trace-agent symbolize`, judged by the binutils.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::harness::{Outcome, Stop, equal, holds, lines, run, said, test, tool, trace_agent};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("symbolize names what addr2line names", symbolize_names_what_addr2line_names),
        test("symbolize answers standard input line by line", symbolize_answers_standard_input),
        test("symbolize says why it knows nothing", symbolize_says_why_it_knows_nothing),
        test("symbolize refuses what is no program in one line", symbolize_refuses_what_is_no_program),
        test(
            "symbolize never uses a debug file of another build",
            symbolize_never_uses_another_builds_debug_file,
        ),
    ]
}

const SOURCE: &str = "\
static inline __attribute__((always_inline)) int divide(int x) {
    return 100 / (x - 3);
}
__attribute__((noinline)) int price(int x) {
    return divide(x) + 1;
}
int main(int argc, char **argv) { return price(argc + 2) == 0; }
";

/// A program with an inlined function, in a folder of its own.
fn program() -> Result<tempfile::TempDir, Stop> {
    tool("cc")?;
    tool("objcopy")?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("price.c"), SOURCE)?;
    sh(folder.path(), "cc -g -O1 -Wl,--build-id price.c -o price")?;
    Ok(folder)
}

fn sh(folder: &Path, script: &str) -> Result<String, Stop> {
    let output = run(Command::new("sh").current_dir(folder).args(["-ec", script]))?;
    holds(output.status.success(), format!("{script}: {}", said(&output)))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The address of the division that was inlined into `price`.
fn division(folder: &Path) -> Result<String, Stop> {
    let division = sh(folder, "objdump -d price | sed -n '/<price>:/,/ret/p' | grep idiv | cut -d: -f1")?;
    Ok(division.trim().to_owned())
}

fn symbolize_names_what_addr2line_names() -> Outcome {
    let folder = program()?;
    let address = division(folder.path())?;
    let arguments = ["symbolize", "--obj", "price", "--output-style", "JSON", &address];
    let output = run(trace_agent(folder.path()).args(arguments))?;
    let answer = lines(&output.stdout)?.remove(0);
    let frames = answer["frames"].as_array().cloned().unwrap_or_default();
    let ours: Vec<String> = frames
        .iter()
        .map(|frame| {
            format!(
                "{}\n{}:{}\n",
                frame["function"].as_str().unwrap_or("??"),
                frame["file"].as_str().unwrap_or("??"),
                frame["line"]
            )
        })
        .collect();
    let theirs =
        sh(folder.path(), &format!("addr2line -f -i -e price {address} | sed 's/ (discriminator.*//'"))?;
    equal(ours.concat(), theirs, "functions, files and lines")?;
    equal(frames[0]["source"].as_str(), Some("return 100 / (x - 3);"), "the source line")?;
    equal(
        (&frames[0]["inlined"], &frames[1]["inlined"]),
        (&true.into(), &false.into()),
        "which frame was inlined",
    )
}

fn symbolize_answers_standard_input() -> Outcome {
    let folder = program()?;
    let address = division(folder.path())?;
    let script = format!(
        "printf '0x%s\\nhello\\n\\n0\\n' {address} | \"$PROGRAM\" symbolize --obj price --output-style json"
    );
    let output = run(Command::new("sh")
        .current_dir(folder.path())
        .args(["-ec", &script])
        .env("PROGRAM", trace_agent(folder.path()).get_program()))?;
    let answers = lines(&output.stdout)?;
    let found: Vec<usize> =
        answers.iter().map(|answer| answer["frames"].as_array().map_or(0, Vec::len)).collect();
    equal(found, vec![2, 0, 0, 0], "one answer for each line, and no line costs another")
}

fn symbolize_says_why_it_knows_nothing() -> Outcome {
    let folder = program()?;
    let address = division(folder.path())?;
    sh(folder.path(), "strip price -o stripped")?;
    for (program, address, why) in [
        ("stripped", address.as_str(), "no symbols"),
        ("price", "0xffffffffffff", "outside every executable section"),
    ] {
        let output = run(trace_agent(folder.path()).args([
            "symbolize",
            "--obj",
            program,
            "--output-style",
            "JSON",
            address,
        ]))?;
        let answer = lines(&output.stdout)?.remove(0);
        let missing = answer["missing"].as_str().unwrap_or_default();
        holds(missing.contains(why), format!("{program} {address}: {missing}"))?;
        holds(output.status.success(), "what is not found does not change the exit status")?;
    }
    Ok(())
}

fn symbolize_refuses_what_is_no_program() -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("text"), "not a program")?;
    std::fs::write(folder.path().join("short"), b"\x7fELF\x02\x01\x01")?;
    for (program, why) in [
        ("nothing", "no such file"),
        ("text", "not an ELF file"),
        ("short", "short"),
        (".", "not a regular file"),
    ] {
        let output = run(trace_agent(folder.path()).args(["symbolize", "--obj", program, "0x1000"]))?;
        equal(output.status.code(), Some(1), program)?;
        let said = said(&output);
        holds(said.lines().count() == 1 && said.contains(why), format!("{program}: {said}"))?;
    }
    Ok(())
}

fn symbolize_never_uses_another_builds_debug_file() -> Outcome {
    let folder = program()?;
    let address = division(folder.path())?;
    sh(
        folder.path(),
        "objcopy --only-keep-debug price price.debug
         objcopy --strip-all --add-gnu-debuglink=price.debug price stripped",
    )?;
    let symbolize = || {
        run(trace_agent(folder.path()).args([
            "symbolize",
            "--obj",
            "stripped",
            "--output-style",
            "JSON",
            &address,
        ]))
    };
    equal(
        lines(&symbolize()?.stdout)?[0]["frames"][1]["function"].as_str(),
        Some("price"),
        "with its own debug file",
    )?;
    sh(
        folder.path(),
        "sed -i s/price/prize/ price.c && cc -g -O1 -Wl,--build-id price.c -o other && objcopy --only-keep-debug other price.debug",
    )?;
    let output = symbolize()?;
    equal(
        lines(&output.stdout)?[0]["frames"].as_array().map(Vec::len),
        Some(0),
        "with another build's debug file",
    )?;
    holds(said(&output).contains("has build-id"), said(&output))
}
