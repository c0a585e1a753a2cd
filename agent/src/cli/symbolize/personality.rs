//! The other tools, whose names this program may have: it then takes their flags and prints their bytes, so that what
//! drives them (`perf`, sanitizers, Rust's own tools) drives it unchanged.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use trace_symbolizer::{Error, ErrorKind, FrameRef, ModuleAddress, Search, Spelling};

use super::ask::{Print, Session};
use super::json;
use super::lines::Lines;
use super::markup::Markup;
use super::objects::Objects;
use super::question::{Place, Question};
use super::style::{Dialect, Form, Functions, Style};

/// Levels of `@FILE` within such files at most.
const RESPONSE_DEPTH_MAX: usize = 8;

/// Lines of source with each frame at most.
const CONTEXT_LINES_MAX: u32 = 10_000;

/// The tool that is meant when the program has this name.
pub(super) fn of(program: &Path) -> Option<Dialect> {
    let name = program.file_name()?.to_str()?;
    if name.contains("eu-addr2line") {
        Some(Dialect::Elfutils)
    } else if name.contains("llvm-addr2line") {
        Some(Dialect::LlvmAddr2line)
    } else if name.contains("addr2line") {
        Some(Dialect::Gnu)
    } else if name.contains("llvm-symbolizer") {
        Some(Dialect::Llvm)
    } else {
        None
    }
}

