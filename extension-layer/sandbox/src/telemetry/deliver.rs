//! Posts batches to one subscriber until it is told to stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use super::buffer::{Buffer, Due};
use super::event::Event;
use super::subscription::{Destination, Subscription};

/// Attempts to deliver one batch. The cloud retries too; how often is not documented.
const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt; doubled before each further one.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Time for one attempt. A subscriber has to answer before it works on the batch.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// One subscriber: filled by the relay, emptied by [`Subscriber::run`].
pub(crate) struct Subscriber {
    pub(crate) subscription: Subscription,
    buffer: Mutex<Buffer>,
    wake: Notify,
    /// Count of accepted events that were delivered or given up.
    done: watch::Sender<u64>,
}

impl Subscriber {
    pub(crate) fn new(subscription: Subscription) -> Self {
        let buffer = Mutex::new(Buffer::new(subscription.buffering));
        Self { subscription, buffer, wake: Notify::new(), done: watch::Sender::new(0) }
    }

    /// Takes an event if it is of a type that the subscriber wants.
    pub(crate) fn offer(&self, event: &Event, time: SystemTime, json_logs: bool) {
        if self.subscription.types.contains(&event.category()) {
            let json = event.to_json(time, json_logs && self.subscription.objects);
            self.locked(|buffer| buffer.push(json, Instant::now()));
            self.wake.notify_one();
        }
    }

    /// Sends what waits now without waiting for more; returns when all of it was delivered or given up.
    pub(crate) async fn flush(&self) {
        let mut done = self.done.subscribe();
        let accepted = self.locked(Buffer::hurry);
        self.wake.notify_one();
        // The sender lives as long as `self`.
        let _ = done.wait_for(|done| *done >= accepted).await;
    }

    /// Delivers for ever; dropped with the task that it runs in.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            match self.locked(|buffer| buffer.due(Instant::now())) {
                Due::Now => self.deliver().await,
                Due::Never => self.wake.notified().await,
                Due::At(at) => {
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep_until(at.into()) => {}
                    }
                }
            }
        }
    }

    async fn deliver(&self) {
        let (batch, dropped) = self.locked(|buffer| buffer.take(Instant::now()));
        let mut body = format!("[{}", batch.join(","));
        if dropped.records > 0 {
            let event = Event::LogsDropped {
                reason: "Some logs were dropped because the downstream consumer did not take them",
                dropped_records: dropped.records,
                dropped_bytes: dropped.bytes,
            };
            body.push(',');
            body.push_str(&event.to_json(SystemTime::now(), false));
        }
        body.push(']');
        let body = Bytes::from(body);
        if !self.post(&body).await {
            let bytes: usize = batch.iter().map(String::len).sum();
            self.locked(|buffer| {
                buffer.give_up(batch.len(), bytes);
                buffer.give_up(dropped.records as usize, dropped.bytes as usize);
            });
        }
        self.done.send_modify(|done| *done += batch.len() as u64);
    }

    /// Whether the subscriber took the batch at one of the attempts.
    async fn post(&self, body: &Bytes) -> bool {
        let mut pause = BACK_OFF;
        for attempt in 1..=ATTEMPTS_MAX {
            let sent =
                tokio::time::timeout(ATTEMPT_TIMEOUT, post(&self.subscription.destination, body.clone()));
            if matches!(sent.await, Ok(Ok(status)) if status.is_success()) {
                return true;
            }
            if attempt < ATTEMPTS_MAX {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        false
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Buffer) -> T) -> T {
        act(&mut self.buffer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One POST on a connection of its own: a listener that restarts between two batches loses nothing.
async fn post(
    destination: &Destination,
    body: Bytes,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(destination.address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(&destination.path)
        .header(header::HOST, &destination.host)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    // It ends by itself: when the request is answered or given up, the sender is gone.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.status())
}
