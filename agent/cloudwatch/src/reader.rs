//! One page, one FilterLogEvents.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;
use trace_agent_core::read::{Page, Query, Reader, Reading, Stored};
use trace_agent_core::sink::Error;
use trace_record::retry::Fault;

use crate::clock::ServiceClock;
use crate::environment::{ConnectError, Environment};
use crate::fault::Failure;

/// Reads from CloudWatch Logs.
#[derive(Debug)]
pub struct CloudWatchReader {
    client: Client,
}

impl CloudWatchReader {
    /// Reads region, endpoint, certificates and where credentials are to come from.
    ///
    /// # Errors
    ///
    /// If nothing says which region to use, or what is to be trusted cannot be read.
    pub async fn connect(environment: Environment) -> Result<Self, ConnectError> {
        Ok(Self { client: Client::new(&environment.load(ServiceClock::default()).await?) })
    }

    async fn try_once(&self, query: &Query, next: Option<&str>) -> Result<Page, Error> {
        let streams = (!query.streams.is_empty()).then(|| query.streams.clone());
        let answer = self
            .client
            .filter_log_events()
            .log_group_name(&query.group)
            .set_log_stream_names(streams)
            .set_log_stream_name_prefix(query.stream_prefix.clone())
            .set_start_time(query.start_ms)
            .set_end_time(query.end_ms)
            .set_filter_pattern(query.pattern.clone())
            .set_next_token(next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| self.failure(query, &error))?;
        let events = answer.events.unwrap_or_default().into_iter().filter_map(|event| {
            Some(Stored { id: event.event_id?, timestamp_ms: event.timestamp?, message: event.message? })
        });
        Ok(Page { events: events.collect(), next: answer.next_token })
    }

    fn failure(&self, query: &Query, error: &SdkError<FilterLogEventsError>) -> Error {
        let sink = "cloudwatch".to_owned();
        // A sink would create it; here, asking again is of no use.
        if error.code() == Some("ResourceNotFoundException") {
            let region = self.client.config().region().map_or("this region", |region| region.as_ref());
            let message = format!("there is no log group {} with such a stream in {region}", query.group);
            return Error { fault: Fault::Denied, sink, message };
        }
        let failure = Failure::of("FilterLogEvents", &format!("log group {}", query.group), error);
        Error { fault: failure.fault, sink, message: failure.message }
    }
}

impl Reader for CloudWatchReader {
    fn page<'a>(&'a self, query: &'a Query, next: Option<&'a str>) -> Reading<'a> {
        Box::pin(self.try_once(query, next))
    }
}
