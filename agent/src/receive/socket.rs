//! The datagram socket that the capture hook sends to.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::private;

/// A bound socket, whose file goes away with it.
#[derive(Debug)]
pub struct CaptureSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl CaptureSocket {
    /// Binds the socket at `path`, for this user alone.
    ///
    /// The folder is made for this user alone if it is not there. A socket that nobody listens on any more is
    /// replaced; one that somebody listens on is left alone.
    ///
    /// # Errors
    ///
    /// If others can write to the folder, the path is taken, or the socket cannot be made.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let said = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {}: {error}", path.display()))
        };
        Self::try_bind(path).map_err(said)
    }

    fn try_bind(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            private::folder(folder)?;
        }
        if let Ok(metadata) = std::fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "something that is no socket has this name",
                ));
            }
            if UnixDatagram::unbound()?.connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
            }
            std::fs::remove_file(path)?;
        }
        let socket = UnixDatagram::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// The socket itself.
    #[must_use]
    pub fn socket(&self) -> &UnixDatagram {
        &self.socket
    }
}

impl Drop for CaptureSocket {
    fn drop(&mut self) {
        // Nothing is left behind, and if it cannot be removed the next start replaces it.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_socket_is_private_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/capture.sock");
        let socket = CaptureSocket::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("capture.sock");
        drop(UnixDatagram::bind(&path).unwrap());
        let _live = CaptureSocket::bind(&path).unwrap();
        assert_eq!(CaptureSocket::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        std::fs::write(directory.path().join("file"), "").unwrap();
        let taken = CaptureSocket::bind(&directory.path().join("file")).unwrap_err();
        assert!(taken.to_string().contains("no socket"), "{taken}");
    }
}
