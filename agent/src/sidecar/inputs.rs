//! The inputs of the sidecar and their threads.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Sender;
use tokio::task::{JoinHandle, JoinSet};
use trace_capture::wire::DATAGRAM_BYTES_MAX;
use trace_record::Record;
use trace_record::normalize;
use trace_record::normalize::lines::{Block, Detector, LINE_BYTES_MAX};
use tracing::warn;

use super::Plan;
use super::intake::{Intake, Item};
use crate::receive::checkpoint::{Checkpoints, Position};
use crate::receive::follow::{self, Until};
use crate::receive::http::{self, Taken};
use crate::receive::native;
use crate::receive::socket::CaptureSocket;

/// The most files that are followed at a time: each has a thread.
const FILES_MAX: usize = 256;

/// How often globs are looked at for new files.
const DISCOVER: Duration = Duration::from_secs(2);

/// How long standard input must be silent before an open failure in it is taken to be complete.
const IDLE: Duration = Duration::from_secs(1);

/// Lines of standard input that wait to be looked at. Each is at most 1 MiB; when it is full, reading waits.
const LINES_WAITING: usize = 16;

/// How long a file that cannot be read is left alone.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// How often a blocked input looks whether it was stopped.
const STOP_POLL: Duration = Duration::from_millis(100);

/// The running inputs.
pub(super) struct Inputs {
    stopped: Arc<AtomicBool>,
    /// Every input but HTTP: they end when they are told to.
    threads: JoinSet<()>,
    http: Option<JoinHandle<()>>,
}

impl Inputs {
    /// Waits until every input has ended by itself. HTTP never does.
    pub(super) async fn ended(&mut self) {
        while self.threads.join_next().await.is_some() {}
        if let Some(http) = &mut self.http {
            let _ = http.await;
        }
    }

    /// Tells every input to stop, and waits for those that can.
    pub(super) async fn stop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(http) = self.http.take() {
            http.abort();
        }
        while self.threads.join_next().await.is_some() {}
    }
}

/// Starts every input of the plan.
pub(super) async fn start(
    plan: &Plan,
    intake: &Arc<Intake>,
    sender: &Sender<Item>,
    checkpoints: &mut Checkpoints,
) -> anyhow::Result<Inputs> {
    // What can fail comes first: once a thread runs, it must be told to stop.
    let paths = expand(&plan.paths)?;
    if paths.len() > FILES_MAX {
        bail!("{} files match; at most {FILES_MAX} can be followed", paths.len());
    }
    if let Some(other) = paths.iter().find(|path| path.exists() && !path.is_file()) {
        bail!("{} is not a regular file", other.display());
    }
    if let Some(missing) = paths.iter().find(|path| plan.once && !path.exists()) {
        bail!("{} does not exist", missing.display());
    }
    let socket = match &plan.socket {
        Some(path) if !plan.once => match CaptureSocket::bind(path) {
            Ok(socket) => Some(socket),
            Err(error) if plan.socket_required => return Err(error.into()),
            Err(error) => {
                warn!(%error, "native reports are not received");
                None
            }
        },
        _ => None,
    };
    let http = match plan.http {
        Some(address) if !plan.once => {
            Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?)
        }
        _ => None,
    };

    let mut inputs = Inputs { stopped: Arc::default(), threads: JoinSet::new(), http: None };
    let files = Files {
        intake: Arc::clone(intake),
        sender: sender.clone(),
        stopped: Arc::clone(&inputs.stopped),
        until: if plan.once { Until::End } else { Until::Stopped },
    };
    for path in &paths {
        if let (true, None, Ok(end)) = (plan.from_end, checkpoints.position(path), follow::end(path)) {
            // Noted at once: what comes while the agent is away is wanted.
            checkpoints.set(path, end);
        }
        files.follow(&mut inputs.threads, path.clone(), checkpoints.position(path));
    }
    checkpoints.save().context("cannot write the checkpoints")?;
    if !plan.once && plan.paths.iter().any(|path| is_glob(path)) {
        files.discover(&mut inputs.threads, plan.paths.clone(), paths.into_iter().collect());
    }
    if plan.stdin {
        // One that reads to the end can wait, as can whoever pipes into it. Otherwise it is a program's log, which must never stand still.
        let room_bytes = if plan.once { plan.spool.bytes_max / 2 } else { u64::MAX };
        read_stdin(&mut inputs.threads, Arc::clone(intake), Arc::clone(&inputs.stopped), room_bytes);
    }
    if let Some(socket) = socket {
        receive_captures(&mut inputs.threads, socket, Arc::clone(intake), Arc::clone(&inputs.stopped));
    }
    if let Some(listener) = http {
        let intake = Arc::clone(intake);
        inputs.http = Some(tokio::spawn(http::serve(listener, move |body| take_body(&intake, body))));
    }
    Ok(inputs)
}

