//! `trace-agent` under the names of other tools, byte for byte beside the tools themselves; and what else `symbolize` reads.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;

use crate::harness::{Outcome, Stop, equal, holds, lines, run, said, test, tool, trace_agent};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("as addr2line it prints addr2line's bytes", as_addr2line),
        test("as llvm-symbolizer it prints llvm-symbolizer's bytes", as_llvm_symbolizer),
        test("as eu-addr2line it prints eu-addr2line's bytes", as_eu_addr2line),
        test("short names are llvm-symbolizer's, or the path alone", names_are_short),
        test("a sanitizer drives it as its symbolizer", a_sanitizer_drives_it),
        test("a driver that waits for each answer gets it at once", each_answer_at_once),
        test("symbolize names the frames of recorded failures", records_are_named),
        test("recorded failures are named from packed symbols elsewhere", records_are_named_elsewhere),
        test("symbolize names the frames of backtraces in text", backtraces_are_named),
        test("symbolizer markup is rewritten as llvm-symbolizer does", markup_is_rewritten),
        test("packed symbols answer as the program does", packed_symbols_answer),
        test("symbolize names addresses of a core dump", a_dump_is_read),
        test("symbolize explains which file answered", an_answer_is_explained),
    ]
}

const SOURCE: &str = "\
#include <execinfo.h>
#include <stdlib.h>
static inline __attribute__((always_inline)) int divide(int x) {
    return 100 / (x - 3);
}
__attribute__((noinline)) int price(int x) {
    return divide(x) + 1;
}
static __attribute__((noinline)) void trace(void) {
    void *calls[8];
    backtrace_symbols_fd(calls, backtrace(calls, 8), 1);
}
int main(int argc, char **argv) {
    if (argc > 2) trace();
    if (argc > 1) { char *p = malloc(4); int x = p[argc + 3]; free(p); return x; }
    return price(argc + 2) == 0;
}
";

/// A folder with the program `price`, and links to `trace-agent` under the names of the tools.
fn program() -> Result<tempfile::TempDir, Stop> {
    tool("cc")?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("price.c"), SOURCE)?;
    sh(folder.path(), "cc -g -O1 -Wl,--build-id price.c -o price")?;
    for name in ["addr2line", "llvm-symbolizer", "llvm-addr2line", "eu-addr2line"] {
        std::fs::create_dir_all(folder.path().join("as"))?;
        symlink(trace_agent(folder.path()).get_program(), folder.path().join("as").join(name))?;
    }
    Ok(folder)
}

