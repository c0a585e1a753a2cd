//! A Lambda that a test plays, and the extension before it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::peer::{PATIENCE, Peer};
use crate::harness::{Outcome, Stop, extension, holds};

/// Descriptors of the extension. Lambda allows 1,024, Managed Instances 4,096 (AWS documentation, "Lambda quotas").
pub(super) const FILES: u32 = 4096;

/// How long a SHUTDOWN may take: what Lambda gives to an external extension.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Where a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Directly,
    Proxied,
}

/// The extension with its proxy, and Lambda's port.
pub(super) struct Stand {
    /// None while Lambda is away.
    listener: Option<TcpListener>,
    lambda: SocketAddr,
    proxy: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
    /// Where the extension waits for its next event.
    events: Peer,
    /// Descriptors of the extension while nobody is connected.
    files: usize,
    /// Connections to Lambda that [`Stand::is_well`] found before its own.
    parked: Mutex<Vec<TcpStream>>,
}

impl Stand {
    /// Starts the extension, and waits until it asks for the first event.
    pub(super) fn start() -> Result<Self, Stop> {
        Self::start_with(FILES)
    }

    /// With so many descriptors for the extension.
    pub(super) fn start_with(files: u32) -> Result<Self, Stop> {
        // Between our look and its start another process may take the port.
        let mut tries = 0;
        loop {
            let stand = Self::try_start(files)?;
            tries += 1;
            if !stand.log().contains("no proxy on") {
                return Ok(stand);
            }
            holds(tries < 5, stand.log())?;
        }
    }

