//! Panics of real processes: what the agent receives of them, judged by binutils and by the kernel.
//!
//! The test program is also the program that fails: `panic --child NAME` runs one of `child`, and
//! `panic --child NAME --bare` runs it without the hook.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::str;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use trace_capture::wire::{
    DATAGRAM_BYTES_MAX, FRAMES_MAX, Flags, Kind, Module, Report, decode, split_record,
};

mod child;

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    if words.next().as_deref() == Some("--child") {
        child::run(&words.next().expect("the name of a program"), words.next().is_none());
        return ExitCode::SUCCESS;
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let trials: [(&str, fn()); 11] = [
        ("a panic is one datagram that says who, when and where", one_datagram_says_who_when_and_where),
        ("addr2line names the frames of a panic", addr2line_names_the_frames),
        ("modules and build-ids are those that readelf sees", build_ids_are_those_of_readelf),
        ("a panic in a thread has its name and id", a_thread_has_its_name_and_id),
        ("a panic while a panic unwinds is reported too", a_panic_while_unwinding_is_reported),
        ("a payload that is no text is reported as std prints it", an_opaque_payload_is_reported),
        ("a deep stack is cut and says so", a_deep_stack_is_cut),
        ("status and messages are the same without the hook", the_child_behaves_as_without_the_hook),
        ("a full queue stops nobody and its losses are counted", a_full_queue_stops_nobody),
        ("without an agent a panic goes into the file until it is full", without_an_agent_the_file_is_used),
        ("neither a success nor the hook allocates", nothing_allocates),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    trials.into_iter().map(trial).collect()
}

fn one_datagram_says_who_when_and_where() {
    let agent = Agent::listen();
    let child = agent.child("three-calls-deep").spawn().unwrap();
    let process_id = child.id();
    let output = child.wait_with_output().unwrap();

    let datagram = agent.receive();
    let report = decode(&datagram).unwrap();

    assert_eq!(report.kind, Kind::Panic);
    assert_eq!(report.flags, Flags::default());
    assert_eq!((report.process_id, report.thread_id), (process_id, process_id));
    assert_eq!(report.thread_name.as_deref(), Some("main"));
    assert_eq!(report.message, "no price for sku \"X-9\"");
    assert_eq!((report.lost, report.request_id), (0, None));
    // What std printed has the place.
    let location = report.location.unwrap();
    let place = format!("panicked at {}:{}:{}:\n", location.file, location.line, location.column);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains(&place), "{place:?} in {printed:?}");
    // The kernel's clock stamped the socket before and is asked again after.
    let micros = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_micros();
    let bound = micros(fs::metadata(agent.socket_path()).unwrap().modified().unwrap());
    let now = micros(SystemTime::now());
    assert!((bound..=now).contains(&report.time_us.into()), "{bound} {} {now}", report.time_us);

    assert_eq!(agent.receive_queued(), None);
}

fn addr2line_names_the_frames() {
    let agent = Agent::listen();
    agent.child("three-calls-deep").output().unwrap();
    let datagram = agent.receive();
    let report = decode(&datagram).unwrap();

    assert!(report.frames.iter().all(|frame| frame.return_address != 0), "a frame without an address");
    let functions = addr2line(&report);
    let place = |name: &str| functions.iter().position(|function| function.ends_with(name));
    let chain = [place("look_up"), place("unit_price"), place("price_order"), place("main")];
    assert!(chain.iter().all(Option::is_some) && chain.is_sorted(), "{chain:?} in {functions:#?}");
    let own: Vec<_> = functions.iter().filter(|function| function.starts_with("trace_capture::")).collect();
    assert!(own.is_empty(), "frames of the hook itself: {own:?}");
}

fn build_ids_are_those_of_readelf() {
    let agent = Agent::listen();
    agent.child("three-calls-deep").output().unwrap();
    let datagram = agent.receive();
    let report = decode(&datagram).unwrap();

    let program = env::current_exe().unwrap();
    assert!(report.modules.iter().any(|module| path_of(module) == program), "{:?}", report.modules);
    for module in &report.modules {
        let notes = tool(Command::new("readelf").arg("--notes").arg(path_of(module)));
        let expected = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
        let build_id: String = module.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(build_id, expected.unwrap_or_default(), "{}", path_of(module).display());
    }
    let touched: Vec<_> = report.frames.iter().filter_map(|frame| frame.module).map(usize::from).collect();
    assert!((0..report.modules.len()).all(|module| touched.contains(&module)), "a module without a frame");
}

fn a_thread_has_its_name_and_id() {
    let agent = Agent::listen();
    let child = agent.child("in-a-thread").spawn().unwrap();
    let process_id = child.id();
    let output = child.wait_with_output().unwrap();
    let datagram = agent.receive();
    let report = decode(&datagram).unwrap();

    assert_eq!(report.thread_name.as_deref(), Some(child::THREAD_NAME));
    assert_eq!(report.process_id, process_id);
    assert_ne!(report.thread_id, process_id);
    assert!(output.status.success());
}

fn a_panic_while_unwinding_is_reported() {
    let agent = Agent::listen();
    let output = agent.child("while-unwinding").output().unwrap();

    let (first, second) = (agent.receive(), agent.receive());

    assert_eq!(decode(&first).unwrap().message, "first");
    assert_eq!(decode(&second).unwrap().message, "second");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
}

fn an_opaque_payload_is_reported() {
    let agent = Agent::listen();
    let output = agent.child("opaque-payload").output().unwrap();
    let datagram = agent.receive();
    let message = decode(&datagram).unwrap().message;

    assert!(String::from_utf8(output.stderr).unwrap().contains(&*message), "{message}");
}

