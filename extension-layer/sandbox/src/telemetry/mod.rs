//! The Telemetry API's events, from where they happen to the extensions that subscribed.
//!
//! Only HTTP destinations are served; a TCP destination is refused. The cloud cuts records above about 256 KiB
//! in the middle of their JSON; here the *line* is cut before it becomes a record, so every body is valid JSON.

pub(crate) mod event;
pub(crate) mod subscription;
mod buffer;
mod deliver;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::AbortHandle;

use deliver::Subscriber;
use event::Event;
use subscription::Subscription;

/// Events of an initialization that are kept for extensions that subscribe in the course of it: the largest
/// batch that a subscriber can ask for. Beyond that the oldest stay and later ones are lost to late subscribers.
const REPLAYED_EVENTS_MAX: usize = 10_000;
/// Bytes of printed lines among them, likewise.
const REPLAYED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Hands each event to every subscriber of the present environment.
pub(crate) struct Relay {
    json_logs: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Present while an initialization is under way.
    replayed: Option<Vec<(SystemTime, Event)>>,
    replayed_bytes: usize,
    subscribers: Vec<(Arc<Subscriber>, AbortHandle)>,
}

impl Relay {
    /// `json_logs`: whether the function's log format is JSON.
    pub(crate) fn new(json_logs: bool) -> Self {
        Self { json_logs, inner: Mutex::default() }
    }

    /// An initialization begins: from here on events are kept for replay.
    pub(crate) fn open(&self) {
        let mut inner = self.inner();
        inner.replayed = Some(Vec::new());
        inner.replayed_bytes = 0;
    }

    /// The initialization is over.
    pub(crate) fn settle(&self) {
        self.inner().replayed = None;
    }

    /// The environment is gone, and its subscribers with it.
    pub(crate) fn close(&self) {
        let closed = std::mem::take(&mut *self.inner());
        closed.subscribers.iter().for_each(|(_, task)| task.abort());
    }

    pub(crate) fn publish(&self, time: SystemTime, event: &Event) {
        let mut inner = self.inner();
        for (subscriber, _) in &inner.subscribers {
            subscriber.offer(event, time, self.json_logs);
        }
        let inner = &mut *inner;
        if let Some(replayed) = &mut inner.replayed
            && replayed.len() < REPLAYED_EVENTS_MAX
            && inner.replayed_bytes + event.line_bytes() <= REPLAYED_BYTES_MAX
        {
            inner.replayed_bytes += event.line_bytes();
            replayed.push((time, event.clone()));
        }
    }

    pub(crate) fn subscribe(&self, subscription: Subscription) {
        let subscriber = Arc::new(Subscriber::new(subscription));
        let mut inner = self.inner();
        for (time, event) in inner.replayed.iter().flatten() {
            subscriber.offer(event, *time, self.json_logs);
        }
        let task = tokio::spawn(subscriber.clone().run()).abort_handle();
        inner.subscribers.push((subscriber, task));
    }

    /// Sends everything that waits, and returns when it was delivered or given up, or after `limit`.
    pub(crate) async fn flush(&self, limit: Duration) {
        let subscribers: Vec<_> =
            self.inner().subscribers.iter().map(|(subscriber, _)| subscriber.clone()).collect();
        let all = async {
            for subscriber in &subscribers {
                subscriber.flush().await;
            }
        };
        // What is not taken within the limit stays in the buffer and goes on being sent.
        let _ = tokio::time::timeout(limit, all).await;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}