    fn try_start(files: u32) -> Result<Self, Stop> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let lambda = listener.local_addr()?;
        let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = File::create(folder.path().join("log"))?;
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {files} && exec \"$0\""), extension()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_LAMBDA_RUNTIME_API", lambda.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "checkout")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("TRACE_AGENT_SINK", "stdout")
            .env("TRACE_AGENT_SOCKET", folder.path().join("agent/capture.sock"))
            .env("TRACE_AGENT_PROXY_LISTEN", proxy.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let events = register(&listener).inspect_err(|_| {
            // It is dead already, or of no more use.
            let _ = child.kill();
        })?;
        let mut stand = Self {
            listener: Some(listener),
            lambda,
            proxy,
            child,
            folder,
            events,
            files: 0,
            parked: Mutex::default(),
        };
        stand.files = stand.open_files()?;
        Ok(stand)
    }

    /// Posts one error, so that the worker that it starts is no news later.
    pub(super) fn with_worker(mut self) -> Result<Self, Stop> {
        let body = br#"{"errorMessage":"first","errorType":"E"}"#;
        let mut client = self.connect(Way::Proxied)?;
        client.send(format!("POST /2018-06-01/runtime/invocation/first/error HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(body);
        let mut lambda = self.accept(PATIENCE)?;
        lambda.request().ok_or("no error came")?;
        lambda.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        client.answer("POST").ok_or("no answer came")?;
        drop((client, lambda));
        let until = Instant::now() + 5 * PATIENCE;
        while !self.log().contains(r#""errorMessage":"first""#) {
            holds(Instant::now() < until, format!("no record came\n{}", self.log()))?;
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(20));
        self.files = self.open_files()?;
        Ok(self)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the extension said.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(super) fn connect(&self, way: Way) -> Result<Peer, Stop> {
        Ok(Peer::connect(self.address(way))?)
    }

    pub(super) fn address(&self, way: Way) -> SocketAddr {
        match way {
            Way::Directly => self.lambda,
            Way::Proxied => self.proxy,
        }
    }

    /// The next connection to Lambda, if one comes within `time`.
    pub(super) fn try_accept(&self, time: Duration) -> Result<Option<TcpStream>, Stop> {
        let listener = self.listener.as_ref().ok_or("Lambda is away")?;
        accept(listener, time)
    }

    /// The next connection to Lambda.
    pub(super) fn accept(&self, time: Duration) -> Result<Peer, Stop> {
        let stream =
            self.try_accept(time)?.ok_or_else(|| format!("nobody connected to Lambda within {time:?}"))?;
        Ok(Peer::new(stream)?)
    }

    /// Lambda's port is closed, or open again.
    pub(super) fn go_away(&mut self) {
        self.listener = None;
    }

    pub(super) fn come_back(&mut self) -> Outcome {
        let listener = TcpListener::bind(self.lambda)?;
        listener.set_nonblocking(true)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Sends a request through the proxy and answers it: it lives, and mixes nothing up. Others may have connected to Lambda before.
    pub(super) fn is_well(&self) -> Outcome {
        const REQUEST: &[u8] = b"GET /2018-06-01/runtime/well HTTP/1.1\r\n";
        let mut client = self.connect(Way::Proxied)?;
        client.send([REQUEST, b"Host: x\r\n\r\n"].concat());
        let until = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        let mut lambda = loop {
            if let Some(stream) = self.try_accept(Duration::from_micros(200))? {
                stream.set_nonblocking(true)?;
                others.push(stream);
            }
            let is_ours = |stream: &TcpStream| {
                let mut begin = [0; REQUEST.len()];
                stream.peek(&mut begin).is_ok_and(|read| read == REQUEST.len() && begin == REQUEST)
            };
            if let Some(at) = others.iter().position(is_ours) {
                break Peer::new(others.remove(at))?;
            }
            holds(Instant::now() < until, "the next exchange does not reach Lambda")?;
        };
        self.parked.lock().unwrap().append(&mut others);
        lambda.request().ok_or("half of the next exchange reaches Lambda")?;
        lambda.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
        let answer = client.answer("GET").ok_or("the next exchange is not answered")?;
        holds(answer.ends_with(b"\r\n\r\nwell"), super::wire::shown(&answer))
    }

    /// True if the extension has no descriptor more than while nobody was connected.
    pub(super) fn is_quiet(&self) -> Result<bool, Stop> {
        Ok(self.open_files()? <= self.files)
    }

    /// Waits until it has none more.
    pub(super) fn wait_quiet(&self) -> Outcome {
        self.parked.lock().unwrap().clear();
        let until = Instant::now() + PATIENCE;
        while !self.is_quiet()? {
            let open = self.open_files()?;
            holds(
                Instant::now() < until,
                format!("{open} descriptors are open, and {} were at first", self.files),
            )?;
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn open_files(&self) -> Result<usize, Stop> {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.pid())).map_err(|_| self.gone())?;
        Ok(folder.count())
    }

    /// A number of `/proc/PID/status`.
    pub(super) fn status(&self, name: &str) -> Result<usize, Stop> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).map_err(|_| self.gone())?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_ascii_whitespace().next());
        Ok(number.ok_or_else(|| self.gone())?.parse()?)
    }

    /// Forgets the most memory that it had.
    pub(super) fn reset_peak(&self) -> Outcome {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.pid()), "5")?)
    }

    /// The CPU time that it took so far, all its threads together.
    pub(super) fn cpu(&self) -> Result<Duration, Stop> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid())).map_err(|_| self.gone())? {
            // A thread may have ended since.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            nanoseconds += text.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn gone(&self) -> Stop {
        Stop::Fail(format!("the extension is gone\n{}", self.log()))
    }

    /// Ends the extension as Lambda does. It must have stayed well until then.
    pub(super) fn finish(mut self) -> Outcome {
        self.is_well()?;
        self.shut_down()
    }

    /// The same, whatever is open.
    pub(super) fn shut_down(&mut self) -> Outcome {
        let deadline = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + SHUTDOWN;
        let event = format!(
            r#"{{"eventType":"SHUTDOWN","shutdownReason":"spindown","deadlineMs":{}}}"#,
            deadline.as_millis()
        );
        self.events.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{event}", event.len()));
        let until = Instant::now() + SHUTDOWN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let log = self.log();
                return holds(status.success() && !log.contains("panicked"), format!("{status}\n{log}"));
            }
            holds(Instant::now() < until, format!("it did not end within {SHUTDOWN:?}\n{}", self.log()))?;
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // It ended, or its test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn accept(listener: &TcpListener, time: Duration) -> Result<Option<TcpStream>, Stop> {
    let time = Timespec::try_from(time)?;
    // An interrupted wait is a short one.
    let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&time));
    match listener.accept() {
        Ok((stream, _)) => Ok(Some(stream)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Answers the extension until it asks for the first event. It uses one connection for all.
fn register(listener: &TcpListener) -> Result<Peer, Stop> {
    let stream = accept(listener, 5 * PATIENCE)?.ok_or("the extension does not register")?;
    let mut peer = Peer::new(stream)?;
    loop {
        let request = peer.request().ok_or("the extension left")?;
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let answer = match line {
            b"POST /2020-01-01/extension/register HTTP/1.1" => {
                let body =
                    r#"{"functionName":"checkout","functionVersion":"$LATEST","handler":"app.handler"}"#;
                format!(
                    "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 8476a536\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            b"PUT /2022-07-01/telemetry HTTP/1.1" => {
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\"OK\"".to_owned()
            }
            b"GET /2020-01-01/extension/event/next HTTP/1.1" => return Ok(peer),
            _ => return Err(format!("the extension asks for {}", line.escape_ascii()).into()),
        };
        peer.send(answer);
    }
}