fn sh(folder: &Path, script: &str) -> Result<String, Stop> {
    let output = run(Command::new("sh").current_dir(folder).args(["-ec", script]))?;
    holds(output.status.success(), format!("{script}: {}", said(&output)))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the tool and ourselves with each of the command lines and the same input, and compares output and status.
fn compare(folder: &Path, tool: &str, command_lines: &[&str], input: &str) -> Outcome {
    std::fs::write(folder.join("input"), input)?;
    let name = tool.trim_end_matches(|last: char| last.is_ascii_digit() || last == '-');
    for flags in command_lines {
        let both = [tool.to_owned(), format!("as/{name}")].map(|program| {
            let script = format!("{program} {flags} < input; echo status $?");
            run(Command::new("sh").current_dir(folder).args(["-c", &script]))
        });
        let [theirs, ours] = both;
        let text = |output: Result<std::process::Output, Stop>| -> Result<String, Stop> {
            Ok(String::from_utf8_lossy(&output?.stdout).into_owned())
        };
        equal(text(ours)?, text(theirs)?, &format!("{tool} {flags}"))?;
    }
    Ok(())
}

/// Addresses of inlined and plain code, then what scripts and people write besides.
fn input(folder: &Path, others: &str) -> Result<String, Stop> {
    let addresses = sh(folder, "nm price | sed -n 's/^0*\\([0-9a-f]*\\) T \\(price\\|main\\)$/0x\\1/p'")?;
    let division = sh(folder, "objdump -d price | sed -n '/<price>:/,/ret/p' | grep idiv | cut -d: -f1")?;
    Ok(format!("{addresses}0x{}\n{others}", division.trim()))
}

fn as_addr2line() -> Outcome {
    let folder = program()?;
    let input = input(folder.path(), "0x0\n,\n\nhello\nmain\n  0x0 trailing\n0xffffffff\n")?;
    let command_lines = [
        "-e price",
        "-f -e price",
        "-a -f -i -C -e price",
        "-a -f -i -C -p -s -e price",
        "-p -e price",
        "-fip --exe=price",
        "-i -e price",
        "-afie price",
        "-e absent",
        "-e price.c",
        "--functions --inlines --addresses --exe price 0x0 main",
        "-f -e price -j .text 0x10 0x100",
        "-e price -j .absent 0x10",
    ];
    compare(folder.path(), "addr2line", &command_lines, &input)
}

fn as_llvm_symbolizer() -> Outcome {
    tool("llvm-symbolizer")?;
    let folder = program()?;
    // What it makes of lines that are no addresses changes with its releases.
    let input = input(folder.path(), "0x0\n0x10 trailing\n")?;
    let command_lines = [
        "-e price",
        "--obj=price -a",
        "-e price -p -s",
        "-e price --output-style=GNU",
        "-e price --no-inlines",
        "-e price --functions=none",
        "-e price --no-demangle --basenames",
    ];
    compare(folder.path(), "llvm-symbolizer", &command_lines, &input)?;
    let named: String =
        input.lines().take(3).map(|address| format!("CODE price {address}\n\"price\" {address}\n")).collect();
    compare(folder.path(), "llvm-symbolizer", &["", "--inlines"], &named)?;
    let command_lines = ["-e price", "-f -e price", "-a -f -i -C -p -e price", "-i -e price"];
    compare(folder.path(), "llvm-addr2line", &command_lines, &input)
}

const CLASSES: &str = "\
#include <vector>
namespace shop {
struct Cart {
    std::vector<int> prices;
    virtual ~Cart();
    template <typename T> T total(T start) const;
};
Cart::~Cart() { prices.push_back(1); }
template <typename T> __attribute__((noinline)) T Cart::total(T start) const {
    for (int price : prices) start += price;
    return start;
}
}
int main() {
    shop::Cart cart;
    return int(cart.total<double>(1.5));
}
";

fn names_are_short() -> Outcome {
    tool("llvm-symbolizer")?;
    tool("c++")?;
    let folder = program()?;
    std::fs::write(folder.path().join("shop.cpp"), CLASSES)?;
    sh(folder.path(), "c++ -g -O1 shop.cpp -o shop")?;
    // Of code with debug information, and of the C library's start files, without.
    let input = sh(folder.path(), "nm shop | sed -n 's/^0*\\([0-9a-f]*\\) [TtWw] .*/0x\\1/p'")?;
    compare(folder.path(), "llvm-symbolizer", &["-e shop -f=short", "-e shop --functions=short -p"], &input)?;
    let total = sh(folder.path(), "nm shop | sed -n 's/^0*\\([0-9a-f]*\\) W .*total.*/0x\\1/p'")?;
    let mut named = trace_agent(folder.path());
    named.args(["symbolize", "--short-names", "-e", "shop", total.trim()]);
    let output = run(&mut named)?;
    let text = String::from_utf8_lossy(&output.stdout);
    holds(text.contains("  shop::Cart::total at "), format!("{text}{}", said(&output)))
}

/// Markup as the manual of the format has it, and output as llvm-symbolizer 19 printed it.
fn markup_is_rewritten() -> Outcome {
    let folder = program()?;
    let id = sh(folder.path(), "readelf -n price | sed -n 's/.*Build ID: //p'")?;
    let id = id.trim();
    let (first, rest) = id.split_at(2);
    sh(
        folder.path(),
        &format!("mkdir -p debug/.build-id/{first}; cp price debug/.build-id/{first}/{rest}.debug"),
    )?;
    let division =
        sh(folder.path(), "objdump -d price | sed -n '/<price>:/,/ret/p' | grep idiv | cut -d: -f1")?;
    let division = u64::from_str_radix(division.trim(), 16).map_err(|_| Stop::Fail(division))?;
    let at = 0x10000 + division;
    std::fs::write(
        folder.path().join("text"),
        format!(
            "{{{{{{module:0:app:elf:{id}}}}}}}\n{{{{{{mmap:0x10000:0x10000:load:0:rx:0x0}}}}}}\nat {{{{{{pc:{at:#x}}}}}}} {{{{{{symbol:_ZN3fooEv}}}}}} {{{{{{other:1}}}}}}\n{{{{{{bt:0:{at:#x}:pc}}}}}}\n{{{{{{pc:0x1}}}}}}\n"
        ),
    )?;
    let text =
        sh(folder.path(), "as/llvm-symbolizer --filter-markup --debug-file-directory=$PWD/debug < text")?;
    let file = folder.path().join("price.c");
    let file = file.display();
    let expected = format!(
        "[[[ELF module #0x0 \"app\"; BuildID={id} [0x10000-0x1ffff](rx)]]]\nat price[{file}:4] foo() {{{{{{other:1}}}}}}\n    \
         #0.1  {at:#018x} divide {file}:4:16 (app+{division:#x})\n    #0    {at:#018x} price {file}:7:12 (app+{division:#x})\n[[[pc:0x1]]]\n"
    );
    equal(text, expected, "the text")
}

fn as_eu_addr2line() -> Outcome {
    tool("eu-addr2line")?;
    let folder = program()?;
    let input = input(folder.path(), "")?;
    compare(
        folder.path(),
        "eu-addr2line",
        &["-e price", "-f -e price", "-a -f -i -e price", "-s -e price", "-e absent"],
        &input,
    )
}

fn a_sanitizer_drives_it() -> Outcome {
    let folder = program()?;
    sh(folder.path(), "cc -g -O1 -fsanitize=address price.c -o checked")?;
    let script = "ASAN_SYMBOLIZER_PATH=$PWD/as/llvm-symbolizer ./checked 1 2>&1 || true";
    let report = sh(folder.path(), script)?;
    let first = report.lines().find(|line| line.trim_start().starts_with("#0")).unwrap_or_default();
    holds(first.contains(" in main ") && first.contains("price.c:15"), report.clone())
}

fn each_answer_at_once() -> Outcome {
    let folder = program()?;
    // perf sends a line that is no address, and waits for the answer that tells it the first one is complete.
    let mut child = Command::new(folder.path().join("as/addr2line"))
        .current_dir(folder.path())
        .args(["-e", "price", "-a", "-i", "-f"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Stop::Fail("no pipes".to_owned()));
    };
    let mut answers = std::io::BufRead::lines(std::io::BufReader::new(from));
    for (asked, expected) in
        [("0\n", "0x0000000000000000"), (",\n", "0x0000000000000000"), ("10\n", "0x0000000000000010")]
    {
        to.write_all(asked.as_bytes())?;
        to.flush()?;
        let block: Vec<String> = answers.by_ref().take(3).collect::<Result<_, _>>()?;
        equal(block, vec![expected.to_owned(), "??".to_owned(), "??:0".to_owned()], asked)?;
    }
    drop(to);
    holds(child.wait()?.success(), "the end of input is the end")
}

fn records_are_named() -> Outcome {
    let folder = program()?;
    let input = input(folder.path(), "")?;
    let division = input.lines().last().unwrap_or_default();
    let module = folder.path().join("price");
    let record = format!(
        r#"{{"errorMessage":"m","stackTrace":[[null,null,null,null]],"errorType":"E","frames":[{{"module":"{}","address":"{division}"}}],"culprit":{{"index":0}},"Failures":1}}"#,
        module.display()
    );
    let export = format!("2026-01-01T00:00:00.000Z {record}\nplain\n{record}\n");
    std::fs::write(folder.path().join("export"), &export)?;
    sh(folder.path(), "gzip -k export")?;
    for file in ["export", "export.gz"] {
        let output = run(trace_agent(folder.path()).args(["symbolize", "--records", file]))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let printed: Vec<&str> = text.lines().collect();
        equal(printed.len(), 3, &text)?;
        equal(printed[1], "plain", "what is no record")?;
        let record = &lines(printed[2].as_bytes())?[0];
        let functions: Vec<_> =
            record["stackTrace"].as_array().into_iter().flatten().map(|entry| entry[2].as_str()).collect();
        equal(functions, vec![Some("price"), Some("divide")], "most recent call last")?;
        equal(&record["culprit"]["function"], &serde_json::json!("divide"), "the frame to look at")?;
        equal(&record["Failures"], &serde_json::json!(1), "members that are not ours")?;
        holds(said(&output).contains("2 records, 2 frames named"), said(&output))?;
    }
    Ok(())
}

/// The machine that finishes a record has the symbols, not the program.
fn records_are_named_elsewhere() -> Outcome {
    let folder = program()?;
    let input = input(folder.path(), "")?;
    let division = input.lines().last().unwrap_or_default().to_owned();
    let id = sh(folder.path(), "readelf -n price | sed -n 's/.*Build ID: //p'")?;
    let output = run(trace_agent(folder.path()).args(["symbols", "pack", "price", "-o", "names"]))?;
    holds(output.status.success(), said(&output))?;
    let output = run(trace_agent(folder.path()).args(["symbols", "push", "store", "names"]))?;
    holds(output.status.success(), said(&output))?;
    sh(folder.path(), "rm price")?;
    let record = format!(
        r#"{{"errorMessage":"m","stackTrace":[[null,null,null,null]],"errorType":"E","frames":[{{"module":"/var/task/price","buildId":"{}","address":"{division}"}}]}}"#,
        id.trim()
    );
    std::fs::write(folder.path().join("records"), record)?;
    for source in ["--debug-dir=store", "--symbols=store"] {
        let output = run(trace_agent(folder.path()).args(["symbolize", "--records", source, "records"]))?;
        let record = &lines(&output.stdout)?[0];
        equal(&record["stackTrace"][1][2], &serde_json::json!("divide"), source)?;
    }
    Ok(())
}

fn backtraces_are_named() -> Outcome {
    let folder = program()?;
    let script = "./price 1 2 | \"$PROGRAM\" symbolize --filter";
    let output = run(Command::new("sh")
        .current_dir(folder.path())
        .args(["-ec", script])
        .env("PROGRAM", trace_agent(folder.path()).get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = text.lines().filter(|line| line.contains("price.c:")).count();
    holds(named == 2 && text.contains(" trace at ") && text.contains(" main at "), text.clone())
}

fn packed_symbols_answer() -> Outcome {
    let folder = program()?;
    let output = run(trace_agent(folder.path()).args([
        "symbols",
        "pack",
        "price",
        "-o",
        "price.packed",
        "--columns",
    ]))?;
    holds(output.status.success(), said(&output))?;
    let input = input(folder.path(), "")?;
    for address in input.lines() {
        let [program, packed] = ["price", "price.packed"].map(|object| {
            let output = run(trace_agent(folder.path()).args([
                "symbolize",
                "--output-style",
                "JSON",
                "-e",
                object,
                address,
            ]))?;
            let mut answer = lines(&output.stdout)?.remove(0);
            let frames = answer["frames"].as_array_mut().into_iter().flatten();
            frames.for_each(|frame| frame["module"] = serde_json::Value::Null);
            Ok::<_, Stop>(answer)
        });
        equal(packed?, program?, address)?;
    }
    Ok(())
}

/// gdb makes the dump, and is the judge.
fn a_dump_is_read() -> Outcome {
    tool("gdb")?;
    let folder = program()?;
    let made = sh(
        folder.path(),
        "gdb -batch -ex 'break price' -ex 'set startup-with-shell off' -ex run -ex 'gcore dump' -ex 'info symbol $pc' -ex 'p/x $pc' ./price 2>&1",
    )?;
    let address =
        made.lines().rev().find_map(|line| line.split_once(" = 0x")).map(|(_, digits)| digits.to_owned());
    let address = format!("0x{}", address.unwrap_or_default());
    let output = run(trace_agent(folder.path()).args([
        "symbolize",
        "-e",
        "dump",
        "--output-style",
        "JSON",
        &address,
        "0x10",
    ]))?;
    let answers = lines(&output.stdout)?;
    let outermost =
        answers[0]["frames"].as_array().and_then(|frames| frames.last().cloned()).unwrap_or_default();
    equal(&outermost["function"], &serde_json::json!("price"), &format!("{made}\n{}", said(&output)))?;
    equal(&answers[1]["missing"], &serde_json::json!("no program was mapped there"), "an address of nothing")
}

fn an_answer_is_explained() -> Outcome {
    let folder = program()?;
    sh(
        folder.path(),
        "objcopy --only-keep-debug price price.debug; strip price; objcopy --add-gnu-debuglink=price.debug price",
    )?;
    let address = sh(folder.path(), "nm price.debug | sed -n 's/^0*\\([0-9a-f]*\\) T price$/0x\\1/p'")?;
    let output =
        run(trace_agent(folder.path()).args(["symbolize", "-e", "price", "--explain", address.trim()]))?;
    let said = said(&output);
    for word in [
        "build-id: ",
        "debug file: ",
        "price.debug",
        "debug information (DWARF) describes the function",
        "tried: ",
    ] {
        holds(said.contains(word), format!("{word}: {said}"))?;
    }
    Ok(())
}
