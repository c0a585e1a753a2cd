//! The command line: one file for each subcommand.
//!
//! Exit status, for every subcommand: 0 if what was asked for was done; 1 if something stood in the way, which one line on
//! standard error names; 2 if the command line itself is wrong. What was found (a stack without names, an input without
//! failures) does not change the status.

pub mod people;
pub mod sources;
pub mod symbolize;
pub mod symbols;
pub mod normalize;
pub mod run;
pub mod logs;
pub mod check;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::choose::{Connect, ConnectReader};
use crate::config::{Config, Settings, SinkChoice};

/// What the agent can do by itself.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn addresses of a native program into functions, files, lines and source text
    Symbolize(symbolize::Args),
    /// Fill a symbol store, see what is in it, check it
    Symbols(symbols::Args),
    /// Read error bodies, logs, traces or native reports, and print one record per failure
    Normalize(normalize::Args),
    /// Run beside a program: follow logs, receive failures, ship records
    Run(run::Args),
    /// Read records back from where they were shipped to
    Logs(logs::Args),
    /// Check the configuration: what it means, and whether the sink can be opened
    Check(check::Args),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever stood in the way, for people to read.
    pub fn execute(self, connect: Connect, connect_reader: ConnectReader) -> anyhow::Result<()> {
        match self {
            Self::Symbolize(args) => symbolize::execute(&args),
            Self::Symbols(args) => symbols::execute(&args),
            Self::Normalize(args) => normalize::execute(&args),
            Self::Run(args) => run::execute(args, connect),
            Self::Logs(args) => logs::execute(args, connect_reader),
            Self::Check(args) => check::execute(&args, connect),
        }
    }
}

/// A command line, or a variable in its place, that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The configuration of a command that refuses to start with a wrong one. `sink` is its default.
///
/// # Errors
///
/// If a value cannot be understood.
pub fn config(settings: &Settings, sink: SinkChoice) -> anyhow::Result<Config> {
    let (config, problems) = Config::read(settings, sink);
    match problems.first() {
        None => Ok(config),
        Some(problem) => Err(Usage(problem.to_string()).into()),
    }
}

/// The folders in which a developer's sources are, if none were named: the current folder, the program's own, and the
/// project's if the program lies in Cargo's target folder.
#[must_use]
pub fn source_roots(named: &[PathBuf], program: Option<&Path>) -> Vec<PathBuf> {
    if !named.is_empty() {
        return named.to_vec();
    }
    let mut roots: Vec<PathBuf> = std::env::current_dir().into_iter().collect();
    if let Some(folder) =
        program.and_then(|program| std::fs::canonicalize(program).ok()).as_deref().and_then(Path::parent)
    {
        let target = folder.ancestors().find(|folder| folder.ends_with("target")).and_then(Path::parent);
        roots.extend([Some(folder), target].into_iter().flatten().map(Path::to_owned));
    }
    roots.dedup();
    roots
}
