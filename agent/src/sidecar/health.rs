//! How the agent itself is, as a line of metrics now and then.
//!
//! The line stands alone, without a host among its dimensions: where hosts come and go, each would be a metric to pay for. Its name
//! is a member, so a query can ask for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use trace_record::batch::Event;
use trace_record::metrics::NAMESPACE;
use trace_record::metrics::emf::{self, Metric, Unit, VALUES_MAX};

use super::account::Summary;
use crate::ship::Counts;

/// What was told last, and what is to be told next.
pub(super) struct Health {
    /// How often it is told; never without it.
    every: Option<Duration>,
    host: String,
    next: Option<Instant>,
    told: Told,
    /// How long batches took since then, in milliseconds.
    latencies: Vec<f64>,
}

/// Counts that only grow.
#[derive(Clone, Copy, Default)]
struct Told {
    shipped: u64,
    retries: u64,
    rejected: u64,
    dropped: u64,
}

impl Health {
    pub(super) fn new(every: Option<Duration>, host: String) -> Self {
        let next = every.map(|every| Instant::now() + every);
        Self { every, host, next, told: Told::default(), latencies: Vec::new() }
    }

    /// When the next line is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_due(&self) -> bool {
        self.next.is_some_and(|next| next <= Instant::now())
    }

    /// Leaves a line out; what it would have told is in the next one.
    pub(super) fn postpone(&mut self) {
        self.next = self.every.map(|every| Instant::now() + every);
    }

    /// Notes how long it took from the first event of a batch to its acknowledgement. Beyond what one line can hold, the
    /// longest stay.
    pub(super) fn note(&mut self, latency: Duration) {
        let latency_ms = (latency.as_secs_f64() * 1_000.0).round();
        if self.every.is_none() {
            return;
        }
        if self.latencies.len() < VALUES_MAX {
            self.latencies.push(latency_ms);
        } else if let Some(shortest) = self.latencies.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *shortest = shortest.max(latency_ms);
        }
    }

    /// The line, if it is due.
    pub(super) fn tell(
        &mut self,
        summary: &Summary,
        counts: &Counts,
        spool_bytes: u64,
        now_ms: i64,
    ) -> Option<Event> {
        if !self.is_due() {
            return None;
        }
        self.postpone();
        let now = Told {
            shipped: summary.stored + summary.repeated,
            retries: counts.retries.load(Ordering::Relaxed),
            rejected: summary.refused,
            dropped: summary.dropped + summary.evicted,
        };
        let before = std::mem::replace(&mut self.told, now);
        let count =
            |name: &str, now: u64, before: u64| metric(name, Unit::Count, vec![(now - before) as f64]);
        let metrics = [
            count("RecordsShipped", now.shipped, before.shipped),
            count("Retries", now.retries, before.retries),
            count("Rejected", now.rejected, before.rejected),
            count("Dropped", now.dropped, before.dropped),
            metric("SpoolBytes", Unit::Bytes, vec![spool_bytes as f64]),
            metric("Rss", Unit::Bytes, rss_bytes().into_iter().collect()),
            metric("ShipLatency", Unit::Milliseconds, std::mem::take(&mut self.latencies)),
        ];
        // Few metrics with few values: one line.
        let mut line = emf::lines(NAMESPACE, now_ms, &[], &metrics).lines.into_iter().next()?;
        line.insert("host".to_owned(), self.host.clone().into());
        Some(Event { timestamp_ms: now_ms, message: serde_json::Value::Object(line).to_string() })
    }
}

fn metric(name: &str, unit: Unit, values: Vec<f64>) -> Metric {
    Metric { name: name.to_owned(), unit, values }
}

/// The memory of this process that lies in RAM, in bytes.
fn rss_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[tokio::test(start_paused = true)]
    async fn a_line_tells_what_happened_since_the_last_one() {
        let minute = Duration::from_secs(60);
        let mut health = Health::new(Some(minute), "web-1".to_owned());
        let counts = Counts::default();
        let mut summary = Summary { stored: 3, repeated: 4, ..Summary::default() };
        assert!(health.tell(&summary, &counts, 0, 0).is_none());
        (0..150_u64).for_each(|ms| health.note(Duration::from_millis(ms)));
        tokio::time::advance(minute).await;
        let mut told = || -> Value {
            serde_json::from_str(&health.tell(&summary, &counts, 9, 7).unwrap().message).unwrap()
        };
        let first = told();
        assert_eq!(
            (&first["RecordsShipped"], &first["SpoolBytes"], &first["host"]),
            (&7.into(), &9.into(), &"web-1".into())
        );
        assert!(first["Rss"].as_u64().unwrap() > 1_000_000);
        let latencies = first["ShipLatency"].as_array().unwrap();
        assert_eq!((latencies.len(), latencies.iter().filter_map(Value::as_u64).min()), (100, Some(50)));
        summary.stored = 5;
        tokio::time::advance(minute).await;
        let line = health.tell(&summary, &counts, 0, 0).unwrap();
        let second: Value = serde_json::from_str(&line.message).unwrap();
        assert_eq!((&second["RecordsShipped"], second.get("ShipLatency")), (&2.into(), None));
        assert!(Health::new(None, String::new()).due().is_none());
    }
}