/// Runs as the tool of the `dialect` with the arguments that follow the program's name.
pub(super) fn run(dialect: Dialect, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let name = match dialect {
        Dialect::Elfutils => "eu-addr2line",
        Dialect::Llvm => "llvm-symbolizer",
        Dialect::LlvmAddr2line => "llvm-addr2line",
        Dialect::Gnu | Dialect::Native => "addr2line",
    };
    let mut arguments: Vec<String> =
        arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let variable = match dialect {
        Dialect::Llvm => Some("LLVM_SYMBOLIZER_OPTS"),
        Dialect::LlvmAddr2line => Some("LLVM_ADDR2LINE_OPTS"),
        _ => None,
    };
    if let Some(options) = variable.and_then(|variable| std::env::var(variable).ok()) {
        arguments.splice(0..0, options.split_whitespace().map(str::to_owned));
    }
    let arguments = with_files(arguments, RESPONSE_DEPTH_MAX);
    match Flags::read(dialect, &arguments) {
        Ok(Parsed::Run(flags)) => match execute(*flags, name) {
            Ok(code) => code,
            // Whoever reads has seen enough: a normal end.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{name}: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(Parsed::Help) => {
            println!("{}", help(name));
            ExitCode::SUCCESS
        }
        Ok(Parsed::Version) => {
            println!("{name} (trace-agent {})", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{name}: {problem}\n{}", help(name));
            // argp's own status for a command line that it refuses.
            if dialect == Dialect::Elfutils && problem.starts_with("unknown") {
                ExitCode::from(64)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn help(name: &str) -> String {
    let hex = if name == "llvm-symbolizer" { "decimal, or hexadecimal behind 0x" } else { "hexadecimal" };
    format!(
        "Usage: {name} [options] [addresses]\n\
         Prints the source line of addresses ({hex}), from standard input if none are given.\n\
         This is trace-agent under another name; `trace-agent symbolize --help` tells about its own flags.\n \
         -e, --exe, --obj FILE  the program    -f  functions       -i  inlined functions  -C  readable names\n \
         -a  addresses          -s  base names  -p  one line each   @FILE  options from a file"
    )
}

/// Puts the words of each `@FILE` in its place. A file that cannot be read stays what it is.
fn with_files(arguments: Vec<String>, depth_left: usize) -> Vec<String> {
    let mut all = Vec::new();
    for argument in arguments {
        let text = argument
            .strip_prefix('@')
            .filter(|_| depth_left > 0)
            .and_then(|path| std::fs::read_to_string(path).ok());
        match text {
            Some(text) => {
                all.extend(with_files(text.split_whitespace().map(str::to_owned).collect(), depth_left - 1));
            }
            None => all.push(argument),
        }
    }
    all
}

/// What the command line says.
struct Flags {
    style: Style,
    object: Option<PathBuf>,
    debug_dirs: Vec<PathBuf>,
    adjust: u64,
    /// The section that addresses are counted from.
    section: Option<String>,
    /// Standard input is text with symbolizer markup.
    filters_markup: bool,
    addresses: Vec<String>,
}

enum Parsed {
    Run(Box<Flags>),
    Help,
    Version,
}

impl Flags {
    fn read(dialect: Dialect, arguments: &[String]) -> Result<Parsed, String> {
        let mut flags = Flags {
            style: Style::of(dialect),
            object: None,
            debug_dirs: Vec::new(),
            adjust: 0,
            section: None,
            filters_markup: false,
            addresses: Vec::new(),
        };
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                flags.addresses.extend(arguments.map(str::to_owned));
                break;
            }
            if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, None),
                };
                match name {
                    "help" => return Ok(Parsed::Help),
                    "version" => return Ok(Parsed::Version),
                    _ => flags.long(name, value, &mut arguments)?,
                }
            } else if let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                match letters {
                    "h" | "H" => return Ok(Parsed::Help),
                    "v" | "V" => return Ok(Parsed::Version),
                    _ => flags.letters(letters, &mut arguments)?,
                }
            } else {
                flags.addresses.push(argument.to_owned());
            }
        }
        Ok(Parsed::Run(Box::new(flags)))
    }

    fn long<'a>(
        &mut self,
        name: &str,
        value: Option<&'a str>,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let mut needed = || value.or_else(|| rest.next()).ok_or(format!("--{name} needs a value"));
        match name {
            "exe" | "obj" | "executable" => self.object = Some(needed()?.into()),
            "addresses" => self.style.addresses = true,
            "functions" => {
                self.style.functions = match value {
                    Some("none") => Functions::No,
                    Some("short") => Functions::Short,
                    _ => Functions::Linkage,
                }
            }
            "inlines" | "inlining" => self.style.inlines = true,
            "no-inlines" => self.style.inlines = false,
            "demangle" => self.style.demangle = value != Some("false"),
            "no-demangle" => self.style.demangle = false,
            "pretty-print" => self.style.pretty = true,
            "print-address" | "print-addresses" => self.style.addresses = true,
            "basenames" => self.style.basenames = true,
            "verbose" => self.style.verbose = true,
            "adjust-vma" => self.adjust = number(needed()?)?,
            "debug-file-directory" | "debuginfo-path" | "fallback-debug-path" => {
                self.debug_dirs
                    .extend(needed()?.split(':').filter(|part| part.starts_with('/')).map(PathBuf::from));
            }
            "output-style" => {
                self.style.form = match needed()?.to_ascii_uppercase().as_str() {
                    "GNU" => Form::GnuText,
                    "JSON" => Form::LlvmJson,
                    "LLVM" => Form::Text,
                    other => return Err(format!("unknown output style {other}")),
                }
            }
            // What changes nothing here: how much is kept, which network is asked, whose format is read.
            "relative-address" | "relativenames" | "no-debuginfod" | "debuginfod" | "untag-addresses"
            | "no-untag-addresses" | "use-symbol-table" | "symbols-sections" | "no-recurse-limit"
            | "recurse-limit" | "skip-line-zero" => {}
            "print-source-context-lines" => {
                self.style.context =
                    u32::try_from(number(needed()?)?).unwrap_or(u32::MAX).min(CONTEXT_LINES_MAX);
            }
            "filter-markup" if self.style.dialect == Dialect::Llvm => self.filters_markup = true,
            "section" => self.section = Some(needed()?.to_owned()),
            "default-arch" | "cache-size" | "dsym-hint" | "target" | "dwp" => {
                needed()?;
            }
            _ => return Err(format!("unknown argument '--{name}'")),
        }
        Ok(())
    }

    fn letters<'a>(
        &mut self,
        letters: &'a str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        for (index, letter) in letters.char_indices() {
            let behind = &letters[index + letter.len_utf8()..];
            let behind = behind.strip_prefix('=').unwrap_or(behind);
            let mut needed = || match behind {
                "" => rest.next().ok_or(format!("-{letter} needs a value")),
                behind => Ok(behind),
            };
            match letter {
                'e' => {
                    self.object = Some(needed()?.into());
                    return Ok(());
                }
                'j' if matches!(self.style.dialect, Dialect::Gnu | Dialect::Elfutils) => {
                    self.section = Some(needed()?.to_owned());
                    return Ok(());
                }
                'b' if self.style.dialect == Dialect::Gnu => {
                    needed()?;
                    return Ok(());
                }
                'a' => self.style.addresses = true,
                'A' if self.style.dialect == Dialect::Elfutils => {}
                'f' => {
                    self.style.functions = match behind {
                        "none" => Functions::No,
                        "short" => Functions::Short,
                        _ => Functions::Linkage,
                    };
                    if matches!(behind, "none" | "short" | "linkage") {
                        return Ok(());
                    }
                }
                'i' => self.style.inlines = true,
                'C' => self.style.demangle = true,
                's' => self.style.basenames = true,
                // The number of a process, whose memory is not read here.
                'p' if self.style.dialect == Dialect::Elfutils => {
                    return Err("-p is not supported".to_owned());
                }
                'p' => self.style.pretty = true,
                'F' if self.style.dialect == Dialect::Elfutils => self.style.discriminators = true,
                'x' | 'S' if self.style.dialect == Dialect::Elfutils => {}
                'r' | 'R' if self.style.dialect == Dialect::Gnu => {}
                _ => return Err(format!("unknown argument '-{letter}'")),
            }
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("not a number: {text}"))
}

