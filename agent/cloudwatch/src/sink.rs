//! One batch, one PutLogEvents.
//!
//! A log group or stream that is missing is created when, and only when, the service says so. Nothing about them is
//! remembered: the answer to each request is the only truth, so a stream that somebody deletes under the sink comes
//! back with the next batch, and the lists of what exists, whose quotas are small, are never asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::http::HttpRequest;
use aws_sdk_cloudwatchlogs::error::SdkError;
use aws_sdk_cloudwatchlogs::operation::put_log_events::{PutLogEventsError, PutLogEventsOutput};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use trace_agent_core::config::CloudWatchOptions;
use trace_agent_core::sink::{Destination, Error, Put, Receipt, Sink};
use trace_record::batch::Batch;
use trace_record::retry::Fault;

use crate::body;
use crate::clock::ServiceClock;
use crate::create::create;
use crate::environment::{self, ConnectError, Environment};
use crate::fault::{Failure, is, stream};
use crate::receipt::receipt;

/// The shortest limit that is believed: a record is never cut below it.
const LINE_BYTES_MIN: usize = 64 * 1024;

/// Stores batches in CloudWatch Logs.
#[derive(Debug)]
pub struct CloudWatchSink {
    environment: Environment,
    options: CloudWatchOptions,
    name: String,
    clock: ServiceClock,
    access: Mutex<Access>,
    /// The longest line that the service takes, as far as its answers have shown.
    line_bytes_max: AtomicUsize,
}

/// How far the sink has come on its way to the service.
#[derive(Debug)]
enum Access {
    /// Region, endpoint and what is trusted are known. A client is made with the first batch.
    Configured(Box<SdkConfig>),
    /// Batches go through this client, which keeps its connections and its credentials.
    Open(Client),
    /// The credentials were refused, so whatever the client remembers of them is of no use.
    Refused,
}

impl CloudWatchSink {
    /// Reads region, endpoint, certificates and where credentials are to come from. Nothing is sent to the service, and no credentials
    /// are looked for, before the first batch.
    ///
    /// # Errors
    ///
    /// If nothing says which region to use, or what is to be trusted cannot be read.
    pub async fn connect(environment: Environment, options: CloudWatchOptions) -> Result<Self, ConnectError> {
        let clock = ServiceClock::default();
        let config = environment.load(clock.clone()).await?;
        Ok(Self::with_config(environment, options, clock, config))
    }

    fn with_config(
        environment: Environment,
        options: CloudWatchOptions,
        clock: ServiceClock,
        config: SdkConfig,
    ) -> Self {
        let region = config.region().map_or("no region", |region| region.as_ref());
        let name = match environment::endpoint(&config) {
            Some(endpoint) => format!("cloudwatch ({region}, {endpoint})"),
            None => format!("cloudwatch ({region})"),
        };
        let line_bytes_max = AtomicUsize::new(options.line_bytes_max);
        let access = Mutex::new(Access::Configured(Box::new(config)));
        Self { environment, options, name, clock, access, line_bytes_max }
    }

    async fn try_once(&self, to: &Destination, batch: &Batch) -> Result<Receipt, Error> {
        let client = match self.client().await {
            Ok(client) => client,
            Err(error) => {
                return Err(self.error(Failure { fault: Fault::Expired, message: error.to_string() }));
            }
        };
        let signed_ms = self.clock.signed_ms();
        match store(&client, &self.options, to, batch).await {
            Ok(answer) => {
                let accepts_ms = self.clock.service_ms();
                Ok(receipt(batch.events().len(), answer.rejected_log_events_info(), accepts_ms))
            }
            Err(failure) => {
                self.learn(failure.fault, signed_ms);
                Err(self.error(failure))
            }
        }
    }

    /// Draws from a failure what concerns every later request. `signed_ms` is how far ahead the failed one was signed.
    fn learn(&self, fault: Fault, signed_ms: i64) {
        match fault {
            // If only the clock was wrong, the credentials are good, and the client knows the time by now.
            Fault::Expired if !self.clock.is_to_blame(signed_ms) => *lock(&self.access) = Access::Refused,
            Fault::TooLong { bytes_max: Some(bytes_max) } => {
                let bytes_max = bytes_max.max(LINE_BYTES_MIN);
                let before = self.line_bytes_max.fetch_min(bytes_max, Ordering::Relaxed);
                if bytes_max < before {
                    tracing::info!(
                        bytes_max,
                        "the service takes shorter events than it should; they are shortened"
                    );
                }
            }
            _ => {}
        }
    }

