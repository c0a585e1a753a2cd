//! Building a native handler the way it is deployed: stripped, its debug file beside it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The root of the workspace that this program was built from.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target folder and the profile that this program was built in.
///
/// # Errors
///
/// If this program does not lie in one.
pub fn target() -> anyhow::Result<(PathBuf, Profile)> {
    let own = std::env::current_exe().context("cannot find the folder of this program")?;
    // A test's program lies one folder deeper, in `deps`.
    let profile = own.ancestors().skip(1).find(|folder| folder.file_name() != Some(OsStr::new("deps")));
    let (Some(profile), Some(target)) = (profile, profile.and_then(Path::parent)) else {
        bail!("{} does not lie in a target folder of Cargo", own.display());
    };
    let release = profile.file_name() == Some(OsStr::new("release"));
    Ok((target.to_owned(), if release { Profile::Release } else { Profile::Debug }))
}

/// The two profiles of Cargo that everybody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `target/debug`
    Debug,
    /// `target/release`
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds one program of the workspace with the Cargo that runs this, and gives its path.
///
/// # Errors
///
/// If Cargo is not there or the build fails; its last words are in the error.
pub fn build(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    let (target, profile) = target()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&cargo);
    command
        .current_dir(workspace())
        .args(["build", "--quiet", "--package", package, "--bin", program, "--target-dir"])
        .arg(&target);
    if profile == Profile::Release {
        command.arg("--release");
    }
    // What Cargo told this process of its own package is not for the next Cargo: build scripts that look at it (ring's) would
    // build everything anew.
    let told = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(told)) {
        command.env_remove(name);
    }
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", cargo.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("cargo could not build {program}:\n{}", said.trim_end());
    }
    Ok(target.join(profile.folder()).join(program))
}

/// Splits `program` into a stripped copy and its debug file in `folder`, which a debug link joins. Gives the stripped one. Two that
/// do so at a time do not see each other's halves.
///
/// # Errors
///
/// If there is no objcopy, or it fails.
pub fn strip(program: &Path, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let aside = tempfile::tempdir_in(folder)?;
    let debug_name = format!("{name}.debug");
    let objcopy = objcopy()?;
    let run = |arguments: &[&OsStr]| -> anyhow::Result<()> {
        let output =
            Command::new(&objcopy).current_dir(&aside).args(arguments).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("{} failed: {}", objcopy.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    };
    run(&["--only-keep-debug".as_ref(), program.as_os_str(), debug_name.as_ref()])?;
    let link = OsString::from(format!("--add-gnu-debuglink={debug_name}"));
    run(&["--strip-all".as_ref(), &link, program.as_os_str(), name.as_ref()])?;
    for name in [&debug_name, name] {
        fs::rename(aside.path().join(name), folder.join(name))?;
    }
    Ok(folder.join(name))
}

/// The linker's companion if it is installed, else the one that Rust brings along.
fn objcopy() -> anyhow::Result<PathBuf> {
    let works = |program: &Path| {
        Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let own = PathBuf::from("objcopy");
    if works(&own) {
        return Ok(own);
    }
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output();
    let lib =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let rusts = Path::new(&lib).with_file_name("bin").join("rust-objcopy");
    if works(&rusts) {
        return Ok(rusts);
    }
    bail!("objcopy is not installed; install binutils")
}
