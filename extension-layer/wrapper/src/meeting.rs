//! The file that says where the proxy is.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The extension's socket unless `TRACE_AGENT_SOCKET` names another; the file lies beside it.
const SOCKET_PATH: &str = "/tmp/.trace-agent/capture.sock";

/// Bytes of the file: an address and a nonce.
const FILE_BYTES_MAX: u64 = 256;

/// Where a proxy is, and what it answers if it is the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Where it listens.
    pub address: SocketAddr,
    /// Letters and digits that nobody else knows.
    pub nonce: String,
}

impl Meeting {
    /// The file for an extension whose socket is `socket`, as `TRACE_AGENT_SOCKET` says it.
    #[must_use]
    pub fn path(socket: Option<&OsStr>) -> PathBuf {
        let socket = socket.filter(|socket| !socket.is_empty()).unwrap_or(OsStr::new(SOCKET_PATH));
        Path::new(socket).with_file_name("proxy")
    }

    /// Writes the file. Nobody sees a half of it.
    ///
    /// # Errors
    ///
    /// If it cannot be written. Then there is none: an old one would be no help.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let _ = fs::remove_file(path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(format!("{} {}\n", self.address, self.nonce).as_bytes())?;
        fs::rename(new, path)
    }

    /// Reads the file. `None` if it is not there, or no such file.
    #[must_use]
    pub fn read(path: &Path) -> Option<Meeting> {
        let mut text = String::new();
        // A link in a folder that anybody may write to, or a pipe, would be somebody else's.
        let file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW | NON_BLOCK).open(path).ok()?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
        let (address, nonce) = text.strip_suffix('\n')?.split_once(' ')?;
        let is_nonce = !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Some(Meeting { address: address.parse().ok().filter(|_| is_nonce)?, nonce: nonce.to_owned() })
    }
}

/// `O_NOFOLLOW` and `O_NONBLOCK` of Linux.
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
const NO_FOLLOW: i32 = 0o400_000;
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
const NO_FOLLOW: i32 = 0o100_000;
const NON_BLOCK: i32 = 0o4_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn what_is_written_is_read_and_replaces_what_was_there() {
        let folder = folder();
        let path = Meeting::path(Some(folder.path().join("capture.sock").as_os_str()));
        assert_eq!(path, folder.path().join("proxy"));
        for (port, nonce) in [(1, "a1"), (2, "b2")] {
            let meeting = Meeting { address: ([127, 0, 0, 1], port).into(), nonce: nonce.to_owned() };
            meeting.write(&path).expect("it can be written");
            assert_eq!(Meeting::read(&path), Some(meeting));
        }
        assert_eq!(Meeting::path(None), Path::new("/tmp/.trace-agent/proxy"));
    }

    #[test]
    fn what_is_no_such_file_is_not_read() {
        let folder = folder();
        let path = folder.path().join("proxy");
        assert_eq!(Meeting::read(&path), None);
        for text in
            ["", "127.0.0.1:9 nonce", "127.0.0.1:9 \n", "localhost:9 n\n", "127.0.0.1:9 a b\n", "\u{0}\n"]
        {
            fs::write(&path, text).expect("it can be written");
            assert_eq!(Meeting::read(&path), None, "{text:?}");
        }
        fs::write(&path, [&b"127.0.0.1:9 "[..], &[b'a'; 1 << 20], b"\n"].concat())
            .expect("it can be written");
        assert_eq!(Meeting::read(&path), None);
        let link = folder.path().join("link");
        fs::write(&path, "127.0.0.1:9 n\n").expect("it can be written");
        std::os::unix::fs::symlink(&path, &link).expect("a link can be made");
        assert_eq!(Meeting::read(&link), None);
    }
}
