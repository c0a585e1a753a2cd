//! What the agent is told, by flags and by `TRACE_AGENT_<FIELD>`, and what it means.
//!
//! [`Settings`] is what was typed; [`Config`] is what it means. A wrong value is a [`Problem`] and leaves the default in
//! place: the command line refuses to start, the extension says it once and goes on, since an extension that exits
//! fails the function.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use trace_record::batch::{BATCH_BYTES_MAX, EVENT_OVERHEAD_BYTES};
use trace_record::metrics::dimensions::Dimensions;
use trace_record::render::CLOUDWATCH_LINE_BYTES_MAX;
use trace_record::{Policy, storm, text};

use crate::sink::Destination;

/// The log group of the sidecar unless `TRACE_AGENT_LOG_GROUP` says otherwise.
pub const LOG_GROUP_DEFAULT: &str = "/trace-agent/failures";

/// What was typed, field by field.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Settings {
    /// Where records go: auto, cloudwatch, stdout, file:DIR, or several of them joined by commas
    #[arg(long, env = "TRACE_AGENT_SINK", value_name = "SINK", help_heading = "Shipping")]
    pub sink: Option<String>,
    /// The log group that records go to
    #[arg(long, env = "TRACE_AGENT_LOG_GROUP", value_name = "GROUP", help_heading = "Shipping")]
    pub log_group: Option<String>,
    /// The log stream that records go to; {host} stands for the name of this machine, {input} for the file that a record came from
    #[arg(long, env = "TRACE_AGENT_LOG_STREAM", value_name = "STREAM", help_heading = "Shipping")]
    pub log_stream: Option<String>,
    /// What the metrics stand under: sets of functionName, functionVersion, kind, phase, runtime and errorType, joined by commas, or none; may
    /// be repeated [default: functionName functionName,kind]
    #[arg(long, env = "TRACE_AGENT_DIMENSIONS", value_name = "SETS", help_heading = "Shipping")]
    pub dimensions: Vec<String>,
    /// Full records of one fingerprint a minute; further ones are counted without their stacks. 0 for no limit [default: 60]
    #[arg(long, env = "TRACE_AGENT_STORM_LIMIT", value_name = "NUMBER", help_heading = "Shipping")]
    pub storm_limit: Option<String>,
    /// What concerns CloudWatch Logs alone.
    #[command(flatten)]
    pub cloudwatch: CloudWatchSettings,
    /// What completes a record.
    #[command(flatten)]
    pub detail: Detail,
}

/// What was typed of CloudWatch Logs.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "CloudWatch Logs")]
pub struct CloudWatchSettings {
    /// The longest event that is sent, in bytes; older regions and stand-ins take 262144 [default: 1048576]
    #[arg(long, env = "TRACE_AGENT_EVENT_BYTES_MAX", value_name = "BYTES")]
    pub event_bytes_max: Option<String>,
    /// How many days a log group that is created keeps its events, as CloudWatch Logs allows: 1, 3, 5, 7, 14, 30 and so on [default: for ever]
    #[arg(long, env = "TRACE_AGENT_LOG_RETENTION_DAYS", value_name = "DAYS")]
    pub log_retention_days: Option<String>,
    /// The KMS key (its ARN) with which a log group that is created is encrypted
    #[arg(long, env = "TRACE_AGENT_LOG_KMS_KEY", value_name = "ARN")]
    pub log_kms_key: Option<String>,
    /// The class of a log group that is created: STANDARD, INFREQUENT_ACCESS (no metrics are taken out of records there) or DELIVERY
    #[arg(long, env = "TRACE_AGENT_LOG_CLASS", value_name = "CLASS")]
    pub log_class: Option<String>,
}

