//! `trace-agent symbolize`: addresses in, names out.

mod style;
mod question;
mod json;
mod objects;
mod lines;
mod ask;
mod personality;
mod records;
mod markup;
mod filter;

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::ValueEnum;
use trace_symbolizer::{Error, FrameRef, ModuleAddress, Origin, Search, SourceRoots, Spelling};

use self::ask::{Print, Session};
use self::json::{Answer, Frame};
use self::markup::Markup;
use self::objects::Objects;
use self::question::{Place, Question};
use self::style::{Dialect, Form, Functions, Style};
use super::Usage;
use super::people::Plain;
use super::sources::Sources;

/// Turn addresses of a native program into functions, files, lines and source text.
///
/// An address is hexadecimal, with or without 0x, in the file's own address space (as nm and objdump print it). Without
/// addresses they are read from standard input, one on a line, and each is answered at once. Without a program each line
/// names its own in front of the address.
///
/// With any of -a, -f, -i, -C, -p, -s, or with --output-style GNU or LLVM, answers look as those of addr2line or
/// llvm-symbolizer do. Linked under the name of one of these tools, the program takes all of its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The program or shared object
    #[arg(long, short = 'e', alias = "exe", value_name = "BINARY")]
    obj: Option<PathBuf>,
    /// How answers are printed [default: text, or GNU with one of its flags]
    #[arg(long, value_name = "STYLE", value_enum, ignore_case = true)]
    output_style: Option<OutputStyle>,
    /// Print the address in front of its answer, as addr2line does
    #[arg(long, short = 'a')]
    addresses: bool,
    /// Print functions, as addr2line does
    #[arg(long, short = 'f')]
    functions: bool,
    /// Print the functions that something was inlined into, as addr2line does
    #[arg(long, short = 'i')]
    inlines: bool,
    /// Print readable names, as addr2line does
    #[arg(long, short = 'C')]
    demangle: bool,
    /// Print one line for each frame, as addr2line does
    #[arg(long, short = 'p')]
    pretty_print: bool,
    /// Print file names without their folders, as addr2line does
    #[arg(long, short = 's')]
    basenames: bool,
    /// Print the path of a name alone, without parameters, template arguments and generic ones
    #[arg(long, conflicts_with_all = ["records", "addresses", "functions", "inlines", "demangle", "pretty_print", "basenames"])]
    short_names: bool,
    /// Read source text below this folder; may be repeated [default: the current folder, the binary's, and its Cargo project's]
    #[arg(long, env = "TRACE_AGENT_SOURCE_ROOT", value_name = "DIR", value_delimiter = ':')]
    source_root: Vec<PathBuf>,
    /// Print this many lines of source around each line
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    context: u32,
    /// Look for sources and split debug files below TO where FROM was recorded; may be repeated
    #[arg(long, value_name = "FROM=TO", value_parser = path_map)]
    map: Vec<(PathBuf, PathBuf)>,
    /// Look for the debug file by build-id below this folder, before the system's; may be repeated
    #[arg(long, env = "TRACE_AGENT_DEBUG_DIR", value_name = "DIR", value_delimiter = ':')]
    debug_dir: Vec<PathBuf>,
    /// Spend at most this many milliseconds on each batch of addresses; what is not found by then is named by symbols
    #[arg(long, value_name = "MS")]
    time_ms: Option<u64>,
    /// Unpack at most this many MiB of compressed debug information of each file; what does not fit is left out
    #[arg(long, value_name = "MIB")]
    unpack_mib: Option<u64>,
    /// Read records instead of addresses, from the files that are named or from standard input: one on a line, plain, gzip or
    /// zstd, also as CloudWatch exports them; print them with their frames named
    #[arg(long, conflicts_with_all = ["obj", "output_style", "explain"])]
    records: bool,
    /// Copy standard input, or the files that are named, with the frames of backtraces named: those of sanitizers, of glibc's
    /// backtrace_symbols, of the kernel's log, and symbolizer markup
    #[arg(long, conflicts_with_all = ["obj", "output_style", "explain", "records"])]
    filter: bool,
    #[command(flatten)]
    sources: Sources,
    /// Say on standard error which files answered, what was tried and why it was not used
    #[arg(long)]
    explain: bool,
    /// Addresses; with --records or --filter, files
    #[arg(value_name = "ADDRESS")]
    address: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputStyle {
    /// For people
    Text,
    /// One JSON object for each address
    #[value(name = "JSON")]
    Json,
    /// As addr2line prints
    #[value(name = "GNU")]
    Gnu,
    /// As llvm-symbolizer prints
    #[value(name = "LLVM")]
    Llvm,
}

