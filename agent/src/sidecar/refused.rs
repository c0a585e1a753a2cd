//! Records that no sink will ever take: kept where a person finds them.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::warn;

/// The size at which the file is put aside, in bytes. Two are kept.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// `refused.ndjson` of the state directory, if there is one.
pub(super) struct Refused {
    file: Option<PathBuf>,
    is_said: bool,
}

impl Refused {
    pub(super) fn new(state: Option<&Path>) -> Self {
        Self { file: state.map(|state| state.join("refused.ndjson")), is_said: false }
    }

    /// Keeps a record. The first one is said, the others are in the summary.
    pub(super) fn keep(&mut self, record: &str, reason: &str) {
        let kept = self.file.as_deref().map(|file| append(file, record));
        if std::mem::replace(&mut self.is_said, true) {
            return;
        }
        match kept {
            Some(Ok(())) => {
                warn!(
                    reason,
                    "a record was refused; it and further ones are in refused.ndjson of the state directory"
                )
            }
            Some(Err(error)) => {
                warn!(reason, %error, record, "a record was refused and cannot be kept; further ones are only counted")
            }
            None => {
                warn!(reason, record, "a record was refused; without --state further ones are only counted")
            }
        }
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.len() >= FILE_BYTES_MAX {
        std::fs::rename(path, path.with_extension("ndjson.1"))?;
        file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    }
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_kept_and_bounded() {
        let state = tempfile::tempdir().unwrap();
        let mut refused = Refused::new(Some(state.path()));
        refused.keep("{\"a\":1}", "it is empty");
        refused.keep("{\"a\":2}", "it is empty");
        let file = state.path().join("refused.ndjson");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"a\":1}\n{\"a\":2}\n");
        OpenOptions::new().write(true).open(&file).unwrap().set_len(FILE_BYTES_MAX).unwrap();
        refused.keep("{\"a\":3}", "it is empty");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"a\":3}\n");
        assert!(state.path().join("refused.ndjson.1").exists());
    }
}
