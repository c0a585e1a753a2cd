//! What others ask of the folder that a spool lies in.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// True if the spool in `directory` holds anything that may not be acknowledged.
#[must_use]
pub fn has_waiting(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.any(|name| super::number(&name).is_some())
}

/// Replaces a file so that a crash or a power cut leaves the old content or the new one.
///
/// # Errors
///
/// If the new content cannot be written or take the old one's place.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_data()?;
    std::fs::rename(&new, path)
}