fn path_map(text: &str) -> Result<(PathBuf, PathBuf), String> {
    let (from, to) = text.split_once('=').ok_or("expected FROM=TO, two folders")?;
    Ok((from.into(), to.into()))
}

/// Runs as another tool if the program has its name: `addr2line`, `llvm-symbolizer`, `llvm-addr2line`, `eu-addr2line`.
pub fn as_other_tool(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let dialect = personality::of(Path::new(&arguments.next()?))?;
    Some(personality::run(dialect, arguments))
}

pub(super) fn execute(args: &Args) -> anyhow::Result<()> {
    if args.records {
        let files: Vec<PathBuf> = args.address.iter().map(PathBuf::from).collect();
        let roots = super::source_roots(&args.source_root, None);
        return records::execute(&files, &args.debug_dir, &roots, args.sources.open()?);
    }
    let mut search = Search::system();
    search.debug_dirs.splice(0..0, args.debug_dir.iter().cloned());
    search.path_maps.clone_from(&args.map);
    search.unpacked_bytes_max = args.unpack_mib.map(|mib| mib.saturating_mul(1 << 20));
    if args.filter {
        return filter(args, search);
    }
    let style = args.style();
    let dialect = style.as_ref().map_or(Dialect::Native, |style| style.dialect);
    let mut session = Session {
        objects: Objects::new(
            search,
            style.as_ref().map_or(args.spelling(), |style| Spelling::Of(style.dialect.spelling())),
            args.sources.open()?,
        )
        .within(args.time_ms.map(Duration::from_millis)),
        object: args.obj.clone(),
        dialect,
        adjust: 0,
    };
    match &args.obj {
        // A program that cannot be read is said before a line is waited for.
        Some(object) if !session.objects.is_there(object) => return Err(refused(object)),
        None if io::stdin().is_terminal() && args.address.is_empty() => {
            return Err(Usage("name a program: --obj BINARY".to_owned()).into());
        }
        _ => {}
    }
    let failed = match style {
        Some(style) => {
            let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
            session.run(&args.address, &mut Imitation { style }, &mut out)?
        }
        None => {
            let mut own = Own::new(args);
            // What takes colours out of text takes bytes out of JSON.
            let mut out: Box<dyn Write> = match own.as_json {
                false => Box::new(anstream::stdout().lock()),
                true => Box::new(BufWriter::with_capacity(1 << 16, io::stdout().lock())),
            };
            session.run(&args.address, &mut own, &mut *out)?
        }
    };
    if args.explain {
        explain(&mut session, &args.address)?;
    }
    match failed {
        0 => Ok(()),
        failed => anyhow::bail!("{failed} addresses are of programs that cannot be read"),
    }
}

/// Copies text with its backtraces named.
fn filter(args: &Args, search: Search) -> anyhow::Result<()> {
    let mut markup = Markup::new(search.debug_dirs.clone());
    let mut objects = Objects::new(search, args.spelling(), args.sources.open()?);
    let mut out = io::stdout().lock();
    if args.address.is_empty() {
        filter::execute(&mut io::stdin().lock(), &mut markup, &mut objects, &mut out)?;
    }
    for path in &args.address {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {path}"))?;
        filter::execute(&mut io::BufReader::new(file), &mut markup, &mut objects, &mut out)?;
    }
    Ok(())
}