    async fn client(&self) -> Result<Client, ConnectError> {
        let known = match &*lock(&self.access) {
            Access::Open(client) => return Ok(client.clone()),
            Access::Configured(config) => Some(Client::new(config)),
            Access::Refused => None,
        };
        let client = match known {
            Some(client) => client,
            None => {
                self.clock.begin_anew();
                Client::new(&self.environment.load(self.clock.clone()).await?)
            }
        };
        *lock(&self.access) = Access::Open(client.clone());
        Ok(client)
    }

    fn error(&self, failure: Failure) -> Error {
        Error { fault: failure.fault, sink: self.name.clone(), message: failure.message }
    }
}

fn lock(access: &Mutex<Access>) -> MutexGuard<'_, Access> {
    access.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for CloudWatchSink {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn line_bytes_max(&self) -> usize {
        self.line_bytes_max.load(Ordering::Relaxed)
    }

    fn put<'a>(&'a self, to: &'a Destination, batch: &'a Batch) -> Put<'a> {
        Box::pin(self.try_once(to, batch))
    }
}

async fn store(
    client: &Client,
    options: &CloudWatchOptions,
    to: &Destination,
    batch: &Batch,
) -> Result<PutLogEventsOutput, Failure> {
    let body = Bytes::from(body::put_log_events(to, batch));
    let answer = match put_log_events(client, body.clone()).await {
        Err(error) if is(&error, "ResourceNotFoundException") => {
            create(client, options, to).await?;
            put_log_events(client, body).await
        }
        answer => answer,
    };
    answer.map_err(|error| Failure::of("PutLogEvents", &stream(to), &error))
}

