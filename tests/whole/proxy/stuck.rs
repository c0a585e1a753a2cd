//! Who does not read stops the other side, and what becomes of what is under way then.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use super::peer::{End, Peer};
use super::recorded::{NEXT, filler};
use super::stand::{Stand, Way};
use super::streams::{Pair, WAYS, idles};
use crate::harness::{Outcome, Stop, equal, holds};

/// Sends without waiting until nothing is taken for a while: how much was.
fn flood(peer: &Peer, most: usize) -> Result<usize, Stop> {
    let bytes = filler(64 * 1024);
    let mut sent = 0;
    peer.stream().set_nonblocking(true)?;
    let mut taken = Instant::now();
    while sent < most && taken.elapsed() < Duration::from_millis(200) {
        match peer.stream().write(&bytes[..bytes.len().min(most - sent)]) {
            Ok(length) => (sent, taken) = (sent + length, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error.into()),
        }
    }
    peer.stream().set_nonblocking(false)?;
    Ok(sent)
}

const FLOOD: usize = 64 * 1024 * 1024;

/// A reset is one for the runtime too, also if the proxy learns of it by writing.
pub(super) fn reset_on_the_way() -> Outcome {
    let stand = Stand::start()?;
    for way in WAYS {
        let mut pair = Pair::open(&stand, way)?;
        pair.client.send(format!("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: {FLOOD}\r\n\r\n"));
        pair.lambda()?;
        holds(flood(&pair.client, FLOOD)? < FLOOD, format!("{way:?}: nothing is stuck"))?;
        pair.lambda()?.reset();
        equal(pair.client_ends("for a Lambda that resets")?, End::Reset, &format!("{way:?}: the end"))?;
    }
    stand.wait_quiet()?;
    stand.finish()
}

/// The most that the extension's memory may grow by one connection that is stuck, in KiB.
const STUCK_KIB_MAX: usize = 256;

/// Who does not read is waited for: the other side is stopped, and the proxy keeps next to nothing.
pub(super) fn unread() -> Outcome {
    let stand = Stand::start()?;
    stand.is_well()?;
    for is_upward in [true, false] {
        for is_tunnel in [false, true] {
            let mut pair = Pair::open(&stand, Way::Proxied)?;
            let framing = if is_tunnel {
                "Content-Length: none".to_owned()
            } else {
                format!("Content-Length: {FLOOD}")
            };
            stand.reset_peak()?;
            let before = stand.status("VmHWM")?;
            let sent = if is_upward {
                pair.up(format!("POST /x HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n"), "a head")?;
                flood(&pair.client, FLOOD)?
            } else {
                pair.up(NEXT, "a request")?;
                pair.down(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"), "a head")?;
                flood(pair.lambda()?, FLOOD)?
            };
            let grown = stand.status("VmHWM")?.saturating_sub(before);
            let what = format!("upward: {is_upward}, tunnel: {is_tunnel}");
            holds(sent < FLOOD, format!("{what}: all was taken from a sender whose receiver does not read"))?;
            holds(grown <= STUCK_KIB_MAX, format!("{what}: {grown} KiB for a receiver that does not read"))?;
            idles(&stand, &format!("{what}: a receiver that does not read"))?;
            stand.is_well()?;
            let before = if is_upward { pair.lambda()?.got().len() } else { pair.client.got().len() };
            let receiver = if is_upward { pair.lambda()? } else { &mut pair.client };
            holds(receiver.exactly(before + sent), format!("{what}: not all of it comes"))?;
        }
    }
    stand.wait_quiet()?;
    stand.finish()
}
