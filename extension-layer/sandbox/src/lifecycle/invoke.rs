//! One invocation.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::init::initialize;
use super::leave::{RuntimeEnd, terminate};
use super::{Environment, FLUSH_WAIT, met_or_fault};
use crate::clock;
use crate::config::LogFormat;
use crate::fault::{Fault, Status};
use crate::invocation::{Current, Invocation, InvokeOutcome, Settled};
use crate::platform::Platform;
use crate::state::{Answer, State};
use crate::telemetry::event::{Event, Phase, ReportMetrics, RuntimeDoneMetrics, Span};

/// One invocation, from an environment that may have to be initialized first to one that is free again.
pub(super) async fn invoke(
    platform: &Arc<Platform>,
    environment: &mut Environment,
    invocation: Invocation,
    client: Option<oneshot::Sender<InvokeOutcome>>,
) {
    let course = Course::begin(platform, invocation);
    let ready = match environment.failed_init.take() {
        Some(fault) => Err(fault),
        None if environment.up => Ok(()),
        None => initialize(platform, environment, Phase::Invoke, course.limit).await,
    };
    platform.logs.platform_event(&course.start_event(platform));
    let answered = match ready {
        Ok(()) => {
            platform.change(|state| state.begin_invocation(course.current.clone()));
            course.wait(platform, answer_or_fault).await
        }
        Err(fault) => Err(fault),
    };
    if let Some(client) = client {
        // The client may have gone.
        let _ = client.send(course.outcome(&answered));
    }

    // The runtime is done when it asks for the next event, whatever it has answered.
    let (answer, mut fault) = match answered {
        Ok(answer) => (Some(answer), course.wait(platform, runtime_done_or_fault).await.err()),
        Err(fault) => (None, Some(fault)),
    };
    environment.drain();
    environment.sample_memory();
    if let Some(fault) = &fault {
        course.log_fault(platform, fault);
    }
    let runtime_duration = course.duration();
    platform.logs.platform_event(&course.runtime_done_event(
        runtime_duration,
        answer.as_ref(),
        fault.as_ref(),
    ));

    let runtime_done = Instant::now();
    if fault.is_none() {
        fault = course.wait(platform, extensions_done_or_fault).await.err();
        environment.drain();
        if let Some(fault) = &fault {
            course.log_fault(platform, fault);
        }
    }
    let held = runtime_done.elapsed();
    let (status, error_type) = verdict(answer.as_ref(), fault.as_ref());
    let settled = Settled {
        request_id: course.current.request_id.clone(),
        status,
        error_type,
        runtime_duration,
        post_runtime_extensions_duration: held,
        memory_peak_mb: environment.memory_peak_mb,
        reset: fault.is_some(),
    };
    platform.logs.platform_event(&course.report_event(platform, environment, &settled));
    match fault {
        Some(fault) if environment.up => {
            terminate(platform, environment, fault.shutdown_reason(), RuntimeEnd::Kill).await;
        }
        // Of an environment that did not come up, nothing is left to reset.
        _ => {
            platform.change(State::end_invocation);
            platform.logs.relay.flush(FLUSH_WAIT).await;
        }
    }
    environment.settled = Some(settled);
}

/// An invocation under way, and the words for it.
struct Course {
    current: Arc<Current>,
    began: Instant,
    began_at: SystemTime,
    /// The function's timeout.
    limit: Duration,
}

impl Course {
    fn begin(platform: &Platform, invocation: Invocation) -> Self {
        let limit = platform.config.timeout;
        let (began, began_at) = (Instant::now(), SystemTime::now());
        let current = Current {
            request_id: invocation.request_id.unwrap_or_else(clock::uuid),
            invocation_id: clock::uuid(),
            deadline: began_at + limit,
            function_arn: platform.config.function_arn(),
            payload: if invocation.payload.is_empty() {
                Bytes::from_static(b"{}")
            } else {
                invocation.payload
            },
            trace_id: invocation.trace_id,
            client_context: invocation.client_context,
            cognito_identity: invocation.cognito_identity,
        };
        Self { current: Arc::new(current), began, began_at, limit }
    }

    /// Waits for one of its steps, within its time.
    async fn wait<T>(
        &self,
        platform: &Platform,
        step: impl FnMut(&mut State) -> Option<Result<T, Fault>>,
    ) -> Result<T, Fault> {
        platform.wait_until(self.began + self.limit, step).await.unwrap_or(Err(Fault::Timeout(self.limit)))
    }

    /// Time that it has taken so far, of the time that it may take.
    fn duration(&self) -> Duration {
        self.began.elapsed().min(self.limit)
    }

