//! The processors that Lambda has, and what it takes to build for each.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::ValueEnum;

/// A processor of Lambda's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86_64,
    /// Graviton.
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Its name in the layer's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// What Rust calls it with a static C library.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The C compiler, for the cryptography and as the linker. The C library is Rust's own.
    pub(crate) fn compiler(self) -> &'static str {
        let is_own = std::env::consts::ARCH == self.name();
        match self {
            _ if is_own => "cc",
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// Makes sure that what is needed is there.
    ///
    /// # Errors
    ///
    /// If it is not: what to install.
    pub fn check(self) -> anyhow::Result<()> {
        let target = self.target();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
        let output = output.context("cannot run rustc")?;
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !Path::new(&folder).is_dir() {
            bail!("the standard library for {target} is missing; run: rustup target add {target}");
        }
        let compiler = self.compiler();
        let found =
            Command::new(compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            bail!(
                "the C compiler {compiler} is missing (Debian and Ubuntu: apt-get install gcc-{}-linux-gnu)",
                self.name().replace('_', "-")
            );
        }
        Ok(())
    }
}