fn a_deep_stack_is_cut() {
    let agent = Agent::listen();
    agent.child("recursive").output().unwrap();
    let datagram = agent.receive();
    let report = decode(&datagram).unwrap();

    assert_eq!(report.frames.len(), FRAMES_MAX);
    assert_eq!(report.flags, Flags::FRAMES_CUT);
    let functions = addr2line(&report);
    assert!(functions.last().unwrap().ends_with("recurse"), "{functions:#?}");
}

fn the_child_behaves_as_without_the_hook() {
    let agent = Agent::listen();
    for name in ["three-calls-deep", "in-a-thread", "opaque-payload"] {
        for backtrace in ["0", "1"] {
            let hooked = agent.child(name).env("RUST_BACKTRACE", backtrace).output().unwrap();
            let bare = agent.child(name).arg("--bare").env("RUST_BACKTRACE", backtrace).output().unwrap();

            assert_eq!(hooked.status, bare.status, "{name}");
            assert_eq!(without_ids(&hooked.stderr), without_ids(&bare.stderr), "{name}");
            assert!(!bare.stderr.is_empty());
        }
    }
}

fn a_full_queue_stops_nobody() {
    let agent = Agent::listen();
    let mut child = agent.child("with-gaps").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // It got past all its panics while nobody read.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "full\n");

    let queued: Vec<_> = std::iter::from_fn(|| agent.receive_queued()).collect();
    child.stdin.take().unwrap().write_all(b"!").unwrap();
    let last = agent.receive();
    child.wait().unwrap();

    assert!(!queued.is_empty());
    assert!(queued.iter().all(|datagram| decode(datagram).unwrap().lost == 0));
    let last = decode(&last).unwrap();
    assert_eq!(last.message, "no price for sku \"last\"");
    assert_eq!(last.lost + queued.len() as u32, child::PANICS_WITHOUT_READER);
}

fn without_an_agent_the_file_is_used() {
    const FILE_BYTES_MAX: usize = 1024 * 1024;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capture");
    let mut child = child_command("with-gaps", &directory.path().join("nobody"));
    child.env("TRACE_AGENT_CAPTURE_FILE", &path).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = child.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "full\n");

    let full = fs::read(&path).unwrap();
    // Whoever reads it, empties it.
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    child.stdin.take().unwrap().write_all(b"!").unwrap();
    child.wait().unwrap();
    let last = fs::read(&path).unwrap();

    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(full.len() <= FILE_BYTES_MAX);
    let mut records = 0;
    let mut rest = &full[..];
    while let Some(record) = split_record(rest).unwrap() {
        assert_eq!(decode(record.datagram).unwrap().message, "no price for sku \"X-9\"");
        records += 1;
        rest = record.rest;
    }
    assert!(rest.is_empty(), "a record that is not whole");
    assert!(records < child::PANICS_WITHOUT_READER, "the file was never full");
    let last = split_record(&last).unwrap().unwrap();
    assert!(last.rest.is_empty());
    let last = decode(last.datagram).unwrap();
    assert_eq!(last.message, "no price for sku \"last\"");
    assert_eq!(records + last.lost, child::PANICS_WITHOUT_READER);
}

fn nothing_allocates() {
    let agent = Agent::listen();

    // The program sets a hook of its own first, and installs ours then.
    let output = agent.child("allocations").arg("--bare").output().unwrap();

    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0 0\n");
    // The hook was there.
    agent.receive();
}

/// What the agent is to a handler: a bound socket.
struct Agent {
    directory: TempDir,
    socket: UnixDatagram,
}

impl Agent {
    fn listen() -> Agent {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("capture.sock")).unwrap();
        Agent { directory, socket }
    }

    fn socket_path(&self) -> PathBuf {
        self.directory.path().join("capture.sock")
    }

    fn child(&self, name: &str) -> Command {
        child_command(name, &self.socket_path())
    }

    /// The next datagram, which a child has sent or is about to send.
    fn receive(&self) -> Vec<u8> {
        // A bound for a test that would fail; one that passes does not wait for it.
        self.socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        let length = self.socket.recv(&mut datagram).expect("a datagram");
        datagram.truncate(length);
        datagram
    }

    /// The next datagram that is in the queue already.
    fn receive_queued(&self) -> Option<Vec<u8>> {
        self.socket.set_nonblocking(true).unwrap();
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        let received = self.socket.recv(&mut datagram);
        self.socket.set_nonblocking(false).unwrap();
        match received {
            Ok(length) => {
                datagram.truncate(length);
                Some(datagram)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The command that runs a program of `child` with its agent at `socket`.
fn child_command(name: &str, socket: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--child", name]).env("TRACE_AGENT_SOCKET", socket);
    command.env_remove("TRACE_AGENT_CAPTURE_FILE").env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What std printed, without the thread ids, which it puts in parentheses.
fn without_ids(printed: &[u8]) -> String {
    let text = str::from_utf8(printed).unwrap();
    text.split('(').map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit())).collect()
}

/// The function of each frame of the program itself, innermost first, inlined ones included.
fn addr2line(report: &Report<'_>) -> Vec<String> {
    let program = env::current_exe().unwrap();
    let addresses = report.frames.iter().filter_map(|frame| {
        let module = &report.modules[usize::from(frame.module?)];
        // The call is before the address to which it returns.
        (path_of(module) == program).then(|| format!("{:#x}", frame.return_address - module.load_bias - 1))
    });
    let names = tool(Command::new("addr2line").args(["-f", "-i", "-C", "-e"]).arg(&program).args(addresses));
    // Lines alternate between a function and its place.
    names.lines().step_by(2).map(str::to_owned).collect()
}

/// What a tool of binutils prints.
fn tool(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} of binutils: {error}"));
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn path_of(module: &Module<'_>) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(module.path))
}