/// Sends a body of our own: the SDK signs it, sends it and reads the answer.
async fn put_log_events(
    client: &Client,
    body: Bytes,
) -> Result<PutLogEventsOutput, SdkError<PutLogEventsError>> {
    let replace = move |request: &mut HttpRequest| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body.clone());
    };
    client.put_log_events().customize().mutate_request(replace).send().await
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::net::TcpListener;
    use std::time::{Duration, SystemTime};

    use aws_config::Region;
    use aws_sdk_cloudwatchlogs::config::Credentials;
    use aws_smithy_types::DateTime;
    use aws_smithy_types::date_time::Format;
    use trace_record::batch::{Event, batches};

    use super::*;
    use crate::stand_in::{Request, StandIn, answer};

    const NOW_MS: i64 = 1_795_419_012_532;

    fn destination() -> Destination {
        Destination { group: "/aws/lambda/checkout".into(), stream: "trace-agent/1".into() }
    }

    fn batch(messages: &[&str]) -> Batch {
        let event = |(index, message): (usize, &&str)| Event {
            timestamp_ms: NOW_MS + i64::try_from(index).unwrap(),
            message: (*message).to_owned(),
        };
        batches(messages.iter().enumerate().map(event).collect(), NOW_MS).0.remove(0)
    }

    async fn sink(url: &str) -> CloudWatchSink {
        let keys = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", Some("session".into()), None, "test");
        let clock = ServiceClock::default();
        let config = environment::loader(environment::http_client(clock.clone()).unwrap())
            .region(Region::new("eu-central-1"))
            .credentials_provider(keys)
            .endpoint_url(url)
            .load()
            .await;
        CloudWatchSink::with_config(Environment::LAMBDA, CloudWatchOptions::default(), clock, config)
    }

    /// Puts one batch of three events to a service that gives these answers, and says what was asked of it.
    async fn put(answers: impl IntoIterator<Item = String>) -> (Result<Receipt, Error>, Vec<String>) {
        let service = StandIn::answering(answers);
        let sink = sink(&service.url()).await;
        let result = sink.put(&destination(), &batch(&["a", "b", "c"])).await;
        let asked = service.requests().iter().map(|request| request.operation().to_owned()).collect();
        (result, asked)
    }

    /// The URL of a server that speaks first, as no HTTP or TLS server does.
    fn greeter() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 smtp.example ESMTP\r\n").unwrap();
            // Closing before the client does could take the greeting back.
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        url
    }

    fn refusal(status: u16, code: &str, message: &str) -> String {
        answer(status, "", &format!(r#"{{"__type":"{code}","message":"{message}"}}"#))
    }

    fn stored() -> String {
        answer(200, "", r#"{"nextSequenceToken":"49039859613342512342341"}"#)
    }

    #[tokio::test]
    async fn a_batch_is_one_request_without_a_sequence_token() {
        let service = StandIn::answering([stored()]);
        let sink = sink(&service.url()).await;
        let receipt = sink.put(&destination(), &batch(&["{\"errorMessage\":\"größe\"}", "b"])).await.unwrap();
        assert_eq!(receipt, Receipt { stored: 2, rejected: Vec::new() });
        let requests = service.requests();
        assert_eq!(requests[0].operation(), "PutLogEvents");
        assert_eq!(
            requests[0].body,
            concat!(
                r#"{"logGroupName":"/aws/lambda/checkout","logStreamName":"trace-agent/1","logEvents":["#,
                r#"{"timestamp":1795419012532,"message":"{\"errorMessage\":\"größe\"}"},"#,
                r#"{"timestamp":1795419012533,"message":"b"}]}"#
            )
        );
    }

    #[tokio::test]
    async fn each_failure_is_judged_by_code_then_status_and_never_tried_again() {
        let throttled = Fault::Throttled { after: None };
        let seven = Fault::Throttled { after: Some(Duration::from_secs(7)) };
        let cases = [
            (refusal(400, "ThrottlingException", "Rate exceeded"), throttled),
            (answer(400, "Retry-After: 7\r\n", r#"{"__type":"ThrottlingException"}"#), seven),
            (
                answer(400, "Retry-After: Mon, 23 Nov 2026 12:00:00 GMT\r\n", r#"{"__type":"Throttling"}"#),
                throttled,
            ),
            (answer(429, "Retry-After: 7\r\n", "slow down"), seven),
            (refusal(500, "InternalFailure", "Internal"), Fault::Transient),
            (
                refusal(503, "ServiceUnavailableException", "The service cannot complete the request."),
                Fault::Transient,
            ),
            (answer(502, "", "<html>Bad Gateway</html>"), Fault::Transient),
            (refusal(400, "OperationAbortedException", "Conflict"), Fault::Transient),
            (
                refusal(
                    400,
                    "ExpiredTokenException",
                    "The security token included in the request is expired",
                ),
                Fault::Expired,
            ),
            (
                refusal(
                    400,
                    "UnrecognizedClientException",
                    "The security token included in the request is invalid.",
                ),
                Fault::Expired,
            ),
            (
                refusal(
                    403,
                    "InvalidSignatureException",
                    "Signature expired: 20261123T010000Z is now earlier than",
                ),
                Fault::Expired,
            ),
            (
                answer(
                    400,
                    "",
                    r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: logs:PutLogEvents"}"#,
                ),
                Fault::Denied,
            ),
            (answer(403, "", "Forbidden"), Fault::Denied),
            (
                refusal(
                    400,
                    "InvalidParameterException",
                    "Log events in a single PutLogEvents request must be in chronological order.",
                ),
                Fault::Invalid,
            ),
            (refusal(400, "com.amazon.coral.service#SerializationException", "unexpected"), Fault::Invalid),
            (answer(413, "", ""), Fault::Invalid),
            (answer(200, "", "<html>Sign in to this network</html>"), Fault::Transient),
            (answer(404, "", "no such page"), Fault::Unreachable),
            (answer(302, "Location: http://127.0.0.1/\r\n", ""), Fault::Unreachable),
            // It is not known whether a request was carried out whose connection ends before the answer does.
            (String::new(), Fault::Transient),
            ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"nextSequ".to_owned(), Fault::Transient),
            (
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{\"__type\"".to_owned(),
                Fault::Transient,
            ),
        ];
        for (answer, fault) in cases {
            let (result, asked) = put([answer.clone(), stored()]).await;
            let error = result.unwrap_err();
            assert_eq!(error.fault, fault, "{answer}: {error}");
            assert_eq!(asked, ["PutLogEvents"], "{answer}");
        }
    }

    #[tokio::test]
    async fn a_failure_says_what_where_and_what_to_do() {
        let service = StandIn::answering([answer(
            400,
            "",
            r#"{"__type":"AccessDeniedException","Message":"User: r is not authorized"}"#,
        )]);
        let sink = sink(&service.url()).await;
        let error = sink.put(&destination(), &batch(&["a"])).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cloudwatch (eu-central-1, {}): PutLogEvents on log group /aws/lambda/checkout, stream trace-agent/1 \
                 failed: AccessDeniedException (HTTP 400): User: r is not authorized; allow logs:PutLogEvents on it to \
                 the role in use",
                service.url()
            )
        );
    }

    #[tokio::test]
    async fn a_refused_signature_is_not_repeated_with_what_was_signed() {
        let answer = refusal(
            403,
            "InvalidSignatureException",
            r"The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\nx-amz-security-token:IQoJb3JpZ2lu",
        );
        let error = put([answer]).await.0.unwrap_err();
        assert!(error.message.contains("does not match") && !error.message.contains("IQoJ"), "{error}");
    }

    #[tokio::test]
    async fn refused_credentials_are_forgotten() {
        let service = StandIn::answering([refusal(400, "ExpiredTokenException", "expired"), stored()]);
        let sink = sink(&service.url()).await;
        let to = destination();
        sink.put(&to, &batch(&["a"])).await.unwrap_err();
        assert!(matches!(*lock(&sink.access), Access::Refused));
    }

    const NOW_AHEAD_S: i64 = 3_600;

    /// When a request says that it was signed, such as 20261123T010203Z.
    fn signed_s(request: &Request) -> i64 {
        let at = request.header("x-amz-date").unwrap();
        let part = |from: usize, to: usize| &at[from..to];
        let (year, month, day, time) = (part(0, 4), part(4, 6), part(6, 9), part(9, at.len()));
        let time = format!("{}:{}:{}", &time[..2], &time[2..4], &time[4..]);
        DateTime::from_str(&format!("{year}-{month}-{day}{time}"), Format::DateTime).unwrap().secs()
    }

    /// The URL of a service whose clock is an hour ahead, and which answers the first requests when all of them are there.
    fn an_hour_ahead(together: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let all = std::sync::Arc::new(std::sync::Barrier::new(together));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (stream, all) = (stream.unwrap(), std::sync::Arc::clone(&all));
                std::thread::spawn(move || {
                    let request = Request::read(&stream);
                    if number < together {
                        all.wait();
                    }
                    let now_s = NOW_AHEAD_S + DateTime::from(SystemTime::now()).secs();
                    let date = DateTime::from_secs(now_s).fmt(Format::HttpDate).unwrap();
                    let date = format!("Date: {date}\r\n");
                    let is_right = signed_s(&request).abs_diff(now_s) < 300;
                    let refused = r#"{"__type":"InvalidSignatureException","message":"Signature expired"}"#;
                    let answer =
                        if is_right { answer(200, &date, "{}") } else { answer(400, &date, refused) };
                    (&stream).write_all(answer.as_bytes()).unwrap();
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn a_wrong_clock_costs_each_of_several_batches_one_try() {
        let sink = std::sync::Arc::new(sink(&an_hour_ahead(8)).await);
        for is_right in [false, true, true] {
            let mut puts = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let sink = std::sync::Arc::clone(&sink);
                puts.spawn(async move { sink.put(&destination(), &batch(&["a"])).await });
            }
            for result in puts.join_all().await {
                let fault = result.map(|receipt| receipt.stored).map_err(|error| error.fault);
                assert_eq!(fault, if is_right { Ok(1) } else { Err(Fault::Expired) });
            }
            assert!(matches!(*lock(&sink.access), Access::Open(_)));
        }
    }

    #[tokio::test]
    async fn a_lower_limit_is_learned_from_the_words_of_the_service() {
        for (said, limit, learned) in [
            ("Log event too large: 300000 bytes exceeds limit of 262144", 262_118, 262_118),
            ("Upload too large: 1048577 bytes exceeds limit of 1048576", 1_048_550, 1_048_550),
            ("Upload too large: 300000 bytes exceeds limit of 262144", 262_118, 262_118),
            ("Log event too large: 2000 bytes exceeds limit of 1024", 998, LINE_BYTES_MIN),
        ] {
            let service = StandIn::answering([refusal(400, "InvalidParameterException", said)]);
            let sink = sink(&service.url()).await;
            let error = sink.put(&destination(), &batch(&["a"])).await.unwrap_err();
            assert_eq!(error.fault, Fault::TooLong { bytes_max: Some(limit) }, "{said}");
            assert_eq!(sink.line_bytes_max(), learned, "{said}");
        }
    }

    #[tokio::test]
    async fn a_service_out_of_reach_is_told_from_an_answer_that_never_came() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let no_http = StandIn::answering(["SSH-2.0-OpenSSH_9.9\r\n".to_owned()]);
        let cases = [
            (format!("http://{closed}"), "Connection refused"),
            // A name that never exists, by RFC 6761.
            ("http://logs.invalid:80".to_owned(), "dns error"),
            (no_http.url(), "invalid HTTP version"),
            (greeter().replace("http:", "https:"), "InvalidContentType"),
            ("localhost:4566".to_owned(), "localhost:4566"),
        ];
        for (url, words) in cases {
            let error = sink(&url).await.put(&destination(), &batch(&["a"])).await.unwrap_err();
            assert_eq!(error.fault, Fault::Unreachable, "{error}");
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_judged_by_whether_there_was_a_connection() {
        // The kernel takes the connection; nobody ever reads from it.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        for (scheme, fault) in [("https", Fault::Unreachable), ("http", Fault::Transient)] {
            let sink = sink(&format!("{scheme}://{}", silent.local_addr().unwrap())).await;
            let error = sink.put(&destination(), &batch(&["a"])).await.unwrap_err();
            assert_eq!(error.fault, fault, "{error}");
        }
    }

    #[tokio::test]
    async fn a_missing_stream_is_created_and_then_its_group() {
        let no_stream =
            || refusal(400, "ResourceNotFoundException", "The specified log stream does not exist.");
        let no_group =
            || refusal(400, "ResourceNotFoundException", "The specified log group does not exist.");
        let there =
            || refusal(400, "ResourceAlreadyExistsException", "The specified resource already exists");
        let done = || answer(200, "", "");
        for faster in [done, there] {
            let (result, asked) = put([no_stream(), faster(), stored()]).await;
            assert_eq!(result.unwrap().stored, 3);
            assert_eq!(asked, ["PutLogEvents", "CreateLogStream", "PutLogEvents"]);
            let (result, asked) = put([no_group(), no_group(), faster(), faster(), stored()]).await;
            assert_eq!(result.unwrap().stored, 3);
            let expected =
                ["PutLogEvents", "CreateLogStream", "CreateLogGroup", "CreateLogStream", "PutLogEvents"];
            assert_eq!(asked, expected);
        }
    }

    #[tokio::test]
    async fn what_is_never_there_ends_after_one_round() {
        let missing = || refusal(400, "ResourceNotFoundException", "The specified log group does not exist.");
        let done = || answer(200, "", "");
        let (result, asked) = put([missing(), missing(), done(), missing(), done()]).await;
        assert_eq!((result.unwrap_err().fault, asked.len()), (Fault::Transient, 4));
        let (result, asked) = put([missing(), done(), missing(), done()]).await;
        assert_eq!((result.unwrap_err().fault, asked.len()), (Fault::Transient, 3));
    }

    #[tokio::test]
    async fn a_group_that_may_not_be_created_is_denied_with_the_action_to_allow() {
        let missing = refusal(400, "ResourceNotFoundException", "The specified log group does not exist.");
        let denied = refusal(400, "AccessDeniedException", "not authorized");
        let error = put([missing.clone(), missing, denied]).await.0.unwrap_err();
        assert_eq!(error.fault, Fault::Denied);
        assert!(error.message.ends_with("allow logs:CreateLogGroup on it to the role in use"), "{error}");
    }

    #[tokio::test]
    async fn rejected_events_are_named_one_by_one() {
        let cases: [(&str, &[usize]); 9] = [
            (r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}"#, &[0]),
            (r#"{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":2}}"#, &[2]),
            (r#"{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":0}}"#, &[0, 1, 2]),
            (r#"{"rejectedLogEventsInfo":{"expiredLogEventEndIndex":2}}"#, &[0, 1]),
            (
                r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2}}"#,
                &[0, 1],
            ),
            (
                r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"tooNewLogEventStartIndex":2}}"#,
                &[0, 2],
            ),
            (
                r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":2,"tooNewLogEventStartIndex":1}}"#,
                &[0, 1, 2],
            ),
            (r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":2147483647}}"#, &[0, 1, 2]),
            (r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":-1,"expiredLogEventEndIndex":0}}"#, &[]),
        ];
        for (body, rejected) in cases {
            let receipt = put([answer(200, "", body)]).await.0.unwrap();
            let indexes: Vec<_> = receipt.rejected.iter().map(|rejection| rejection.index).collect();
            assert_eq!(indexes, rejected, "{body}");
            assert_eq!(receipt.stored, 3 - rejected.len());
        }
    }
}
