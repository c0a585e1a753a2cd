//! `trace-agent logs`: records, read back from where they were shipped to.

mod selection;
mod summary;
mod tail;
mod print;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use super::Usage;
use super::sources::Sources;
use crate::choose::ConnectReader;
use crate::clock::now_ms;
use crate::config::{Detail, LOG_GROUP_DEFAULT};
use crate::pipeline::Finisher;
use crate::read::Reader;
use crate::read::file::FileReader;
use crate::symbolize::{FindSymbols, Symbolizer};
use print::Printer;
use selection::Selection;
use summary::Summary;
use tail::Tail;

/// Read records back: the last hour of a log group, or what comes from now on.
///
/// A record that was delivered twice is shown once. What is followed ends with Ctrl-C, as `tail -f` does. Frames that have only an address are named if their debug files are here.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The log group
    #[arg(env = "TRACE_AGENT_LOG_GROUP", default_value = LOG_GROUP_DEFAULT)]
    group: String,
    /// Read the folder that a file sink wrote instead of CloudWatch Logs
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Only this log stream; may be repeated
    #[arg(long, value_name = "STREAM", conflicts_with = "stream_prefix")]
    stream: Vec<String>,
    /// Only log streams whose names begin so
    #[arg(long, value_name = "PREFIX")]
    stream_prefix: Option<String>,
    /// From when on: how long ago (10m, 2h, 3days), or a time such as 2026-11-26T10:00:00Z
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// Up to when; as --since
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Go on, and show what comes
    #[arg(long, short)]
    follow: bool,
    /// Only failures with this fingerprint; may be repeated
    #[arg(long, value_name = "HEX")]
    fingerprint: Vec<String>,
    /// Only failures of this error type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    error_type: Vec<String>,
    /// Only failures of this function
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Only failures of this invocation
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only the record with this id, and those that amend it
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// End after so many records
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// How records are printed [default: pretty on a terminal, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print one line for each fingerprint instead: how often, from when to when, where
    #[arg(long, conflicts_with = "follow")]
    summary: bool,
    /// Let CloudWatch Logs leave out what does not match this pattern of its own, instead of one made of the other flags
    #[arg(long, value_name = "PATTERN", conflicts_with = "directory")]
    filter_pattern: Option<String>,
    /// Print records as they were stored; look for no debug files
    #[arg(long)]
    no_symbolize: bool,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    detail: Detail,
}

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Pretty,
    /// One JSON object a line, as it was stored
    Json,
}

pub(super) fn execute(args: Args, connect: ConnectReader) -> anyhow::Result<()> {
    let selection = Selection::new(&args, now_ms())?;
    let is_terminal = io::stdout().is_terminal();
    let mut printer = Printer {
        finisher: finisher(&args)?,
        format: args.format.unwrap_or(if is_terminal { Format::Pretty } else { Format::Json }),
        summary: args.summary.then(Summary::default),
        limit: args.limit,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tail = runtime.block_on(async {
        let reader: Box<dyn Reader> = match &args.directory {
            Some(directory) => Box::new(FileReader::new(directory)),
            None => connect().await?,
        };
        let mut tail = Tail::new(reader, selection, args.follow, now_ms);
        while let Some(lines) = tail.next().await? {
            if !printer.page(lines)? {
                break;
            }
        }
        anyhow::Ok(tail)
    })?;
    printer.finish()?;
    tail.say();
    Ok(())
}

/// What names bare frames, unless nobody is to.
fn finisher(args: &Args) -> anyhow::Result<Option<Finisher>> {
    let (policy, problems) = args.detail.policy();
    if let Some(problem) = problems.first() {
        return Err(Usage(problem.to_string()).into());
    }
    if args.no_symbolize {
        return Ok(None);
    }
    let symbolizer = Symbolizer::new(&args.detail.debug_dir, &args.detail.source_root);
    let finder = args.sources.open()?.map(|fetch| Arc::new(fetch) as Arc<dyn FindSymbols>);
    let symbolizer = symbolizer.with_finder(finder);
    Ok(Some(Finisher::new(symbolizer, policy, 0)))
}