/// What was typed of names, sources and secrets.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Names, sources and secrets")]
pub struct Detail {
    /// Read source text and source maps below this folder, put before paths such as /var/task/x.py; may be repeated, or a list separated by ':' in the variable
    #[arg(long, env = "TRACE_AGENT_SOURCE_ROOT", value_name = "DIR", value_delimiter = ':')]
    pub source_root: Vec<PathBuf>,
    /// Look for debug files by build-id below this folder, before the system's; may be repeated, or a list separated by ':' in the variable
    #[arg(long, env = "TRACE_AGENT_DEBUG_DIR", value_name = "DIR", value_delimiter = ':')]
    pub debug_dir: Vec<PathBuf>,
    /// Whose code is whose: words that are a part of a path (/shared/) or the beginning of a function's name (com.example.), with - before
    /// it for that of others; may be repeated
    #[arg(long, env = "TRACE_AGENT_OWN_CODE", value_name = "WORDS", allow_hyphen_values = true)]
    pub own_code: Vec<String>,
    /// What is secret besides the default: words such as email, -card, or order=ORD-[0-9]+ for a rule of your own; may be repeated
    #[arg(long, env = "TRACE_AGENT_REDACT", value_name = "WORDS", allow_hyphen_values = true)]
    pub redact: Vec<String>,
}

impl Detail {
    /// What the words mean; a wrong one is a [`Problem`], and its field keeps the default.
    #[must_use]
    pub fn policy(&self) -> (Policy, Vec<Problem>) {
        let mut problems = Vec::new();
        let own_code = words(
            &mut problems,
            "TRACE_AGENT_OWN_CODE",
            &self.own_code,
            "parts of paths or beginnings of names",
        );
        let redaction =
            words(&mut problems, "TRACE_AGENT_REDACT", &self.redact, "names of rules, or NAME=PATTERN");
        (Policy { own_code, redaction, dimensions: Dimensions::default() }, problems)
    }
}

fn words<T>(problems: &mut Vec<Problem>, field: &'static str, value: &[String], wanted: &str) -> T
where
    T: Default + FromStr<Err: fmt::Display>,
{
    let value = value.join(" ");
    value.parse().unwrap_or_else(|error| {
        problems.push(Problem { field, value: value.clone(), wanted: format!("{wanted}: {error}") });
        T::default()
    })
}

impl Settings {
    /// Reads the settings from variables alone, for a process without a command line.
    #[must_use]
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let list = |name: &str| {
            let value = variable(name).unwrap_or_default();
            value.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect()
        };
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            sink: text("TRACE_AGENT_SINK"),
            log_group: text("TRACE_AGENT_LOG_GROUP"),
            log_stream: text("TRACE_AGENT_LOG_STREAM"),
            dimensions: text("TRACE_AGENT_DIMENSIONS").into_iter().collect(),
            storm_limit: text("TRACE_AGENT_STORM_LIMIT"),
            cloudwatch: CloudWatchSettings {
                event_bytes_max: text("TRACE_AGENT_EVENT_BYTES_MAX"),
                log_retention_days: text("TRACE_AGENT_LOG_RETENTION_DAYS"),
                log_kms_key: text("TRACE_AGENT_LOG_KMS_KEY"),
                log_class: text("TRACE_AGENT_LOG_CLASS"),
            },
            detail: Detail {
                source_root: list("TRACE_AGENT_SOURCE_ROOT"),
                debug_dir: list("TRACE_AGENT_DEBUG_DIR"),
                own_code: text("TRACE_AGENT_OWN_CODE").into_iter().collect(),
                redact: text("TRACE_AGENT_REDACT").into_iter().collect(),
            },
        }
    }
}

/// Which sink records go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkChoice {
    /// CloudWatch if the log group is known, else standard output.
    Auto,
    /// CloudWatch Logs.
    CloudWatch,
    /// Standard output.
    Stdout,
    /// A directory.
    File(PathBuf),
}

impl SinkChoice {
    /// Reads sinks that are joined by commas. A comma belongs to a directory unless a sink begins behind it.
    fn read_all(text: &str) -> Option<Vec<Self>> {
        let mut words: Vec<String> = Vec::new();
        for part in text.split(',') {
            match words.last_mut().filter(|last| last.starts_with("file:") && Self::read(part).is_none()) {
                Some(directory) => directory.extend([",", part]),
                None => words.push(part.to_owned()),
            }
        }
        let mut sinks: Vec<Self> = words.iter().map(|word| Self::read(word)).collect::<Option<_>>()?;
        let mut met = Vec::new();
        sinks.retain(|sink| {
            !met.contains(sink) && {
                met.push(sink.clone());
                true
            }
        });
        Some(sinks)
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "cloudwatch" => Some(Self::CloudWatch),
            "stdout" => Some(Self::Stdout),
            _ => text
                .strip_prefix("file:")
                .filter(|directory| !directory.is_empty())
                .map(|dir| Self::File(dir.into())),
        }
    }
}

