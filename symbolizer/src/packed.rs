//! A packed symbol file in the place of a program, or of its debug file.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use trace_packed::{Packed, Scratch};

use crate::answers::{Builder, Function, Leaf, Location, NONE, Node};
use crate::build_id::BuildId;
use crate::error::{Error, ErrorKind};
use crate::mmap::Bytes;
use crate::pack;

/// The build-id in the packed symbol file with these `bytes`, all of which are checked. `None` if it has none.
///
/// # Errors
/// Why the file cannot be used, in words.
pub fn packed_build_id(bytes: &[u8]) -> Result<Option<BuildId>, String> {
    let packed = Packed::open(bytes).map_err(|error| error.to_string())?;
    packed.check().map_err(|error| error.to_string())?;
    Ok(BuildId::new(packed.build_id()))
}

/// Whether `bytes` begin as a packed symbol file does.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&trace_packed::MAGIC)
}

/// An open packed file.
pub(crate) struct PackedModule {
    path: PathBuf,
    bytes: Bytes,
    build_id: Option<BuildId>,
    scratch: RefCell<Scratch>,
}

impl PackedModule {
    /// Opens the packed file at `path`, whose bytes are given.
    ///
    /// # Errors
    /// Its header is damaged, or its version is not known.
    pub(crate) fn open(path: &Path, bytes: Bytes) -> Result<PackedModule, Error> {
        let packed =
            Packed::open(&bytes).map_err(|error| Error::caused_by(ErrorKind::Corrupt, path, error))?;
        let build_id = BuildId::new(packed.build_id());
        Ok(PackedModule { path: path.to_owned(), bytes, build_id, scratch: RefCell::default() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn build_id(&self) -> Option<&BuildId> {
        self.build_id.as_ref()
    }

    /// Answers for `addresses`, given with their numbers. What the file does not know is left.
    pub(crate) fn answer(&self, addresses: &[u64], numbers: &[u32], builder: &mut Builder) {
        // It was opened before; the bytes are the same unless somebody overwrites the file.
        let Ok(packed) = Packed::open(&self.bytes) else { return };
        let mut scratch = self.scratch.borrow_mut();
        packed.lookup_many(addresses, &mut scratch, |index, frames| {
            let frames: Vec<_> = frames.into_iter().flatten().collect();
            let mut parent = NONE;
            for frame in frames.iter().rev() {
                let text = |builder: &mut Builder, text: Option<&str>| {
                    text.map_or(NONE, |text| builder.string(text))
                };
                let name = text(builder, frame.function);
                let linkage_name = text(builder, frame.linkage_name);
                let file = text(builder, frame.file);
                let function = builder.function(Function {
                    name,
                    linkage_name,
                    origin: pack::origin(frame.source),
                    start: None,
                });
                let location = Location { file, line: frame.line, column: frame.column, ..Location::UNKNOWN };
                parent = builder.node(Node { function, location, parent });
            }
            if let Some(number) = numbers.get(index).filter(|_| parent != NONE) {
                builder.set(*number as usize, Leaf::Frame(parent));
            }
        });
    }
}
