//! `trace-agent symbols`: fill a symbol store, see what is in it, check it.

mod said;
mod pack;
mod find;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};

use self::said::{Format, Line, Out};
use super::Usage;
use crate::symbols::cache::belongs;
use crate::symbols::identity;
use crate::symbols::layout::Kind;
use crate::symbols::limits::Limits;
use crate::symbols::remote::{Remote, environment, wait};
use crate::symbols::source::Source;
use crate::symbols::store::{Entry, Store, digest};

/// How deep folders are searched for files to push; build folders of Cargo are 6 deep.
const DEPTH_MAX: usize = 32;

/// How long one file may take. Somebody watches and can break it off, and a line at home sends 2 GiB in half an hour.
const TOTAL_MAX: Duration = Duration::from_secs(3600);

/// Fill a symbol store, see what is in it, check it.
///
/// A store is a directory or s3://BUCKET/PREFIX. Files lie in it by build-id (STORE/ab/cdef…/debuginfo), so that whoever has a
/// stripped program finds the debug file of exactly that build.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pack what frames need of a program's debug information into a small file
    Pack(pack::Args),
    /// Put files into a store, each under its build-id
    Push(Push),
    /// List the builds in a store: build-id, kind, size, name
    List(Read),
    /// Read everything in a store back, and check build-ids and checksums
    Verify(Read),
    /// Find a file of a build as a symbolizer would, and print its path
    Find(find::Args),
}

#[derive(Debug, clap::Args)]
struct Push {
    /// The store: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "STORE")]
    store: String,
    /// Programs, shared objects and debug files; of a folder, every one below it
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the files are [default: debuginfo if they have debug information, else executable]
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<Stored>,
    /// How the answer is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Read {
    /// The store: a directory or s3://BUCKET/PREFIX
    #[arg(value_name = "STORE")]
    store: String,
    /// How the answer is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stored {
    /// What strip took away, or a program that was not stripped
    Debuginfo,
    /// The program or shared object
    Executable,
    /// Names alone
    Packed,
}

impl From<Stored> for Kind {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Debuginfo => Self::Debuginfo,
            Stored::Executable => Self::Executable,
            Stored::Packed => Self::Packed,
        }
    }
}

pub(super) fn execute(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Pack(args) => pack::execute(args),
        Command::Push(args) => wait(|| push(args))?,
        Command::List(args) => wait(|| list(args))?,
        Command::Verify(args) => wait(|| verify(args))?,
        Command::Find(args) => find::execute(args),
    }
}

fn open(text: &str) -> anyhow::Result<Store> {
    let variables = environment();
    let place = Source::parse(text, &*variables).map_err(|error| Usage(error.to_string()))?;
    let limits = Limits { total: TOTAL_MAX, ..Limits::from_environment(&*variables) };
    Store::open(place, Remote::new(limits, variables)).map_err(|error| Usage(error.to_string()).into())
}

async fn push(args: &Push) -> anyhow::Result<()> {
    let store = open(&args.store)?;
    let mut files = Vec::new();
    for path in &args.files {
        let found = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if found.is_dir() {
            below(path, DEPTH_MAX, &mut files);
        } else {
            files.push(path.clone());
        }
    }
    let mut out = Out::new(args.format, files.len());
    for path in &files {
        let pushed = push_one(&store, path, args.kind).await;
        out.say(pushed.unwrap_or_else(|error| Line::failed(None, "refused", format!("{error:#}"))), path)?;
    }
    out.end("pushed")
}

async fn push_one<'a>(store: &Store, path: &'a Path, kind: Option<Stored>) -> anyhow::Result<Line<'a>> {
    // Before it is opened: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        bail!("it is no regular file");
    }
    let file = File::open(path)?;
    let identity = identity::read(&file)?;
    let kind = match kind {
        Some(kind) => kind.into(),
        None if identity.debug => Kind::Debuginfo,
        None => Kind::Executable,
    };
    let Some(id) = identity.build_id else { bail!("it has no build-id; link it with --build-id") };
    let new = store.put(path, &id, &kind).await?;
    Ok(Line {
        build_id: Some(id.to_string()),
        kind: Some(kind.word()),
        bytes: Some(file.metadata()?.len()),
        outcome: Some(if new { "pushed" } else { "there already" }),
        ..Line::default()
    })
}

/// Every ELF file below a folder. Links are not followed, or one file might come twice.
fn below(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&path, depth, files),
            Ok(kind) if kind.is_file() && is_elf(&path) => files.push(path),
            _ => {}
        }
    }
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut magic)).is_ok()
        && magic == *b"\x7fELF"
}

async fn list(args: &Read) -> anyhow::Result<()> {
    let store = open(&args.store)?;
    let entries = store.list().await?;
    let facts = store.all_facts(&entries).await?;
    let mut out = Out::new(args.format, entries.len());
    for (entry, facts) in entries.iter().zip(&facts) {
        let (name, sha256) = match facts {
            Some(facts) => (Some(facts.name.as_str()), Some(facts.sha256.as_str())),
            None => (None, None),
        };
        out.say(Line { name, sha256, ..Line::of(entry) }, Path::new(&entry.at))?;
    }
    out.end("listed")
}

async fn verify(args: &Read) -> anyhow::Result<()> {
    let store = open(&args.store)?;
    let entries = store.list().await?;
    let mut out = Out::new(args.format, entries.len());
    for entry in &entries {
        let line = match check(&store, entry).await {
            Ok(outcome) => Line { outcome: Some(outcome), ..Line::of(entry) },
            Err(error) => Line::failed(Some(entry), "damaged", format!("{error:#}")),
        };
        out.say(line, Path::new(&entry.at))?;
    }
    out.end("verified")
}

async fn check(store: &Store, entry: &Entry) -> anyhow::Result<&'static str> {
    let file = store.read(entry).await?;
    belongs(&file, &entry.build_id, &entry.kind)?;
    // Who laid out a `.build-id` tree wrote down no checksums.
    let facts = if entry.known { store.facts(&entry.build_id, &entry.kind).await? } else { None };
    let Some(facts) = facts else { return Ok("good, its checksum is not known") };
    if digest(&file)? != (facts.bytes, facts.sha256) {
        bail!("its bytes are not those that were pushed");
    }
    Ok("good")
}
