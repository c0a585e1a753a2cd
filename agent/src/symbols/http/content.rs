//! What a request sends along: nothing, or a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// How much of a file is read at once, in bytes: as much as a socket takes.
const CHUNK_BYTES: u64 = 256 * 1024;

/// What a request sends along.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A file of this many bytes, read as it is sent.
    File(PathBuf, u64),
}

impl Content {
    /// How much it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, bytes) => *bytes,
        }
    }

    pub(super) fn body(&self) -> io::Result<Sent> {
        let from: Box<dyn Read + Send + Sync> = match self {
            Self::Empty => Box::new(io::empty()),
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Self::File(path, _) => Box::new(File::open(path)?),
        };
        Ok(Sent { from, left: self.bytes() })
    }
}

/// A body that is read as it is sent. Reading blocks, on a thread that has nothing else to do.
pub(super) struct Sent {
    from: Box<dyn Read + Send + Sync>,
    left: u64,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let sent = self.get_mut();
        if sent.left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = Vec::new();
        let read = (&mut sent.from).take(CHUNK_BYTES.min(sent.left)).read_to_end(&mut chunk);
        Poll::Ready(Some(match read {
            Err(error) => Err(error),
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter")),
            Ok(bytes) => {
                sent.left -= bytes as u64;
                Ok(Frame::data(Bytes::from(chunk)))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