struct Files {
    intake: Arc<Intake>,
    /// Held by each thread, so that the channel stays open as long as one of them reads.
    sender: Sender<Item>,
    stopped: Arc<AtomicBool>,
    until: Until,
}

impl Files {
    fn follow(&self, threads: &mut JoinSet<()>, path: PathBuf, from: Option<Position>) {
        let file = self.thread(path, from);
        threads.spawn_blocking(file);
    }

    fn thread(&self, path: PathBuf, from: Option<Position>) -> impl FnOnce() + Send + 'static {
        let (intake, sender, stopped, until) =
            (Arc::clone(&self.intake), self.sender.clone(), Arc::clone(&self.stopped), self.until);
        move || {
            let stopped = || stopped.load(Ordering::Relaxed);
            let path: Arc<Path> = path.into();
            let mut from = from;
            let mut said = false;
            loop {
                let followed = follow::follow(&path, from, until, &stopped, &mut |found| {
                    let record = found.block.and_then(|block| block.read());
                    from = Some(found.next);
                    intake.file(&sender, &path, record, found.at, found.next)
                });
                let Err(error) = followed else { break };
                if !std::mem::replace(&mut said, true) {
                    warn!(%error, path = %path.display(), "a file cannot be read");
                }
                if until == Until::End {
                    intake.count_dropped();
                    break;
                }
                if stopped() {
                    break;
                }
                // A rotation sets permissions a moment later than it makes the file.
                std::thread::sleep(READ_AGAIN);
            }
        }
    }

    /// Looks for new files that match, and follows them from their start.
    fn discover(self, threads: &mut JoinSet<()>, patterns: Vec<String>, mut known: HashSet<PathBuf>) {
        threads.spawn_blocking(move || {
            let mut followers = Vec::new();
            let mut waited = Duration::ZERO;
            let mut said = false;
            while !self.stopped.load(Ordering::Relaxed) {
                std::thread::sleep(STOP_POLL);
                waited += STOP_POLL;
                if waited < DISCOVER {
                    continue;
                }
                waited = Duration::ZERO;
                for path in expand(&patterns).unwrap_or_default() {
                    if known.contains(&path) {
                        continue;
                    }
                    if known.len() >= FILES_MAX {
                        if !std::mem::replace(&mut said, true) {
                            warn!(path = %path.display(), "more than {FILES_MAX} files match; this one and others are not read");
                        }
                        break;
                    }
                    known.insert(path.clone());
                    followers.push(std::thread::spawn(self.thread(path, None)));
                }
            }
            followers.into_iter().for_each(|follower| drop(follower.join()));
        });
    }
}

