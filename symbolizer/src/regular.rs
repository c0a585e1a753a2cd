//! Opening a file that somebody else named, without being held up by what it may be.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// Opens `path` for reading if it is a regular file, else says what is wrong with it.
///
/// `O_NONBLOCK`, because opening a FIFO would otherwise wait for a writer; for a regular file it means nothing.
/// The kind is asked of what was opened, not of the path, which may have changed in between.
pub(crate) fn open(path: &Path) -> Result<(File, Metadata), Error> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::new(ErrorKind::NotFound, path),
        // Sockets, and devices without a driver.
        _ if error.raw_os_error() == Some(libc::ENXIO) => Error::new(ErrorKind::NotRegular, path),
        _ => Error::caused_by(ErrorKind::Unreadable, path, error),
    };
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::NotRegular, path));
    }
    Ok((file, metadata))
}
