//! Builds the Go program of these tests, and asks others for its frames.

#![allow(dead_code, reason = "not every test asks everybody")]

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SOURCES: [(&str, &str); 6] = [
    ("go.mod", include_str!("../program/go.mod.txt")),
    ("main.go", include_str!("../program/main.go.txt")),
    ("generic.go", include_str!("../program/generic.go.txt")),
    ("plain.go", include_str!("../program/plain.go.txt")),
    ("pure.go", include_str!("../program/pure.go.txt")),
    ("cgo.go", include_str!("../program/cgo.go.txt")),
];

/// A frame as others have it: function, file, line.
pub(crate) type Frame = (String, String, u32);

/// A directory for the builds of one test.
pub(crate) struct Workshop(PathBuf);

impl Workshop {
    pub(crate) fn new(name: &str) -> Workshop {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(directory.join("source")).unwrap();
        for (file, text) in SOURCES {
            std::fs::write(directory.join("source").join(file), text).unwrap();
        }
        Workshop(directory)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Builds the program; `None`, with a note, where Go or the C compiler cannot.
    pub(crate) fn build(
        &self,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Option<PathBuf> {
        let output = self.path(name);
        let result = Command::new("go")
            .current_dir(self.0.join("source"))
            .args(["build", "-o"])
            .arg(&output)
            .args(arguments)
            .arg(".")
            .env("CGO_ENABLED", "0")
            .envs(environment.iter().copied())
            .output();
        match result {
            Ok(done) if done.status.success() => Some(output),
            Ok(done) => skip(name, &String::from_utf8_lossy(&done.stderr)),
            Err(error) => skip(name, &error.to_string()),
        }
    }
}

/// Notes that a case is skipped.
pub(crate) fn skip<T>(case: &str, reason: &str) -> Option<T> {
    println!("skipped 1: {case}: {}", reason.lines().next().unwrap_or_default());
    None
}

/// Runs a program with the addresses as its standard input, one a line.
fn ask(command: &mut Command, addresses: &[u64]) -> Option<String> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut input = child.stdin.take().unwrap();
    let lines: String = addresses.iter().map(|address| format!("{address:#x}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// What `runtime.CallersFrames` says: the program answers itself.
pub(crate) fn runtime_frames(program: &Path, addresses: &[u64]) -> Option<Vec<Vec<Frame>>> {
    let text = ask(&mut Command::new(program), addresses)?;
    let frames = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let frame = |f: &[&str]| (f[0].to_owned(), f[1].to_owned(), f[2].parse().unwrap());
        fields.chunks_exact(4).map(frame).collect()
    };
    Some(text.lines().map(frames).collect())
}

/// What DWARF says, read by LLVM.
pub(crate) fn dwarf_frames(program: &Path, addresses: &[u64]) -> Option<Vec<Vec<Frame>>> {
    let text = ["llvm-symbolizer-19", "llvm-symbolizer"].iter().find_map(|tool| {
        let mut command = Command::new(tool);
        command.args(["--inlines", "--no-demangle", "--functions=linkage"]);
        ask(command.arg(format!("--obj={}", program.display())), addresses)
    })?;
    let answers = text.split_terminator("\n\n").map(|answer| {
        let lines: Vec<&str> = answer.lines().collect();
        lines.chunks_exact(2).map(|pair| located(pair[0], pair[1].rsplit_once(':').unwrap().0)).collect()
    });
    Some(answers.collect())
}

/// What Go's own tool says: the outermost function, and the innermost place.
pub(crate) fn addr2line(program: &Path, addresses: &[u64]) -> Option<Vec<Frame>> {
    let text = ask(Command::new("go").args(["tool", "addr2line"]).arg(program), addresses)?;
    let lines: Vec<&str> = text.lines().collect();
    Some(lines.chunks_exact(2).map(|pair| located(pair[0], pair[1])).collect())
}

fn located(function: &str, place: &str) -> Frame {
    let (file, line) = place.rsplit_once(':').unwrap();
    (function.to_owned(), file.to_owned(), line.parse().unwrap_or(0))
}

/// How often each kind of difference occurs, to print.
#[derive(Default)]
pub(crate) struct Tally(HashMap<&'static str, usize>);

impl Tally {
    pub(crate) fn add(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    pub(crate) fn print(&self, case: &str) {
        let mut kinds: Vec<_> = self.0.iter().collect();
        kinds.sort();
        println!("{case}: {kinds:?}");
    }
}