/// The files that the patterns name now. A pattern without wildcards is a file, whether it is there or not.
fn expand(patterns: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for pattern in patterns {
        if !is_glob(pattern) || Path::new(pattern).exists() {
            paths.push(PathBuf::from(pattern));
            continue;
        }
        let matches = glob::glob(pattern).with_context(|| format!("{pattern:?} is not a pattern"))?;
        paths.extend(matches.filter_map(Result::ok).filter(|path| path.is_file()));
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Reads standard input on two threads: one may sit in a read that nothing can end, the other notices when nothing comes.
fn read_stdin(threads: &mut JoinSet<()>, intake: Arc<Intake>, stopped: Arc<AtomicBool>, room_bytes: u64) {
    let (sender, lines) = mpsc::sync_channel(LINES_WAITING);
    // Not one of the runtime's threads: those are waited for.
    std::thread::spawn(move || {
        if let Err(error) = read_lines(&mut BufReader::new(io::stdin().lock()), &sender) {
            warn!(%error, "standard input cannot be read any further");
        }
    });
    threads.spawn_blocking(move || detect(&lines, &intake, &stopped, room_bytes));
}

fn read_lines(input: &mut impl BufRead, lines: &mpsc::SyncSender<Vec<u8>>) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        let count = input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        // Nobody takes lines any more once the agent was stopped.
        if count == 0 || lines.send(line).is_err() {
            return Ok(());
        }
    }
}

fn detect(lines: &mpsc::Receiver<Vec<u8>>, intake: &Intake, stopped: &AtomicBool, room_bytes: u64) {
    let mut detector = Detector::<()>::default();
    let mut idle = Duration::ZERO;
    loop {
        let (closed, ended) = match lines.recv_timeout(STOP_POLL) {
            Ok(line) => {
                idle = Duration::ZERO;
                (detector.line(&String::from_utf8_lossy(&line), ()), false)
            }
            Err(RecvTimeoutError::Timeout) => {
                idle += STOP_POLL;
                let stop = stopped.load(Ordering::Relaxed);
                // What was written last is complete if nothing follows it.
                (if stop || idle >= IDLE { detector.finish() } else { Vec::new() }, stop)
            }
            Err(RecvTimeoutError::Disconnected) => (detector.finish(), true),
        };
        let records = closed.iter().filter_map(Block::read);
        for record in records {
            if !push_blocking(intake, &record, stopped, room_bytes) {
                return;
            }
        }
        if ended {
            return;
        }
    }
}

/// Pushes what can wait: while the spool keeps more than `room_bytes`, or cannot be written, nothing more is read. False if a stop
/// came first.
fn push_blocking(intake: &Intake, record: &Record, stopped: &AtomicBool, room_bytes: u64) -> bool {
    let mut said = false;
    loop {
        let is_stopped = stopped.load(Ordering::Relaxed);
        if intake.spool_bytes() <= room_bytes || is_stopped {
            match intake.push(vec![record.clone()], "stdin") {
                Ok(()) => return true,
                Err(error) if is_stopped => {
                    intake.count_dropped();
                    warn!(%error, "a record is lost");
                    return false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut said, true) {
                        warn!(%error, "standard input waits");
                    }
                }
            }
        }
        std::thread::sleep(STOP_POLL);
    }
}

fn receive_captures(
    threads: &mut JoinSet<()>,
    socket: CaptureSocket,
    intake: Arc<Intake>,
    stopped: Arc<AtomicBool>,
) {
    threads.spawn_blocking(move || {
        if let Err(error) = socket.socket().set_read_timeout(Some(STOP_POLL)) {
            warn!(%error, "native reports are not received");
            return;
        }
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            match socket.socket().recv(&mut buffer) {
                Ok(bytes) => take_datagram(&intake, &buffer[..bytes]),
                // What came before the stop has been read by now.
                Err(_) if stopped.load(Ordering::Relaxed) => return,
                Err(_) => {}
            }
        }
    });
}

fn take_datagram(intake: &Intake, datagram: &[u8]) {
    let pushed = match native::datagram(datagram) {
        Ok(record) => intake.push(vec![record], "capture").map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = pushed
        && intake.count_dropped()
    {
        warn!(error, "a native report is lost; further ones are only counted");
    }
}

fn take_body(intake: &Intake, body: &[u8]) -> Taken {
    let readings = normalize::text(&String::from_utf8_lossy(body));
    let records: Vec<Record> = readings.into_iter().map(|reading| reading.record).collect();
    let count = records.len();
    match intake.push(records, "http") {
        Ok(()) => Taken::Safe(count),
        Err(error) => {
            warn!(%error, "an HTTP body is refused");
            Taken::Full
        }
    }
}
