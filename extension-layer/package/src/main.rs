//! `cargo layer`: see [`trace_layer`].

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use trace_layer::{Arch, build, pack};

/// Build the Lambda layer: one zip file for each processor.
///
/// Prints a line for each: its name, bytes zipped and unzipped, SHA-256. For x86_64 it takes `rustup target add x86_64-unknown-linux-musl`, for
/// aarch64 likewise and a cross compiler; unless a processor is named, one that cannot be built for is left out.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo layer", version)]
struct Args {
    /// Build for this processor only
    #[arg(long, value_enum)]
    arch: Vec<Arch>,
    /// Put the files here
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo layer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // cargo runs in the root, and a relative path means the caller's folder.
    let target = std::path::absolute(target)?;
    let archs = wanted(&args.arch)?;
    for (programs, arch) in build(&root, &target, &archs)?.iter().zip(archs) {
        let packed = pack(programs, arch, &args.out)?;
        println!(
            "{}  {} bytes, {} unzipped, sha256 {}",
            packed.path.display(),
            packed.zipped,
            packed.unzipped,
            packed.sha256
        );
    }
    Ok(())
}

/// The processors to build for: those that are named, else those that can be built for, of which this machine's own must be one.
fn wanted(named: &[Arch]) -> anyhow::Result<Vec<Arch>> {
    let mut archs = Vec::new();
    for arch in if named.is_empty() { &Arch::ALL[..] } else { named } {
        match arch.check() {
            Ok(()) => archs.push(*arch),
            Err(missing) if named.is_empty() && arch.name() != std::env::consts::ARCH => {
                eprintln!("cargo layer: left out {}: {missing:#}", arch.name());
            }
            Err(missing) => return Err(missing),
        }
    }
    Ok(archs)
}
