//! The listener of the Telemetry API: takes every batch, answers, and looks at it afterwards.
//!
//! Lambda sends a batch again, after a pause, until it gets an answer of 2xx; one that we cannot understand would come for
//! ever. So the answer is given before anything is done with the body, whatever it is.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::api::pause;
use crate::bare::Source;
use crate::config::Listen;
use crate::error::{Error, Result};
use crate::http::{Reader, RequestHead, linger, read_body, respond};
use crate::link::{Failure, Message, Worker};
use crate::say::{guarded, spawn};
use crate::scan::{self, Scan};
use crate::turn::Turn;

/// Tried first. A random port loses the batches that Lambda sends again when a sandbox restarts
/// (newrelic-lambda-extension#71).
const PORT: u16 = 4243;

/// The name that Lambda posts to. Its address is one that nothing outside the sandbox reaches.
const HOST: &str = "sandbox.localdomain";

/// How long the resolver may take for it: part of every cold start where the hosts file does not have it.
const RESOLVE_WAIT: Duration = Duration::from_millis(200);

/// Bytes of the hosts file that are read.
const HOSTS_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of the largest batch: Lambda may send about twice the `maxBytes` of 256 KiB that we ask for, and 2.5 MiB at its
/// own largest, plus metadata. When it is longer, it is refused and counted.
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Connections at once. Lambda uses one. One more is closed and counted.
const CONNECTIONS_MAX: usize = 8;

/// Opens the listener.
pub(crate) fn listen(at: Listen) -> io::Result<TcpListener> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = match at {
        Listen::Everywhere => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Listen::Hosts => hosts_address(),
        Listen::HostsOrResolver => hosts_address().or_else(resolved_address),
    };
    let bind =
        |address: IpAddr| TcpListener::bind((address, PORT)).or_else(|_| TcpListener::bind((address, 0)));
    // A name that belongs to somebody else's address is no reason to go without.
    bind(address.unwrap_or(loopback)).or_else(|_| bind(loopback))
}

fn hosts_address() -> Option<IpAddr> {
    let mut hosts = String::new();
    // A file that is not UTF-8 has no address for us.
    File::open("/etc/hosts").ok()?.take(HOSTS_BYTES_MAX).read_to_string(&mut hosts).ok()?;
    address_in(&hosts)
}

fn resolved_address() -> Option<IpAddr> {
    let (send, receive) = mpsc::channel();
    let resolve = move || {
        let address = (HOST, 0).to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        // Nobody listens any more if it took too long.
        let _ = send.send(address.map(|address| address.ip()));
    };
    spawn("resolver", resolve).ok()?;
    receive.recv_timeout(RESOLVE_WAIT).ok().flatten()
}

fn address_in(hosts: &str) -> Option<IpAddr> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|name| name == HOST).then_some(address)
    })
}

/// The listener's work.
pub(crate) struct Telemetry {
    worker: Arc<Worker>,
    turn: Arc<Turn>,
    scan: Scan,
    connections: AtomicUsize,
}

impl Telemetry {
    /// Starts to accept on `listener`.
    pub(crate) fn start(listener: TcpListener, worker: Arc<Worker>, turn: Arc<Turn>) -> io::Result<()> {
        let telemetry = Telemetry { worker, turn, scan: Scan::new(), connections: AtomicUsize::new(0) };
        spawn("telemetry", move || Arc::new(telemetry).accept(&listener))
    }

    fn accept(self: Arc<Telemetry>, listener: &TcpListener) {
        let mut failures = 0;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    failures = 0;
                    let telemetry = Arc::clone(&self);
                    let number = self.connections.fetch_add(1, Ordering::Relaxed);
                    let serve = move || {
                        guarded(|| telemetry.serve(stream));
                        telemetry.connections.fetch_sub(1, Ordering::Relaxed);
                    };
                    if number >= CONNECTIONS_MAX || spawn("telemetry", serve).is_err() {
                        self.connections.fetch_sub(1, Ordering::Relaxed);
                        self.worker.lost("connections of the Telemetry API that were too many");
                    }
                }
                Err(_) => {
                    // Out of descriptors, most likely: somebody may close one.
                    thread::sleep(pause(failures));
                    failures += 1;
                }
            }
        }
    }

    /// Serves one connection to its end. How it ends is the sender's affair: it sends again.
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut reader = Reader::new(stream);
        while let Ok(true) = self.serve_one(&mut reader) {}
    }

    /// False if the connection is over.
    fn serve_one(&self, reader: &mut Reader<TcpStream>) -> Result<bool> {
        let Some(head) = reader.head()? else { return Ok(false) };
        let head = RequestHead::parse(head)?;
        let keeps_alive = head.keeps_alive();
        if head.fields.has_token("expect", "100-continue") {
            reader.stream().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(Error::io("answering"))?;
        }
        match read_body(reader, head.framing()?, BATCH_BYTES_MAX) {
            Ok(batch) if head.method == "POST" => {
                respond(reader.stream(), "200 OK", keeps_alive)?;
                self.take(batch);
                Ok(keeps_alive)
            }
            Ok(_) => respond(reader.stream(), "405 Method Not Allowed", keeps_alive).map(|()| keeps_alive),
            Err(Error::TooLong { .. }) => {
                self.worker.lost("batches of telemetry that were too long");
                respond(reader.stream(), "413 Content Too Large", false)?;
                linger(reader.stream());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn take(&self, batch: Vec<u8>) {
        let words = scan::words(&batch);
        // First to the worker, then to whoever waits for the word and asks the worker next.
        if self.scan.may_hold_failure(&batch) {
            if self.scan.says_failure(&batch) {
                self.worker.failed();
            }
            let failure = Failure::new(Source::Telemetry, self.turn.request_id(), &batch);
            self.worker.report(&Message::Telemetry(batch), Some(failure));
        } else {
            self.worker.heard(batch);
        }
        self.turn.heard(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandboxs_address_is_found_in_a_hosts_file() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.1 sandbox.localdomain\n169.254.100.1\tsandbox sandbox.localdomain # x\n";
        assert_eq!(address_in(hosts), Some(IpAddr::from([169, 254, 100, 1])));
        assert_eq!(address_in("127.0.0.1 localhost sandbox\nnonsense sandbox.localdomain\n"), None);
    }
}
