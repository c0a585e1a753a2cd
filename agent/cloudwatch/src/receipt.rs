//! What the service says of the events that it took and did not take.

use aws_sdk_cloudwatchlogs::types::RejectedLogEventsInfo;
use trace_agent_core::sink::{Receipt, Rejection};

/// Reads which events of a batch were refused. The indexes refer to the batch as it was sent: two are the first index
/// behind the refused events, one is the first refused event itself.
/// `accepts_ms` is a time that the service would take.
pub(crate) fn receipt(events: usize, rejected: Option<&RejectedLogEventsInfo>, accepts_ms: i64) -> Receipt {
    let end = |index: Option<i32>| index.map_or(0, |index| usize::try_from(index).unwrap_or(0));
    let too_old = end(rejected.and_then(RejectedLogEventsInfo::too_old_log_event_end_index));
    let expired = end(rejected.and_then(RejectedLogEventsInfo::expired_log_event_end_index));
    let too_new = rejected
        .and_then(RejectedLogEventsInfo::too_new_log_event_start_index)
        .map_or(usize::MAX, |index| usize::try_from(index).unwrap_or(0));
    let reason = |index: usize| {
        if index < too_old {
            Some("it is older than the 14 days that CloudWatch Logs takes")
        } else if index < expired {
            Some("it is older than the retention of its log group")
        } else if index >= too_new {
            Some("it is more than two hours ahead of the clock of CloudWatch Logs")
        } else {
            None
        }
    };
    let rejected: Vec<_> = (0..events)
        .filter_map(|index| {
            reason(index).map(|reason| Rejection {
                index,
                reason: reason.to_owned(),
                accepts_ms: Some(accepts_ms),
            })
        })
        .collect();
    Receipt { stored: events - rejected.len(), rejected }
}
