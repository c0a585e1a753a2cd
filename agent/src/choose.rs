//! Opening the sinks that the configuration names.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::{CloudWatchOptions, Config, SinkChoice};
use crate::read::Reader;
use crate::sink::Sink;
use crate::sink::file::FileSink;
use crate::sink::stdout::Stdout;

/// Where the process runs, which decides what `auto` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// A Lambda sandbox.
    Lambda,
    /// Anywhere else.
    Host,
}

/// What opening a sink comes to.
pub type Opened<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Arc<dyn Sink>>> + Send + 'a>>;

/// Opens the CloudWatch sink. The crate that can do it depends on this one, so the program hands it in.
pub type Connect = fn(CloudWatchOptions) -> Opened<'static>;

/// What opening a reader comes to.
pub type OpenedReader<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Box<dyn Reader>>> + Send + 'a>>;

/// Opens the reader of CloudWatch Logs, handed in as [`Connect`] is.
pub type ConnectReader = fn() -> OpenedReader<'static>;

/// Opens the configured sinks.
///
/// # Errors
///
/// If a directory cannot be written, or the AWS configuration is incomplete.
pub async fn open(config: &Config, home: Home, connect: Connect) -> anyhow::Result<Vec<Arc<dyn Sink>>> {
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::with_capacity(config.sinks.len());
    for choice in &config.sinks {
        sinks.push(match choice {
            SinkChoice::File(directory) => Arc::new(FileSink::open(directory)?),
            SinkChoice::Stdout => Arc::new(Stdout),
            SinkChoice::CloudWatch => connect(config.cloudwatch.clone()).await?,
            // In Lambda an extension is not told its log group, and a guess would create a stray one.
            SinkChoice::Auto if home == Home::Lambda && config.log_group.is_none() => Arc::new(Stdout),
            SinkChoice::Auto => connect(config.cloudwatch.clone()).await?,
        });
    }
    Ok(sinks)
}
