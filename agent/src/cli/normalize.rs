//! `trace-agent normalize`: whatever a runtime wrote in, records out.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use trace_record::{Completion, Record, normalize};

use super::people::ForPeople;
use crate::pipeline;
use crate::receive::native;
use crate::symbolize::Symbolizer;

/// The largest input that is read, in bytes. It is read whole.
const INPUT_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Read error bodies, logs, traces or native reports, and print one record per failure.
///
/// Read so far: error bodies and JSON log lines of every runtime, printed Python tracebacks, native reports of trace-capture, and the
/// platform's exits and timeouts. An input without failures prints nothing, and says so on standard error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to read; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,
    /// How records are printed [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Read source text below this folder, put before paths such as /var/task/x.py; may be repeated
    #[arg(long, env = "TRACE_AGENT_SOURCE_ROOT", value_name = "DIR", value_delimiter = ':')]
    source_root: Vec<PathBuf>,
    /// Look for debug files by build-id below this folder, before the system's; may be repeated
    #[arg(long, env = "TRACE_AGENT_DEBUG_DIR", value_name = "DIR", value_delimiter = ':')]
    debug_dir: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<()> {
    let mut symbolizer = Symbolizer::new(&args.debug_dir, &args.source_root);
    let format = args.format.unwrap_or(if io::stdout().is_terminal() { Format::Text } else { Format::Json });
    let mut out = anstream::stdout().lock();
    for path in &args.files {
        let input = read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let records = records(&input, path);
        if records.is_empty() {
            anstream::eprintln!("trace-agent: no failure found in {}", path.display());
        }
        for (index, mut record) in records.into_iter().enumerate() {
            // The same text gives the same id, wherever and whenever it is read.
            let origin = format!("{:08x}/{}/{index}", crc32fast::hash(&input), input.len());
            pipeline::finish(&mut record, &Completion { origin, ..Completion::default() }, &mut symbolizer);
            match format {
                Format::Json => writeln!(out, "{}", serde_json::to_string(&record)?)?,
                Format::Text => writeln!(out, "{}", ForPeople(&record))?,
            }
        }
    }
    Ok(out.flush()?)
}

fn records(input: &[u8], path: &Path) -> Vec<Record> {
    if native::is_datagram(input) {
        return match native::datagram(input) {
            Ok(record) => vec![record],
            Err(error) => {
                anstream::eprintln!("trace-agent: {}: {error}", path.display());
                Vec::new()
            }
        };
    }
    if native::is_file(input) {
        let (records, error) = native::file(input);
        if let Some(error) = error {
            anstream::eprintln!("trace-agent: {}: the rest cannot be read: {error}", path.display());
        }
        return records;
    }
    normalize::text(&String::from_utf8_lossy(input))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut input = Vec::new();
    let mut source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(path)?),
    };
    source.by_ref().take(INPUT_BYTES_MAX + 1).read_to_end(&mut input)?;
    if input.len() as u64 > INPUT_BYTES_MAX {
        bail!("it is larger than {INPUT_BYTES_MAX} bytes; split it");
    }
    Ok(input)
}
