//! The programs of the layer.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::Arch;

/// What was built.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The extension.
    pub extension: PathBuf,
    /// The wrapper, which is the bootstrap too.
    pub wrapper: PathBuf,
}

/// A program of the layer.
struct Built {
    manifest: &'static str,
    package: &'static str,
    name: &'static str,
    /// The profile in its Cargo.toml, and the folder of what is built with it.
    profile: &'static str,
    features: &'static str,
    flags: &'static [&'static str],
}

const EXTENSION: Built = Built {
    manifest: "Cargo.toml",
    package: "trace-agent",
    name: "trace-agent-extension",
    profile: "layer",
    features: "layer",
    // Where a frame has a pointer, the tables for unwinding need not follow every push: a quarter less of them, one in a hundred of the layer.
    flags: &["-Cforce-frame-pointers=yes"],
};

const WRAPPER: Built = Built {
    manifest: "extension-layer/wrapper/Cargo.toml",
    package: "trace-wrapper",
    name: "trace-agent-wrapper",
    profile: "release",
    features: "",
    // It cannot unwind. And on aarch64 what stands behind the C library asks it for the processor's features.
    flags: &["-Cforce-unwind-tables=no", "-Clink-arg=-lc"],
};

/// Builds the programs of the workspace in `root` for each of `archs`, side by side, below `target`.
///
/// # Errors
///
/// If cargo fails; it has said why.
pub fn build(root: &Path, target: &Path, archs: &[Arch]) -> anyhow::Result<Vec<Programs>> {
    for program in [EXTENSION, WRAPPER] {
        run(&program, root, target, archs)?;
    }
    let programs = archs.iter().map(|arch| {
        let path = |program: &Built| target.join(arch.target()).join(program.profile).join(program.name);
        Programs { extension: path(&EXTENSION), wrapper: path(&WRAPPER) }
    });
    Ok(programs.collect())
}

fn run(program: &Built, root: &Path, target: &Path, archs: &[Arch]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--locked", "--manifest-path", program.manifest, "--profile", program.profile])
        .args(["--package", program.package, "--bin", program.name, "--features", program.features])
        .arg("--target-dir")
        .arg(target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root, program.flags).join(OsStr::new("\u{1f}")))
        .env_remove("RUSTFLAGS");
    for arch in archs {
        let name = arch.target().replace('-', "_");
        command
            .args(["--target", arch.target()])
            .env(format!("CC_{name}"), arch.compiler())
            .env(format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), arch.compiler());
    }
    if !command.status().context("cannot run cargo")?.success() {
        bail!("cargo could not build {}", program.name);
    }
    Ok(())
}

/// Static and at a fixed address, as `build.rs` argues; and without the paths of this machine.
fn flags(root: &Path, own: &[&str]) -> Vec<OsString> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let remapped = [(Some(root.to_owned()), "/trace-agent"), (home, "/cargo")];
    let mut flags: Vec<OsString> =
        ["-Ctarget-feature=+crt-static", "-Crelocation-model=static"].map(OsString::from).to_vec();
    flags.extend(own.iter().map(OsString::from));
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
