//! Other people's Python programs that the demo and the tests run, each set of them in a virtual environment of its own
//! below the target folder, with pinned versions.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// AWS's Runtime Interface Client for Python.
pub const AWSLAMBDARIC: Peer =
    Peer { name: "awslambdaric", requirements: include_str!("../tests/peers/awslambdaric.txt") };

/// moto's server, an independent stand-in for AWS, and boto3, AWS's SDK for Python. moto brings cfn-lint, beside which two more judges of
/// `deploy/` cost next to nothing: hadolint and a parser of HCL.
pub const MOTO: Peer = Peer { name: "moto", requirements: include_str!("../tests/peers/moto.txt") };

/// A set of Python packages.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// What it is called.
    pub name: &'static str,
    /// What pip installs: one pinned package a line.
    pub requirements: &'static str,
}

impl Peer {
    /// Installs the packages if they are not there yet, and gives the folder of their programs, `python3` among them.
    ///
    /// Processes that ask at the same time wait for the first one, behind a lock on a file.
    ///
    /// # Errors
    ///
    /// If there is no python3, or venv, pip or the packages are not to be had: one line that says what to install.
    pub fn install(&self, target: &Path) -> anyhow::Result<PathBuf> {
        check_python()?;
        let peers = target.join("peers");
        fs::create_dir_all(&peers).with_context(|| format!("cannot create {}", peers.display()))?;
        let lock = File::create(peers.join(format!("{}.lock", self.name)))?;
        lock.lock().context("cannot lock the folder of the Python packages")?;
        let environment = peers.join(self.name);
        let installed = environment.join("requirements.txt");
        if fs::read_to_string(&installed).is_ok_and(|requirements| requirements == self.requirements) {
            return Ok(environment.join("bin"));
        }
        // Other versions, or the half of an installation that was broken off.
        if environment.exists() {
            fs::remove_dir_all(&environment)?;
        }
        run(
            Command::new("python3").args(["-m", "venv"]).arg(&environment),
            "python3 -m venv failed; install the venv module (Debian and Ubuntu: apt-get install python3-venv)",
        )?;
        let wanted = peers.join(format!("{}.txt", self.name));
        fs::write(&wanted, self.requirements)?;
        run(
            Command::new(environment.join("bin/python3"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--timeout", "15", "--retries", "1", "--requirement"])
                .arg(&wanted),
            &format!("pip could not install {}; is the package index within reach?", self.name),
        )?;
        // Last, so that it says that all of it is there.
        fs::write(installed, self.requirements)?;
        Ok(environment.join("bin"))
    }
}

/// The first version of Python that the packages run on.
const PYTHON_MIN: (u32, u32) = (3, 10);

fn check_python() -> anyhow::Result<()> {
    let output = Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]).output();
    let Ok(output) = output else { bail!("python3 is not installed; install Python 3.10 or newer") };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < PYTHON_MIN {
        bail!("python3 is version {}.{}; install Python 3.10 or newer", version.0, version.1);
    }
    Ok(())
}

/// Runs a command quietly; what it said is shown only if it failed, after `otherwise`.
fn run(command: &mut Command, otherwise: &str) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().context(otherwise.to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    bail!("{otherwise} ({})", last.trim());
}
