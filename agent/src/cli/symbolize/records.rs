//! Records in, the same records with named frames out: files of one record on a line, as sinks write them and as
//! CloudWatch exports them (a timestamp in front), plain, gzip or zstd.
//!
//! Lines are read in batches, and a batch's frames are asked of their modules together. Some batches are worked on at once,
//! and are written in the order in which they were read. What is no record passes as it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use trace_record::Record;
use trace_record::failure::{Frame, StackEntry};

use crate::cli::people::Plain;
use crate::receive::unpack;
use crate::symbolize::{FindSymbols, Symbolizer};
use crate::symbols::fetch::Fetch;

/// Bytes of lines in a batch at most, unless one line is longer.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The longest line that is taken for a record, in bytes: CloudWatch's largest event is a quarter of it. A longer one passes in pieces.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// Threads at most: each keeps the modules that it asks.
const THREADS_MAX: usize = 4;

/// What was done.
#[derive(Debug, Default)]
struct Summary {
    records: usize,
    named: usize,
    /// How many frames stayed bare, by the reason.
    bare: BTreeMap<String, usize>,
}

/// Names the frames of the records in `files`, or in standard input if there are none.
pub(super) fn execute(
    files: &[PathBuf],
    debug_dirs: &[PathBuf],
    source_roots: &[PathBuf],
    fetch: Option<Fetch>,
) -> anyhow::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let finder = fetch.map(|fetch| Arc::new(fetch) as Arc<dyn FindSymbols>);
    let mut symbolizers: Vec<Symbolizer> =
        (0..threads).map(|_| Symbolizer::new(debug_dirs, source_roots).with_finder(finder.clone())).collect();
    let mut summary = Summary::default();
    let mut out = io::stdout().lock();
    if files.is_empty() {
        let source = unpack::unpack(io::stdin().lock()).context("cannot read standard input")?;
        run(source, &mut symbolizers, &mut summary, &mut out)?;
    }
    for path in files {
        let read = |path: &PathBuf| -> io::Result<(File, u64)> {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) = read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let bar = progress_bar(length);
        let source =
            unpack::unpack(bar.wrap_read(file)).with_context(|| format!("cannot read {}", path.display()))?;
        run(source, &mut symbolizers, &mut summary, &mut out)
            .with_context(|| format!("cannot read {}", path.display()))?;
        bar.finish_and_clear();
    }
    say(&summary);
    Ok(())
}

fn run(
    source: impl Read,
    symbolizers: &mut [Symbolizer],
    summary: &mut Summary,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut source = BufReader::with_capacity(1 << 16, source);
    loop {
        let mut batches = Vec::new();
        for _ in 0..symbolizers.len() {
            let batch = next_batch(&mut source)?;
            if batch.is_empty() {
                break;
            }
            batches.push(batch);
        }
        if batches.is_empty() {
            return out.flush();
        }
        let done: Vec<(Vec<u8>, Summary)> = thread::scope(|scope| {
            let work = batches.iter().zip(symbolizers.iter_mut());
            let running: Vec<_> =
                work.map(|(batch, symbolizer)| scope.spawn(|| name(batch, symbolizer))).collect();
            // A thread that panicked has said so itself; its batch is lost only with the whole run.
            running.into_iter().map(|thread| thread.join().expect("naming records does not panic")).collect()
        });
        for (text, part) in done {
            out.write_all(&text)?;
            summary.add(part);
        }
    }
}

/// The next lines, each with its end.
fn next_batch(source: &mut impl BufRead) -> io::Result<Vec<Vec<u8>>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH_BYTES_MAX {
        let mut line = Vec::new();
        if source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        bytes += line.len();
        lines.push(line);
    }
    Ok(lines)
}

