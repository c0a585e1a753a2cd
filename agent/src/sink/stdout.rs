//! The sink that prints: in Lambda the platform carries what an extension prints to the function's own log stream, with
//! no permission and no network, and extracts the metrics there.

use std::io::Write;

use trace_record::batch::Batch;
use trace_record::render::STDOUT_LINE_BYTES_MAX;
use trace_record::retry::Fault;

use super::{Destination, Error, Put, Receipt, Sink};

/// Prints each event as one line on standard output.
#[derive(Debug, Default)]
pub struct Stdout;

impl Sink for Stdout {
    fn name(&self) -> String {
        "stdout".to_owned()
    }

    fn line_bytes_max(&self) -> usize {
        STDOUT_LINE_BYTES_MAX
    }

    fn put<'a>(&'a self, _: &'a Destination, batch: &'a Batch) -> Put<'a> {
        Box::pin(async move {
            let mut out = std::io::stdout().lock();
            let printed = batch.events().iter().try_for_each(|event| writeln!(out, "{}", event.message));
            printed.and_then(|()| out.flush()).map_err(|error| Error {
                fault: Fault::Gone,
                sink: self.name(),
                message: format!("cannot print: {error}"),
            })?;
            Ok(Receipt { stored: batch.events().len(), rejected: Vec::new() })
        })
    }
}