/// What concerns CloudWatch Logs alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudWatchOptions {
    /// The longest line that is sent as one event, in bytes.
    pub line_bytes_max: usize,
    /// How long a log group that is created keeps its events, in days; for ever if not given.
    pub retention_days: Option<i32>,
    /// The key with which it is encrypted.
    pub kms_key: Option<String>,
    /// Its class, in the service's words.
    pub class: Option<String>,
}

impl Default for CloudWatchOptions {
    fn default() -> Self {
        Self { line_bytes_max: CLOUDWATCH_LINE_BYTES_MAX, retention_days: None, kms_key: None, class: None }
    }
}

/// The retentions that PutRetentionPolicy takes, in days.
const RETENTIONS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// The classes that CreateLogGroup takes.
const CLASSES: [&str; 3] = ["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"];

/// The bounds of what can be asked for as the longest event, in bytes. A record is never cut below the first.
const EVENT_BYTES: std::ops::RangeInclusive<usize> = 64 * 1024 + EVENT_OVERHEAD_BYTES..=BATCH_BYTES_MAX;

/// What the settings mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where records go, to each of them.
    pub sinks: Vec<SinkChoice>,
    /// The log group, if it was given.
    pub log_group: Option<String>,
    /// The log stream, if it was given.
    pub log_stream: Option<String>,
    /// The folders below which source text may be read.
    pub source_roots: Vec<PathBuf>,
    /// The folders in which debug files are looked for by build-id, the system's own last.
    pub debug_dirs: Vec<PathBuf>,
    /// Whose code is whose, what is secret, and what the metrics stand under.
    pub policy: Policy,
    /// Full records of one fingerprint a minute; 0 for all of them.
    pub storm_limit: u32,
    /// What concerns CloudWatch Logs alone.
    pub cloudwatch: CloudWatchOptions,
}

impl Config {
    /// Gives the settings their meaning, and lists what could not be understood. `sink` is the default.
    #[must_use]
    pub fn read(settings: &Settings, sink: SinkChoice) -> (Self, Vec<Problem>) {
        let (policy, mut problems) = settings.detail.policy();
        let mut checked =
            |field: &'static str, value: &Option<String>, fits: fn(&str) -> bool, wanted: &'static str| {
                let value = value.clone()?;
                if fits(&value) {
                    return Some(value);
                }
                problems.push(Problem { field, value, wanted: wanted.to_owned() });
                None
            };
        let typed = checked(
            "TRACE_AGENT_SINK",
            &settings.sink,
            |text| SinkChoice::read_all(text).is_some(),
            "auto, cloudwatch, stdout, file:DIR, or several of them joined by commas",
        );
        let storm_limit = checked(
            "TRACE_AGENT_STORM_LIMIT",
            &settings.storm_limit,
            |text| text.parse::<u32>().is_ok(),
            "a whole number, 0 for no limit",
        );
        let typed_of = &settings.cloudwatch;
        let event_bytes_max = checked(
            "TRACE_AGENT_EVENT_BYTES_MAX",
            &typed_of.event_bytes_max,
            |text| text.parse().is_ok_and(|bytes: usize| EVENT_BYTES.contains(&bytes)),
            "from 65562 to 1048576",
        );
        let retention_days = checked(
            "TRACE_AGENT_LOG_RETENTION_DAYS",
            &typed_of.log_retention_days,
            |text| text.parse().is_ok_and(|days: i32| RETENTIONS.contains(&days)),
            "a number of days that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653",
        );
        let kms_key = checked(
            "TRACE_AGENT_LOG_KMS_KEY",
            &typed_of.log_kms_key,
            |text| text.starts_with("arn:") && text.len() <= 256,
            "the ARN of a KMS key, such as arn:aws:kms:REGION:ACCOUNT:key/ID",
        );
        let class = checked(
            "TRACE_AGENT_LOG_CLASS",
            &typed_of.log_class,
            |text| CLASSES.contains(&text),
            "STANDARD, INFREQUENT_ACCESS or DELIVERY",
        );
        let cloudwatch = CloudWatchOptions {
            line_bytes_max: event_bytes_max
                .and_then(|text| text.parse::<usize>().ok())
                .map_or(CLOUDWATCH_LINE_BYTES_MAX, |bytes| bytes - EVENT_OVERHEAD_BYTES),
            retention_days: retention_days.and_then(|text| text.parse().ok()),
            kms_key,
            class,
        };
        let mut config = Self {
            cloudwatch,
            sinks: typed.as_deref().and_then(SinkChoice::read_all).unwrap_or_else(|| vec![sink]),
            storm_limit: storm_limit.and_then(|text| text.parse().ok()).unwrap_or(storm::LIMIT_DEFAULT),
            log_group: checked(
                "TRACE_AGENT_LOG_GROUP",
                &settings.log_group,
                is_group,
                "1 to 512 letters, digits and . - _ / #, not starting with aws/",
            ),
            log_stream: checked(
                "TRACE_AGENT_LOG_STREAM",
                &settings.log_stream,
                is_stream,
                "1 to 512 characters without ':' and '*'",
            ),
            source_roots: settings.detail.source_root.clone(),
            debug_dirs: settings.detail.debug_dir.clone(),
            policy,
        };
        config.policy.dimensions = words(
            &mut problems,
            "TRACE_AGENT_DIMENSIONS",
            &settings.dimensions,
            "sets such as functionName,kind",
        );
        (config, problems)
    }

