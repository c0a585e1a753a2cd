//! Making the log group and the log stream that a batch is for.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::LogGroupClass;
use trace_agent_core::config::CloudWatchOptions;
use trace_agent_core::sink::Destination;
use trace_record::retry::Fault;

use crate::fault::{Failure, group, is, stream};

/// Creates the stream, and before it the group if that is missing too.
pub(crate) async fn create(
    client: &Client,
    options: &CloudWatchOptions,
    to: &Destination,
) -> Result<(), Failure> {
    if create_stream(client, to).await? {
        return Ok(());
    }
    create_group(client, options, to).await?;
    if create_stream(client, to).await? {
        return Ok(());
    }
    let message = format!("{} is not there yet, though it has just been created", group(to));
    Err(Failure { fault: Fault::Transient, message })
}

/// Creates the group as it is wanted. Records are worth more than their retention: without that they are stored all the same.
async fn create_group(client: &Client, options: &CloudWatchOptions, to: &Destination) -> Result<(), Failure> {
    let class = options.class.as_deref().map(LogGroupClass::from);
    let creating = client
        .create_log_group()
        .log_group_name(&to.group)
        .set_kms_key_id(options.kms_key.clone())
        .set_log_group_class(class);
    match creating.send().await {
        Ok(_) => {
            tracing::info!(group = to.group, "log group created");
            if options.class.as_deref() == Some(LogGroupClass::InfrequentAccess.as_str()) {
                tracing::warn!(
                    group = to.group,
                    "CloudWatch takes no metrics out of records in the class INFREQUENT_ACCESS; for metrics, name a group of the class STANDARD"
                );
            }
        }
        // Somebody else was faster, and decides.
        Err(error) if is(&error, "ResourceAlreadyExistsException") => return Ok(()),
        Err(error) => return Err(Failure::of("CreateLogGroup", &group(to), &error)),
    }
    let Some(days) = options.retention_days else { return Ok(()) };
    let answer = client.put_retention_policy().log_group_name(&to.group).retention_in_days(days).send().await;
    if let Err(error) = answer {
        let failure = Failure::of("PutRetentionPolicy", &group(to), &error);
        tracing::warn!(error = failure.message, "the log group keeps its events for ever");
    }
    Ok(())
}

/// Whether the stream is there now; if not, its group is missing.
async fn create_stream(client: &Client, to: &Destination) -> Result<bool, Failure> {
    let answer =
        client.create_log_stream().log_group_name(&to.group).log_stream_name(&to.stream).send().await;
    match answer {
        Ok(_) => tracing::info!(group = to.group, stream = to.stream, "log stream created"),
        Err(error) if is(&error, "ResourceAlreadyExistsException") => {}
        Err(error) if is(&error, "ResourceNotFoundException") => return Ok(false),
        Err(error) => return Err(Failure::of("CreateLogStream", &stream(to), &error)),
    }
    Ok(true)
}