/// Names the frames of a batch.
fn name(lines: &[Vec<u8>], symbolizer: &mut Symbolizer) -> (Vec<u8>, Summary) {
    let mut summary = Summary::default();
    let (mut records, mut places) = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        if let Some((start, record)) = read(line) {
            records.push(record);
            places.push((index, start));
        }
    }
    let before: Vec<Vec<usize>> = records.iter().map(bare_frames).collect();
    let culprits: Vec<Option<(StackEntry, Frame)>> = records.iter().map(culprit).collect();
    symbolizer.name_all(&mut records);
    let mut text = Vec::new();
    let mut named = places.iter().zip(records.iter_mut()).zip(before.iter().zip(&culprits)).peekable();
    for (index, line) in lines.iter().enumerate() {
        let Some((((_, start), record), (bare, culprit))) =
            named.next_if(|(((place, _), _), _)| *place == index)
        else {
            text.extend_from_slice(line);
            continue;
        };
        let still_bare = record.frames.iter().filter_map(|frame| frame.missing.as_deref());
        for reason in still_bare {
            *summary.bare.entry(reason.to_owned()).or_insert(0) += 1;
        }
        summary.records += 1;
        summary.named += bare.len().saturating_sub(bare_frames(record).len());
        find_culprit(record, culprit.as_ref());
        text.extend_from_slice(&line[..*start]);
        match serde_json::to_writer(&mut text, record) {
            Ok(()) => text.push(b'\n'),
            // It was read from JSON; what it is made of can be written.
            Err(_) => text.extend_from_slice(&line[*start..]),
        }
    }
    (text, summary)
}

/// The record on a line, and where it starts: behind the timestamp of an export, or at once.
fn read(line: &[u8]) -> Option<(usize, Record)> {
    // Most lines of an export are no records, so they are looked at before they are parsed.
    memchr::memmem::find(line, b"\"stackTrace\"")?;
    memchr::memmem::find(line, b"\"frames\"")?;
    let start = memchr::memchr(b'{', line)?;
    let record = serde_json::from_slice(&line[start..]).ok()?;
    Some((start, record))
}

/// The frames that have an address and no name.
fn bare_frames(record: &Record) -> Vec<usize> {
    let entries = record.stack_trace.iter().zip(&record.frames).enumerate();
    entries
        .filter(|(_, (entry, frame))| entry.function.is_none() && frame.address.is_some())
        .map(|(index, _)| index)
        .collect()
}

/// The frame to look at first, before frames become several.
fn culprit(record: &Record) -> Option<(StackEntry, Frame)> {
    let index = record.culprit.as_ref()?.index;
    Some((record.stack_trace.get(index)?.clone(), record.frames.get(index)?.clone()))
}

/// Points to the same frame again, once its name and place are known: the innermost of those that it became.
fn find_culprit(record: &mut Record, before: Option<&(StackEntry, Frame)>) {
    let (Some(culprit), Some((entry, frame))) = (&mut record.culprit, before) else { return };
    let is_it = |(found, place): (&StackEntry, &Frame)| match &frame.address {
        Some(_) => place.address == frame.address && place.module == frame.module,
        None => found == entry,
    };
    let mut frames = record.stack_trace.iter().zip(&record.frames);
    if let Some(index) = frames.rposition(is_it) {
        let entry = &record.stack_trace[index];
        culprit.index = index;
        culprit.file.clone_from(&entry.file);
        culprit.line = entry.line;
        culprit.function.clone_from(&entry.function);
    }
}

impl Summary {
    fn add(&mut self, other: Summary) {
        self.records += other.records;
        self.named += other.named;
        for (reason, count) in other.bare {
            *self.bare.entry(reason).or_insert(0) += count;
        }
    }
}

/// Says what was done, and what stayed bare and why.
fn say(summary: &Summary) {
    anstream::eprintln!("trace-agent: {} records, {} frames named", summary.records, summary.named);
    for (reason, count) in &summary.bare {
        anstream::eprintln!("trace-agent: {count} frames stayed bare: {}", Plain(reason));
    }
}

fn progress_bar(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