    /// The log group, or the sidecar's if none was given.
    #[must_use]
    pub fn log_group(&self) -> &str {
        self.log_group.as_deref().unwrap_or(LOG_GROUP_DEFAULT)
    }
}

/// Where the sidecar's records of one input go: what was configured, else [`LOG_GROUP_DEFAULT`] and a stream named after the host.
#[must_use]
pub fn destination(config: &Config, host: &str, input: &str) -> Destination {
    let fit = |name: &str| -> String {
        name.chars().map(|c| if matches!(c, ':' | '*') { '-' } else { c }).take(NAME_CHARS_MAX).collect()
    };
    let template = config.log_stream.as_deref().unwrap_or("{host}");
    let stream = template.replace("{host}", &fit(host)).replace("{input}", &fit(input));
    Destination {
        group: config.log_group().to_owned(),
        stream: text::prefix(&stream, STREAM_BYTES_MAX).to_owned(),
    }
}

/// How much of a host's or a file's name stands in that of a log stream, in characters.
const NAME_CHARS_MAX: usize = 128;

/// The longest name of a log stream, in bytes.
const STREAM_BYTES_MAX: usize = 512;

/// A value that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable, which names the flag too.
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it could be.
    pub wanted: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}; it must be {}", self.field, self.value, self.wanted)
    }
}

/// The names that CreateLogGroup takes.
fn is_group(name: &str) -> bool {
    (1..=512).contains(&name.len())
        && !name.starts_with("aws/")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte))
}

