//! `trace-agent symbols pack`: the names of a program at a few per cent of its debug information.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use trace_symbolizer::{Keep, Module, Search};

use super::said::{Format, Line};
use crate::cli::people::Plain;

/// Pack what frames need of a program's debug information into a small file
///
/// Functions, inlined functions, files and lines of every address, and the build-id. The file takes the place of the
/// debug information: as --obj, or below a folder of symbols as ab/cdef…/packed (`symbols push --kind packed` puts it there).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The program, shared object or debug file
    #[arg(value_name = "BINARY")]
    binary: PathBuf,
    /// The file to write
    #[arg(long, short = 'o', value_name = "FILE")]
    output: PathBuf,
    /// Keep columns too: about half as much again
    #[arg(long)]
    columns: bool,
    /// Keep the names that the linker saw too: up to twice as much
    #[arg(long)]
    linkage_names: bool,
    /// Look for the debug file by build-id below this folder, before the system's; may be repeated
    #[arg(long, env = "TRACE_AGENT_DEBUG_DIR", value_name = "DIR", value_delimiter = ':')]
    debug_dir: Vec<PathBuf>,
    /// How the answer is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn execute(args: &Args) -> anyhow::Result<()> {
    let mut search = Search::system();
    search.debug_dirs.splice(0..0, args.debug_dir.iter().cloned());
    let module = Module::open(&args.binary, &search).context("cannot pack")?;
    if module.is_bare() {
        anstream::eprintln!(
            "trace-agent: {} has no debug information, only its symbols are packed",
            args.binary.display()
        );
    }
    let keep = Keep { columns: args.columns, linkage_names: args.linkage_names };
    let bar = progress_bar();
    let (bytes, packing) = module.pack(keep, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if packing.ranges == 0 {
        bail!("{} has neither debug information nor symbols, nothing to pack", args.binary.display());
    }
    write(&args.output, &bytes).with_context(|| format!("cannot write {}", args.output.display()))?;
    // What was written is what will be asked.
    Module::open(&args.output, &Search::default()).context("the packed file cannot be read back")?;
    if !packing.complete {
        anstream::eprintln!("trace-agent: split debug files are missing, so inlined functions are too");
    }
    let name = args.output.to_string_lossy();
    let build_id = module.build_id().map(ToString::to_string);
    match args.format {
        Format::Json => {
            let line = Line {
                build_id,
                kind: Some("packed"),
                bytes: Some(bytes.len() as u64),
                name: Some(&name),
                outcome: Some("packed"),
                ..Line::default()
            };
            anstream::println!("{}", serde_json::to_string(&line)?);
        }
        Format::Text => {
            let build_id = build_id.unwrap_or_else(|| "no build-id".to_owned());
            anstream::println!(
                "{}: {} bytes, {} ranges, {build_id}",
                Plain(&name),
                bytes.len(),
                packing.ranges
            );
        }
    }
    Ok(())
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} addresses {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Writes a file that is whole or not there.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = fs::File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed changes nothing.
        let _: std::io::Result<()> = fs::remove_file(&part);
    }
    written
}