/// Says which files answered for the program and the addresses that were named, and what was tried.
fn explain(session: &mut Session, lines: &[String]) -> anyhow::Result<()> {
    let Some(object) = session.object.clone() else { return Ok(()) };
    let tried = session.objects.take_log();
    let dialect = session.dialect;
    let module = session.objects.module(&object).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut said = vec![format!("program: {}", object.display())];
    said.push(match module.build_id() {
        Some(id) => format!("build-id: {id}"),
        None => "build-id: none, so no debug file can be found by it".to_owned(),
    });
    for line in lines {
        let question = Question::read(line, Some(&object), dialect);
        let Place::Address(address) = question.place else { continue };
        let answer = module.symbolize(ModuleAddress(address));
        for frame in &answer.frames {
            let name = frame.function.as_deref().unwrap_or("??");
            said.push(format!("{address:#x}: {name}: {}", rule(frame.origin)));
        }
        said.extend(answer.missing.map(|missing| format!("{address:#x}: {missing}")));
    }
    said.push(match module.debug_file() {
        Some(file) => format!("debug file: {}", file.display()),
        None if module.is_bare() => "debug file: none found".to_owned(),
        None => "debug file: none needed, the program has debug information".to_owned(),
    });
    said.extend(module.refused().iter().map(|refused| format!("tried: {refused}")));
    said.extend(module.refused_split_files().iter().map(|refused| format!("tried: split file: {refused}")));
    said.extend(tried.iter().map(|tried| format!("tried: {tried}")));
    said.extend(module.dwarf_error().map(|error| format!("problem: {:#}", anyhow::Error::new(error))));
    for line in said {
        anstream::eprintln!("{}", Plain(&line));
    }
    Ok(())
}

/// By which rule a name was given.
fn rule(origin: Origin) -> &'static str {
    match origin {
        Origin::Dwarf => "debug information (DWARF) describes the function",
        Origin::GoTable => "the line table of the Go runtime",
        Origin::SymbolTable => "a symbol covers the address by its size, or starts there",
        Origin::NearestSymbol => "the nearest symbol before the address, which has no size: a guess",
    }
}

/// The error about a program that cannot be read, once more, for its owner.
fn refused(object: &Path) -> anyhow::Error {
    match trace_symbolizer::Module::open(object, &Search::default()) {
        Err(error) => anyhow::Error::new(error).context("cannot symbolize"),
        Ok(_) => anyhow::anyhow!("cannot symbolize: {} changed while it was read", object.display()),
    }
}

impl Args {
    /// How names are spelled in the program's own style.
    fn spelling(&self) -> Spelling {
        if self.short_names { Spelling::Short } else { Spelling::Plain }
    }

    /// The style of another tool, if one is asked for.
    fn style(&self) -> Option<Style> {
        let letters = self.addresses
            || self.functions
            || self.inlines
            || self.demangle
            || self.pretty_print
            || self.basenames;
        let dialect = match self.output_style {
            Some(OutputStyle::Text | OutputStyle::Json) => return None,
            Some(OutputStyle::Llvm) => Dialect::Llvm,
            Some(OutputStyle::Gnu) => Dialect::Gnu,
            None if letters => Dialect::Gnu,
            None => return None,
        };
        let usual = Style::of(dialect);
        Some(Style {
            functions: if self.functions { Functions::Linkage } else { usual.functions },
            inlines: self.inlines || usual.inlines,
            demangle: self.demangle || usual.demangle,
            pretty: self.pretty_print,
            addresses: self.addresses,
            basenames: self.basenames,
            form: Form::Text,
            ..usual
        })
    }
}

/// Prints as another tool does, under our own name.
struct Imitation {
    style: Style,
}

impl Print for Imitation {
    fn print(
        &mut self,
        out: &mut dyn Write,
        question: &Question,
        address: u64,
        frames: &[FrameRef<'_>],
        _missing: Option<String>,
    ) -> io::Result<()> {
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
        anstream::eprintln!("trace-agent: {error}");
        self.style.print(out, question, 0, &[])
    }
}

/// Prints answers of our own, with sources.
struct Own {
    sources: SourceRoots,
    as_json: bool,
    context: u32,
    /// When the program was made that all lines are about.
    made: Option<SystemTime>,
}

impl Own {
    fn new(args: &Args) -> Own {
        let object = args.obj.as_deref();
        let roots = super::source_roots(&args.source_root, object);
        Own {
            sources: SourceRoots::with_maps(roots, args.map.clone()),
            as_json: args.output_style == Some(OutputStyle::Json),
            context: args.context,
            made: object.and_then(|object| std::fs::metadata(object).ok()?.modified().ok()),
        }
    }

