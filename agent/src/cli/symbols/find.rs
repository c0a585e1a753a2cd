//! `trace-agent symbols find`: which file a symbolizer would get, and why.

use anyhow::bail;
use trace_symbolizer::BuildId;

use super::Stored;
use crate::cli::Usage;
use crate::cli::people::Plain;
use crate::cli::sources::Sources;
use crate::symbols::layout::Kind;

/// Find a file of a build as a symbolizer would, and print its path
///
/// What comes over the network is kept in a cache below DEBUGINFOD_CACHE_PATH, XDG_CACHE_HOME or ~/.cache, 8 GiB at most.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The build-id, in hexadecimal
    #[arg(value_name = "BUILD-ID")]
    build_id: BuildId,
    /// What of the build
    #[arg(long, value_name = "KIND", value_enum, default_value = "debuginfo")]
    kind: Stored,
    /// A source file, by its path in the debug information; debuginfod servers alone have them
    #[arg(long, value_name = "PATH", conflicts_with = "kind")]
    source: Option<String>,
    #[command(flatten)]
    sources: Sources,
    /// Say on standard error where it was looked for, and what came of that
    #[arg(long)]
    explain: bool,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<()> {
    let Some(fetch) = args.sources.open()? else {
        return Err(Usage(
            "no source is named: --symbols, --debuginfod-urls or TRACE_AGENT_SYMBOLS".to_owned(),
        )
        .into());
    };
    let kind = args.source.clone().map_or_else(|| args.kind.into(), Kind::Source);
    let found = fetch.file(&args.build_id, &kind);
    let log = fetch.take_log();
    if args.explain {
        for tried in &log {
            anstream::eprintln!("{}", Plain(&tried.to_string()));
        }
    }
    let Some(path) = found else {
        let hint = if args.explain { "" } else { " (--explain says where it was looked for)" };
        let file = match kind {
            Kind::Source(_) => kind.to_string(),
            _ => format!("{kind} file"),
        };
        bail!("nobody has the {} of {}{hint}", Plain(&file), args.build_id);
    };
    anstream::println!("{}", path.display());
    Ok(())
}