    fn outcome(&self, answered: &Result<Answer, Fault>) -> InvokeOutcome {
        let request_id = self.current.request_id.clone();
        let (payload, (status, error_type)) = match answered {
            Ok(answer) => (answer.payload.clone(), verdict(Some(answer), None)),
            Err(fault) => (fault.payload(&request_id), verdict(None, Some(fault))),
        };
        InvokeOutcome {
            request_id,
            status_code: 200,
            function_error: (status != Status::Success).then(|| "Unhandled".to_owned()),
            payload,
            status,
            error_type,
            duration: self.began.elapsed(),
        }
    }

    fn start_event(&self, platform: &Platform) -> Event {
        Event::Start {
            request_id: self.current.request_id.clone(),
            version: platform.config.function_version.clone(),
            tracing: self.current.tracing(),
        }
    }

    fn runtime_done_event(
        &self,
        duration: Duration,
        answer: Option<&Answer>,
        fault: Option<&Fault>,
    ) -> Event {
        let (status, error_type) = verdict(answer, fault);
        let metrics = RuntimeDoneMetrics {
            duration_ms: clock::metric_ms(duration),
            produced_bytes: answer.map_or(0, |answer| answer.payload.len()),
        };
        Event::RuntimeDone {
            request_id: self.current.request_id.clone(),
            status,
            error_type,
            metrics,
            spans: answer.map(|answer| self.runtime_spans(answer)).unwrap_or_default(),
            tracing: self.current.tracing(),
        }
    }

    fn runtime_spans(&self, answer: &Answer) -> Vec<Span> {
        let span = |name, from: Instant, to: Instant| Span {
            name,
            start: clock::iso8601(self.began_at + from.duration_since(self.began)),
            duration_ms: clock::metric_ms(to.duration_since(from)),
        };
        vec![
            span("responseLatency", self.began, answer.began),
            span("responseDuration", answer.began, answer.ended),
            span("runtimeOverhead", answer.ended, Instant::now()),
        ]
    }

    fn report_event(&self, platform: &Platform, environment: &mut Environment, settled: &Settled) -> Event {
        let duration = self.duration();
        let held = settled.post_runtime_extensions_duration;
        let overhead = Span {
            name: "extensionOverhead",
            start: clock::iso8601(self.began_at + settled.runtime_duration),
            duration_ms: clock::metric_ms(held),
        };
        Event::Report {
            request_id: settled.request_id.clone(),
            status: settled.status,
            error_type: settled.error_type.clone(),
            metrics: ReportMetrics {
                duration_ms: clock::metric_ms(duration),
                billed_duration_ms: duration.as_micros().div_ceil(1000) as u64,
                memory_size_mb: platform.config.memory_mb,
                max_memory_used_mb: settled.memory_peak_mb,
                init_duration_ms: environment.init_duration.take().map(clock::metric_ms),
            },
            spans: if environment.extensions.is_empty() { Vec::new() } else { vec![overhead] },
            tracing: self.current.tracing(),
        }
    }

    /// What the cloud writes into a log of format Text when an invocation ends without an answer.
    fn log_fault(&self, platform: &Platform, fault: &Fault) {
        if platform.config.log_format == LogFormat::Json {
            return;
        }
        let (logs, request_id, message) = (&platform.logs, &self.current.request_id, fault.message());
        match fault {
            Fault::RuntimeInit { .. } => {}
            Fault::Timeout(_) => {
                logs.platform_text(format!("{} {request_id} {message}", clock::iso8601(SystemTime::now())));
            }
            _ => {
                logs.platform_text(format!("RequestId: {request_id} Error: {message}"));
                logs.platform_text(fault.error_type().to_owned());
            }
        }
    }
}

/// What the platform says of an invocation: a fault outweighs what the runtime answered.
fn verdict(answer: Option<&Answer>, fault: Option<&Fault>) -> (Status, Option<String>) {
    match (fault, answer.and_then(|answer| answer.error_type.as_ref())) {
        (Some(fault), _) => (fault.status(), Some(fault.error_type().to_owned())),
        (None, Some(error_type)) => (Status::Error, Some(error_type.clone())),
        (None, None) => (Status::Success, None),
    }
}

fn extensions_done_or_fault(state: &mut State) -> Option<Result<(), Fault>> {
    met_or_fault(state, State::extensions_done)
}

/// The end of an extension fails the invocation even if the runtime has answered; the end of the runtime only if
/// it has not.
fn answer_or_fault(state: &mut State) -> Option<Result<Answer, Fault>> {
    match (state.fault(), state.answer()) {
        (Some(fault), _) if fault.status() == Status::Failure => Some(Err(fault)),
        (_, Some(answer)) => Some(Ok(answer)),
        (Some(fault), None) => Some(Err(fault)),
        (None, None) => None,
    }
}

/// A runtime that waits is done, whatever happened to the extensions meanwhile.
fn runtime_done_or_fault(state: &mut State) -> Option<Result<(), Fault>> {
    if state.runtime_waits() { Some(Ok(())) } else { state.fault().map(Err) }
}