/// The names that CreateLogStream takes.
fn is_stream(name: &str) -> bool {
    (1..=STREAM_BYTES_MAX).contains(&name.len()) && !name.contains([':', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sink: &str, group: &str) -> (Config, Vec<Problem>) {
        let variable = |name: &str| match name {
            "TRACE_AGENT_SINK" => Some(sink.to_owned()),
            "TRACE_AGENT_LOG_GROUP" => Some(group.to_owned()),
            "TRACE_AGENT_SOURCE_ROOT" => Some("/a::/b".to_owned()),
            _ => None,
        };
        Config::read(&Settings::from_variables(variable), SinkChoice::Auto)
    }

    #[test]
    fn every_sink_can_be_chosen() {
        assert_eq!(read("stdout", "").0.sinks, [SinkChoice::Stdout]);
        assert_eq!(read("file:/tmp/x", "").0.sinks, [SinkChoice::File("/tmp/x".into())]);
        assert_eq!(
            read("cloudwatch,file:/a,b,stdout,cloudwatch", "").0.sinks,
            [SinkChoice::CloudWatch, SinkChoice::File("/a,b".into()), SinkChoice::Stdout]
        );
        assert_eq!(read("stdout,nowhere", "").0.sinks, [SinkChoice::Auto]);
        assert_eq!(read("cloudwatch", "/a/b").0.log_group.as_deref(), Some("/a/b"));
        assert_eq!(read("", "").0.source_roots, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }

    #[test]
    fn what_cloudwatch_would_refuse_is_refused_here() {
        let read = |name: &'static str, value: &'static str| {
            let variable = move |asked: &str| (asked == name).then(|| value.to_owned());
            Config::read(&Settings::from_variables(variable), SinkChoice::Auto)
        };
        let (config, problems) = read("TRACE_AGENT_EVENT_BYTES_MAX", "262144");
        assert_eq!((config.cloudwatch.line_bytes_max, problems.len()), (262_118, 0));
        assert_eq!(read("TRACE_AGENT_LOG_RETENTION_DAYS", "400").0.cloudwatch.retention_days, Some(400));
        assert_eq!(read("TRACE_AGENT_LOG_CLASS", "STANDARD").0.cloudwatch.class.as_deref(), Some("STANDARD"));
        for (name, value) in [
            ("TRACE_AGENT_EVENT_BYTES_MAX", "1048577"),
            ("TRACE_AGENT_EVENT_BYTES_MAX", "1000"),
            ("TRACE_AGENT_LOG_RETENTION_DAYS", "8"),
            ("TRACE_AGENT_LOG_KMS_KEY", "my-key"),
            ("TRACE_AGENT_LOG_CLASS", "standard"),
            ("TRACE_AGENT_STORM_LIMIT", "-1"),
            ("TRACE_AGENT_DIMENSIONS", "requestId"),
        ] {
            let (config, problems) = read(name, value);
            assert_eq!(
                (config.cloudwatch, problems.len()),
                (CloudWatchOptions::default(), 1),
                "{name}={value}"
            );
            assert_eq!(problems[0].field, name);
        }
    }

    #[test]
    fn words_say_what_is_own_and_what_is_secret() {
        let variable = |name: &str| match name {
            "TRACE_AGENT_OWN_CODE" => Some("-/generated/ com.example.".to_owned()),
            "TRACE_AGENT_REDACT" => Some("email e-mails".to_owned()),
            _ => None,
        };
        let (config, problems) = Config::read(&Settings::from_variables(variable), SinkChoice::Auto);
        assert_ne!(config.policy.own_code, Policy::default().own_code);
        assert_eq!(config.policy.redaction, Policy::default().redaction);
        let said = problems[0].to_string();
        assert!(said.starts_with("TRACE_AGENT_REDACT is \"email e-mails\"; it must be names of rules, or NAME=PATTERN: \"e-mails\" is no rule"), "{said}");
    }

    #[test]
    fn a_stream_is_named_after_host_and_input() {
        let (mut config, _) = read("", "/a/b");
        let stream = |config: &Config| destination(config, "pod:7", "app*.log").stream;
        assert_eq!(stream(&config), "pod-7");
        config.log_stream = Some("{host}/{input}".into());
        assert_eq!(stream(&config), "pod-7/app-.log");
        config.log_stream = Some("{host}".repeat(1_000));
        assert_eq!(stream(&config).len(), STREAM_BYTES_MAX);
    }

    #[test]
    fn a_wrong_value_is_said_and_leaves_the_default() {
        let (config, problems) = read("files:/x", "no spaces allowed");
        assert_eq!((config.sinks, config.log_group), (vec![SinkChoice::Auto], None));
        assert_eq!(problems.len(), 2);
        assert_eq!(
            problems[0].to_string(),
            "TRACE_AGENT_SINK is \"files:/x\"; it must be auto, cloudwatch, stdout, file:DIR, or several of them joined by commas"
        );
    }
}