fn execute(flags: Flags, name: &'static str) -> io::Result<ExitCode> {
    let dialect = flags.style.dialect;
    let mut search = Search::system();
    search.debug_dirs.splice(0..0, flags.debug_dirs);
    let debug_dirs = search.debug_dirs.clone();
    let object = match (flags.object, dialect) {
        (None, Dialect::Gnu | Dialect::Elfutils) => Some(PathBuf::from("a.out")),
        (object, _) => object,
    };
    let mut session = Session {
        objects: Objects::new(search, Spelling::Of(dialect.spelling()), None),
        object,
        dialect,
        adjust: flags.adjust,
    };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    if flags.filters_markup {
        filter_markup(&mut session.objects, &mut Markup::new(debug_dirs), &mut out)?;
        return Ok(ExitCode::SUCCESS);
    }
    // All of them look at the program before they read a line.
    if let Some(object) = session.object.clone()
        && let Err(error) = session.objects.module(&object)
    {
        complain(name, dialect, error);
        if flags.style.form == Form::LlvmJson {
            let question =
                Question::read(flags.addresses.first().map_or("0", String::as_str), Some(&object), dialect);
            println!("{}", json::llvm_error(&question, reason(error)));
        }
        return Ok(ExitCode::FAILURE);
    }
    if let (Some(section), Some(object)) = (&flags.section, session.object.clone()) {
        let module = session.objects.module(&object).ok();
        let Some(start) = module.and_then(|module| module.section_start(section)) else {
            eprintln!("{name}: {}: cannot find section {section}", object.display());
            return Ok(ExitCode::FAILURE);
        };
        session.adjust = session.adjust.wrapping_sub(start.0);
    }
    let as_array = flags.style.form == Form::LlvmJson && !flags.addresses.is_empty();
    let mut tool = Tool {
        style: flags.style,
        name,
        items: as_array.then(Vec::new),
        is_refused: false,
        last_failed: None,
    };
    session.run(&flags.addresses, &mut tool, &mut out)?;
    if let Some(items) = tool.items {
        writeln!(out, "[{}]", items.join(","))?;
    }
    out.flush()?;
    // On standard input elfutils forgets about it.
    Ok(if tool.is_refused && !flags.addresses.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Copies standard input with its markup rewritten.
fn filter_markup(objects: &mut Objects, markup: &mut Markup, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Lines::new();
    loop {
        let batch = lines.next_batch()?;
        if batch.is_empty() {
            out.write_all(markup.finish().as_bytes())?;
            return out.flush();
        }
        for line in batch {
            out.write_all(markup.line(&format!("{line}\n"), objects).as_bytes())?;
        }
        out.flush()?;
    }
}

/// Prints as a tool does.
struct Tool {
    style: Style,
    name: &'static str,
    /// Objects of the one array that LLVM prints for addresses on the command line.
    items: Option<Vec<String>>,
    /// A line was refused, which only elfutils minds.
    is_refused: bool,
    /// The program that was complained about.
    last_failed: Option<PathBuf>,
}

impl Print for Tool {
    fn print(
        &mut self,
        out: &mut dyn Write,
        question: &Question,
        address: u64,
        frames: &[FrameRef<'_>],
        _missing: Option<String>,
    ) -> io::Result<()> {
        if self.style.dialect == Dialect::Elfutils && question.place == Place::Nowhere {
            eprintln!("{}: cannot find symbol '{}'", self.name, question.typed);
            self.is_refused = true;
            return Ok(());
        }
        if let Some(items) = &mut self.items {
            items.push(json::llvm(&self.style, question, address, frames).to_string());
            return Ok(());
        }
        let is_llvm = matches!(self.style.dialect, Dialect::Llvm | Dialect::LlvmAddr2line);
        if is_llvm && question.object.is_none() && !question.typed.is_empty() {
            eprintln!("{}: error: '{}': no module offset has been specified", self.name, question.typed);
        }
        self.style.print(out, question, address, frames)
    }

    fn print_data(
        &mut self,
        out: &mut dyn Write,
        _question: &Question,
        data: Option<(String, ModuleAddress, u64)>,
    ) -> io::Result<()> {
        self.style.print_data(out, data.as_ref())
    }

    fn print_failed(&mut self, out: &mut dyn Write, question: &Question, error: &Error) -> io::Result<()> {
        if self.last_failed.as_deref() != question.object.as_deref() {
            complain(self.name, self.style.dialect, error);
            self.last_failed.clone_from(&question.object);
        }
        if let Some(items) = &mut self.items {
            items.push(json::llvm_error(question, reason(error)).to_string());
            return Ok(());
        }
        match self.style.form {
            Form::LlvmJson => writeln!(out, "{}", json::llvm_error(question, reason(error))),
            _ => self.style.print(out, question, 0, &[]),
        }
    }
}

/// Says that a program cannot be read, in the words of the tool.
fn complain(name: &str, dialect: Dialect, error: &Error) {
    let path = error.path().display();
    match dialect {
        Dialect::Gnu if error.kind() == ErrorKind::NotFound => eprintln!("{name}: '{path}': No such file"),
        Dialect::Gnu => eprintln!("{name}: {path}: {}", reason(error)),
        Dialect::Llvm | Dialect::LlvmAddr2line => eprintln!("{name}: error: '{path}': {}", reason(error)),
        Dialect::Elfutils | Dialect::Native => eprintln!("{name}: cannot open '{path}': {}", reason(error)),
    }
}

fn reason(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "No such file or directory",
        ErrorKind::NotRegular => "Is a directory",
        _ => "The file was not recognized as a valid object file",
    }
}
