//! Opening the sink that the configuration names.

use std::future::Future;
use std::pin::Pin;

use crate::config::{Config, SinkChoice};
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
pub type Opened<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Box<dyn Sink>>> + Send + 'a>>;

/// Opens the CloudWatch sink. The crate that can do it depends on this one, so the program hands it in.
pub type Connect = fn() -> Opened<'static>;

/// Opens the configured sink.
///
/// # Errors
///
/// If the directory cannot be written, or the AWS configuration is incomplete.
pub async fn open(config: &Config, home: Home, connect: Connect) -> anyhow::Result<Box<dyn Sink>> {
    match &config.sink {
        SinkChoice::File(directory) => Ok(Box::new(FileSink::open(directory)?)),
        SinkChoice::Stdout => Ok(Box::new(Stdout)),
        SinkChoice::CloudWatch => connect().await,
        // In Lambda an extension is not told its log group, and a guess would create a stray one.
        SinkChoice::Auto if home == Home::Lambda && config.log_group.is_none() => Ok(Box::new(Stdout)),
        SinkChoice::Auto => connect().await,
    }
}
