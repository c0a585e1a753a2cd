//! The programs of the layer.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::Arch;

/// The profile in Cargo.toml that they are built with.
const PROFILE: &str = "layer";

/// What was built.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The extension.
    pub extension: PathBuf,
    /// The wrapper, which is the bootstrap too.
    pub wrapper: PathBuf,
}

/// Builds the programs of the workspace in `root` for `arch`, below `target`.
///
/// # Errors
///
/// If cargo fails; it has said why.
pub fn build(root: &Path, target: &Path, arch: Arch) -> anyhow::Result<Programs> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let triple = arch.target();
    let name = triple.replace('-', "_");
    let linker = format!("CARGO_TARGET_{}_LINKER", name.to_uppercase());
    let run = |manifest: &str, profile: &str, program: &str| -> anyhow::Result<()> {
        let status = Command::new(&cargo)
            .current_dir(root)
            .args([
                "build",
                "--locked",
                "--manifest-path",
                manifest,
                "--profile",
                profile,
                "--target",
                triple,
            ])
            .args(["--bin", program, "--target-dir"])
            .arg(target)
            .env(format!("CC_{name}"), arch.compiler())
            .env(&linker, arch.compiler())
            .env("CARGO_ENCODED_RUSTFLAGS", flags(root).join(OsStr::new("\u{1f}")))
            .env_remove("RUSTFLAGS")
            .status()
            .context("cannot run cargo")?;
        if !status.success() {
            bail!("cargo could not build {program} for {triple}");
        }
        Ok(())
    };
    run("Cargo.toml", PROFILE, "trace-agent-extension")?;
    run("extension-layer/wrapper/Cargo.toml", "release", "trace-agent-wrapper")?;
    let folder = target.join(triple);
    Ok(Programs {
        extension: folder.join(PROFILE).join("trace-agent-extension"),
        wrapper: folder.join("release/trace-agent-wrapper"),
    })
}

/// Static and at a fixed address, as `build.rs` argues; and without the paths of this machine.
fn flags(root: &Path) -> Vec<OsString> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let remapped = [(Some(root.to_owned()), "/trace-agent"), (home, "/cargo")];
    let mut flags: Vec<OsString> =
        ["-Ctarget-feature=+crt-static", "-Crelocation-model=static"].map(OsString::from).to_vec();
    for (path, name) in remapped {
        let Some(path) = path else { continue };
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(path);
        flag.push("=");
        flag.push(name);
        flags.push(flag);
    }
    flags
}
