//! `trace-agent normalize`: whatever a runtime wrote in, records out.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use trace_record::export;
use trace_record::normalize::input::{Reading, Stream};
use trace_record::{Completion, Record};

use super::Usage;
use super::people::{ForPeople, Plain};
use crate::config::Detail;
use crate::pipeline::Finisher;
use crate::receive::{native, unpack};
use crate::symbolize::Symbolizer;

/// How much is read at once, in bytes. The ids of records are made of the checksum of the first piece.
const PIECE_BYTES: usize = 64 * 1024;

/// The largest file of native reports, in bytes: it is read whole. The capture hook stops at far less.
const NATIVE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Files above this size, in bytes, are worth a progress bar.
const PROGRESS_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Read error bodies, logs, traces or native reports, and print one record per failure.
///
/// Reads what the runtimes of Python, Node.js, Java, .NET, Ruby, Go, Rust, C++, PHP and others post and print, text and JSON logs,
/// batches of the Telemetry API, exports of CloudWatch Logs, native reports of trace-capture; plain, gzip or zstd. An input is read to its end
/// (to follow one, use `run`). An input without failures prints nothing, and says so on standard error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to read; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,
    /// How records are printed [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Say on standard error which reader took each failure and why, or what was tried
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    detail: Detail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// For people
    Text,
    /// Attributes of OpenTelemetry, one JSON object a line
    Otel,
    /// Fields of the Elastic Common Schema, one JSON object a line
    Ecs,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<()> {
    let format = args.format.unwrap_or(if io::stdout().is_terminal() { Format::Text } else { Format::Json });
    let (policy, problems) = args.detail.policy();
    if let Some(problem) = problems.first() {
        return Err(Usage(problem.to_string()).into());
    }
    let symbolizer = Symbolizer::new(&args.detail.debug_dir, &args.detail.source_root);
    let mut normalizer = Normalizer {
        finisher: Finisher::new(symbolizer, policy, 0),
        format,
        explain: args.explain,
        out: match format {
            Format::Text => Box::new(anstream::stdout().lock()),
            // What takes colours out of text takes bytes out of JSON.
            Format::Json | Format::Otel | Format::Ecs => Box::new(io::stdout().lock()),
        },
    };
    let mut failed: Option<anyhow::Error> = None;
    for path in &args.files {
        let done = normalizer.file(path).with_context(|| format!("cannot read {}", path.display()));
        // The other files are read all the same. The last error decides the status; those before it are said here.
        if let Err(error) = done
            && let Some(earlier) = failed.replace(error)
        {
            anstream::eprintln!("trace-agent: {earlier:#}");
        }
    }
    normalizer.out.flush()?;
    failed.map_or(Ok(()), Err)
}

struct Normalizer {
    finisher: Finisher,
    format: Format,
    explain: bool,
    out: Box<dyn Write>,
}

/// One input, and what came out of it so far.
struct Source<'a> {
    path: &'a Path,
    /// The checksum of its beginning: the same text gives the same ids, wherever and whenever it is read.
    checksum: u32,
    records: u64,
}

impl Normalizer {
    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let progress;
        let packed: Box<dyn Read> = match path.to_str() {
            Some("-") => Box::new(io::stdin().lock()),
            _ => {
                let file = File::open(path)?;
                progress = self::progress(file.metadata()?.len());
                Box::new(progress.wrap_read(file))
            }
        };
        let mut plain = unpack::unpack(packed)?;
        let mut piece = Vec::new();
        let damage = read_piece(&mut plain, &mut piece);
        let mut source = Source { path, checksum: crc32fast::hash(&piece), records: 0 };
        if native::is_datagram(&piece) || native::is_file(&piece) {
            damage.map_or(Ok(()), Err)?;
            self.reports(piece, plain, &mut source)?;
        } else {
            self.text(piece, plain, damage, &mut source)?;
        }
        if source.records == 0 {
            anstream::eprintln!("trace-agent: no failure found in {}", path.display());
        }
        Ok(())
    }

    /// Reads a text. What stands before damaged bytes is read, too.
    fn text(
        &mut self,
        mut piece: Vec<u8>,
        mut rest: impl Read,
        mut damage: Option<io::Error>,
        source: &mut Source<'_>,
    ) -> anyhow::Result<()> {
        let mut stream = Stream::default();
        while !piece.is_empty() {
            for reading in stream.push(&piece) {
                self.reading(reading, source)?;
            }
            piece.clear();
            if damage.is_none() {
                damage = read_piece(&mut rest, &mut piece);
            }
        }
        for reading in stream.finish() {
            self.reading(reading, source)?;
        }
        if let (0, Some(explanation)) = (source.records, stream.explanation()) {
            self.explain(source, format_args!("{explanation}"));
        }
        damage.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Reads the reports of the capture hook: one datagram, or a file of them.
    fn reports(
        &mut self,
        mut bytes: Vec<u8>,
        rest: impl Read,
        source: &mut Source<'_>,
    ) -> anyhow::Result<()> {
        rest.take(NATIVE_BYTES_MAX).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > NATIVE_BYTES_MAX {
            bail!("native reports of more than {NATIVE_BYTES_MAX} bytes; split them");
        }
        let (records, error) = if native::is_datagram(&bytes) {
            match native::datagram(&bytes) {
                Ok(record) => (vec![record], None),
                Err(error) => (Vec::new(), Some(error)),
            }
        } else {
            native::file(&bytes)
        };
        for record in records {
            self.explain(source, format_args!("a report of the capture hook"));
            self.record(record, source)?;
        }
        if let Some(error) = error {
            anstream::eprintln!("trace-agent: {}: the rest cannot be read: {error}", source.path.display());
        }
        Ok(())
    }

    fn reading(&mut self, reading: Reading, source: &mut Source<'_>) -> anyhow::Result<()> {
        let Reading { record, reader, line, lines, why } = reading;
        self.explain(source, format_args!("line {line}, {lines} long, read by {reader}: {}", Plain(&why)));
        self.record(record, source)
    }

    fn explain(&self, source: &Source<'_>, what: std::fmt::Arguments<'_>) {
        if self.explain {
            anstream::eprintln!("{}: {what}", source.path.display());
        }
    }

    fn record(&mut self, mut record: Record, source: &mut Source<'_>) -> anyhow::Result<()> {
        let origin = format!("{:08x}/{}", source.checksum, source.records);
        source.records += 1;
        self.finisher.finish(&mut record, &Completion { origin, ..Completion::default() });
        let out = &mut self.out;
        match self.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string(&record)?)?,
            Format::Text => writeln!(out, "{}", ForPeople(&record))?,
            Format::Otel => writeln!(out, "{}", serde_json::to_string(&export::otel(&record))?)?,
            Format::Ecs => writeln!(out, "{}", serde_json::to_string(&export::ecs(&record))?)?,
        }
        Ok(())
    }
}

/// Appends the next piece, and gives the error that ended it.
fn read_piece(from: &mut impl Read, piece: &mut Vec<u8>) -> Option<io::Error> {
    from.by_ref().take(PIECE_BYTES as u64).read_to_end(piece).err()
}

/// A bar for a file of `length` bytes, drawn on standard error if that is a terminal and the file is long.
fn progress(length: u64) -> ProgressBar {
    if length < PROGRESS_BYTES_MIN {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}")
        .expect("the template is a constant, and tests print it");
    ProgressBar::new(length).with_style(style)
}
