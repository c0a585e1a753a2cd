//! `trace-agent symbolize`: addresses in, names out.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use trace_symbolizer::{ErrorKind, Frame, Module, ModuleAddress, Refusal, Refused, Search, SourceRoots};

use super::people::Plain;

/// The longest line that is read from standard input, in bytes: far more than an address needs.
const LINE_BYTES_MAX: u64 = 4 * 1024;

/// Turn addresses of a native program into functions, files, lines and source text.
///
/// An address is hexadecimal, with or without 0x, in the file's own address space (as nm and objdump print it). Without
/// addresses they are read from standard input, one on a line, and each is answered at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The program or shared object
    #[arg(long, short = 'e', alias = "exe", value_name = "BINARY")]
    obj: PathBuf,
    /// How answers are printed
    #[arg(long, value_name = "STYLE", value_enum, ignore_case = true, default_value = "text")]
    output_style: Style,
    /// Read source text below this folder; may be repeated [default: the current folder, the binary's, and its Cargo project's]
    #[arg(long, env = "TRACE_AGENT_SOURCE_ROOT", value_name = "DIR", value_delimiter = ':')]
    source_root: Vec<PathBuf>,
    /// Look for the debug file by build-id below this folder, before the system's; may be repeated
    #[arg(long, env = "TRACE_AGENT_DEBUG_DIR", value_name = "DIR", value_delimiter = ':')]
    debug_dir: Vec<PathBuf>,
    /// Addresses
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Style {
    /// For people
    Text,
    /// One JSON object for each address
    #[value(name = "JSON")]
    Json,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<()> {
    let mut search = Search::system();
    search.debug_dirs.splice(0..0, args.debug_dir.iter().cloned());
    let module = Module::open(&args.obj, &search)
        .map_err(|error| anyhow::Error::new(error).context("cannot symbolize"))?;
    // That a candidate is not there is the normal case; that it is there and not used is worth a line.
    let is_there = |refused: &&Refused| !matches!(&refused.refusal, Refusal::Unusable(error) if error.kind() == ErrorKind::NotFound);
    for refused in module.refused().iter().filter(is_there) {
        anstream::eprintln!("trace-agent: debug file not used: {refused}");
    }
    let mut symbolizer = Symbolize {
        module: &module,
        path: &args.obj,
        sources: SourceRoots::new(super::source_roots(&args.source_root, Some(&args.obj))),
        style: args.output_style,
    };
    // What takes colours out of text takes bytes out of JSON.
    let mut out: Box<dyn Write> = match args.output_style {
        Style::Text => Box::new(anstream::stdout().lock()),
        Style::Json => Box::new(io::stdout().lock()),
    };
    if args.addresses.is_empty() {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while io::Read::take(&mut input, LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .context("cannot read standard input")?
            > 0
        {
            symbolizer.answer(&mut out, String::from_utf8_lossy(&line).trim())?;
            out.flush()?;
            line.clear();
        }
        return Ok(());
    }
    for address in &args.addresses {
        symbolizer.answer(&mut out, address)?;
    }
    Ok(out.flush()?)
}

struct Symbolize<'a> {
    module: &'a Module,
    path: &'a Path,
    sources: SourceRoots,
    style: Style,
}

/// One answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    address: &'a str,
    frames: Vec<Named<'a>>,
    missing: Option<String>,
}

/// One frame as JSON, innermost first.
#[derive(Serialize)]
struct Named<'a> {
    function: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    inlined: bool,
    source: Option<String>,
    module: &'a str,
}

impl Symbolize<'_> {
    fn answer(&mut self, out: &mut impl Write, typed: &str) -> anyhow::Result<()> {
        let digits = typed.strip_prefix("0x").or_else(|| typed.strip_prefix("0X")).unwrap_or(typed);
        // Not an error: whoever feeds this through a pipe must get one answer for each line.
        let (address, answer) = match u64::from_str_radix(digits, 16) {
            Ok(address) => (format!("{address:#x}"), Some(self.module.symbolize(ModuleAddress(address)))),
            Err(_) => (typed.to_owned(), None),
        };
        let module = self.path.to_string_lossy();
        let missing = match &answer {
            Some(answer) => answer.missing.map(|missing| missing.to_string()),
            None => Some("not a hexadecimal address".to_owned()),
        };
        let frames = answer.map(|answer| answer.frames).unwrap_or_default();
        let frames: Vec<Named<'_>> = frames.into_iter().map(|frame| self.named(frame, &module)).collect();
        let answer = Answer { address: &address, frames, missing };
        match self.style {
            Style::Json => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
            Style::Text => print(out, &answer)?,
        }
        Ok(())
    }

    fn named<'m>(&mut self, frame: Frame, module: &'m str) -> Named<'m> {
        let source =
            frame.file.as_deref().zip(frame.line).and_then(|(file, line)| self.sources.line(file, line));
        Named {
            function: frame.function,
            file: frame.file,
            line: frame.line,
            column: frame.column,
            inlined: frame.inlined,
            source,
            module,
        }
    }
}

fn print(out: &mut impl Write, answer: &Answer<'_>) -> io::Result<()> {
    writeln!(out, "{}", Plain(answer.address))?;
    for frame in &answer.frames {
        write!(out, "  {}", Plain(frame.function.as_deref().unwrap_or("??")))?;
        if let Some(file) = &frame.file {
            write!(out, " at {}", Plain(file))?;
            for number in [frame.line, frame.column].into_iter().map_while(|number| number) {
                write!(out, ":{number}")?;
            }
        }
        writeln!(out, "{}", if frame.inlined { " (inlined)" } else { "" })?;
        if let Some(source) = &frame.source {
            writeln!(out, "      {}", Plain(source))?;
        }
    }
    match &answer.missing {
        Some(missing) => writeln!(out, "  ?? ({missing})"),
        None => Ok(()),
    }
}