    fn answer<'a>(
        &mut self,
        question: &Question,
        address: u64,
        frames: &[FrameRef<'a>],
        missing: Option<String>,
        module: &'a str,
    ) -> Answer<'a> {
        let address = match question.place {
            Place::Nowhere => question.typed.clone(),
            _ => format!("{address:#x}"),
        };
        Answer { address, frames: frames.iter().map(|frame| self.frame(*frame, module)).collect(), missing }
    }

    fn frame<'a>(&mut self, frame: FrameRef<'a>, module: &'a str) -> Frame<'a> {
        let place = frame.file().zip(frame.line());
        let source = place.and_then(|(file, line)| self.sources.line(file, line));
        let source_is_newer = source.is_some()
            && place
                .and_then(|(file, _)| self.sources.modified(file))
                .zip(self.made)
                .is_some_and(|(changed, made)| changed > made);
        let context = match place {
            Some((file, line)) if self.context > 0 => self.sources.around(file, line, self.context),
            _ => Vec::new(),
        };
        Frame {
            function: frame.function(),
            file: frame.file(),
            line: frame.line(),
            column: frame.column(),
            inlined: frame.is_inlined(),
            source,
            source_is_newer,
            context,
            origin: match frame.origin() {
                Origin::Dwarf => "dwarf",
                Origin::GoTable => "pclntab",
                Origin::SymbolTable => "symtab",
                Origin::NearestSymbol => "symtab-nearest",
            },
            module,
        }
    }
}

impl Print for Own {
    fn print(
        &mut self,
        out: &mut dyn Write,
        question: &Question,
        address: u64,
        frames: &[FrameRef<'_>],
        missing: Option<String>,
    ) -> io::Result<()> {
        let module = question.object.as_deref().map(Path::to_string_lossy).unwrap_or_default();
        let answer = self.answer(question, address, frames, missing, &module);
        if self.as_json {
            serde_json::to_writer(&mut *out, &answer)?;
            return writeln!(out);
        }
        print_for_people(out, &answer)
    }

    fn print_data(
        &mut self,
        out: &mut dyn Write,
        question: &Question,
        data: Option<(String, ModuleAddress, u64)>,
    ) -> io::Result<()> {
        match data {
            Some((name, start, size)) if self.as_json => {
                let data =
                    serde_json::json!({ "data": { "name": name, "start": start.to_string(), "size": size } });
                writeln!(out, "{data}")
            }
            Some((name, start, size)) => writeln!(out, "{}\n  {start}, {size} bytes", Plain(&name)),
            None => self.print(out, question, 0, &[], Some("no symbol of data is there".to_owned())),
        }
    }

    fn print_failed(&mut self, out: &mut dyn Write, question: &Question, error: &Error) -> io::Result<()> {
        let address = match question.place {
            Place::Address(address) => address,
            _ => 0,
        };
        self.print(out, question, address, &[], Some(error.to_string()))
    }
}

fn print_for_people(out: &mut dyn Write, answer: &Answer<'_>) -> io::Result<()> {
    writeln!(out, "{}", Plain(&answer.address))?;
    for frame in &answer.frames {
        write!(out, "  {}", Plain(frame.function.unwrap_or("??")))?;
        if let Some(file) = frame.file {
            write!(out, " at {}", Plain(file))?;
            for number in [frame.line, frame.column].into_iter().map_while(|number| number) {
                write!(out, ":{number}")?;
            }
        }
        writeln!(out, "{}", if frame.inlined { " (inlined)" } else { "" })?;
        let newer =
            if frame.source_is_newer { "  (the source was changed after the program was made)" } else { "" };
        if frame.context.is_empty() {
            if let Some(source) = &frame.source {
                writeln!(out, "      {}{newer}", Plain(source))?;
            }
            continue;
        }
        for (number, text) in &frame.context {
            let mark = if Some(*number) == frame.line { '>' } else { ' ' };
            writeln!(out, "    {mark} {number:>5}  {}", Plain(text))?;
        }
        if !newer.is_empty() {
            writeln!(out, "    {newer}")?;
        }
    }
    match &answer.missing {
        Some(missing) => writeln!(out, "  ?? ({missing})"),
        None => Ok(()),
    }
}
