//! How far each followed file has been read and acknowledged.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::spool::replace;

/// A place in a file, which is known by its device and inode: a name may be given to another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The device that holds the file.
    pub device: u64,
    /// The file's number there.
    pub inode: u64,
    /// How often the file was seen to begin anew under the same number: it was cut, or the number was given to another.
    #[serde(default)]
    pub generation: u64,
    /// The offset of the first byte that is not acknowledged.
    pub offset: u64,
}

/// The positions of all followed files, kept in `checkpoints.json` of the state directory if there is one.
#[derive(Debug, Default)]
pub struct Checkpoints {
    file: Option<PathBuf>,
    positions: BTreeMap<PathBuf, Position>,
}

impl Checkpoints {
    /// Reads the checkpoints of an earlier run. Without a directory nothing is kept.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not one of ours: starting all over would ship everything again.
    pub fn open(directory: Option<&Path>) -> io::Result<Self> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        let file = directory.join("checkpoints.json");
        let positions = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {error}", file.display()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { file: Some(file), positions })
    }

    /// Where to go on in a file.
    #[must_use]
    pub fn position(&self, path: &Path) -> Option<Position> {
        self.positions.get(path).copied()
    }

    /// Notes that everything before `position` is acknowledged.
    pub fn set(&mut self, path: &Path, position: Position) {
        self.positions.insert(path.to_owned(), position);
    }

    /// Writes the checkpoints down, atomically.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; then a restart sends some events once more.
    pub fn save(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let json = serde_json::to_vec(&self.positions).map_err(io::Error::other)?;
        replace(file, &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_outlive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::open(Some(directory.path())).unwrap();
        let position = Position { device: 1, inode: 2, generation: 3, offset: u64::MAX };
        checkpoints.set(Path::new("/var/log/app.log"), position);
        checkpoints.save().unwrap();
        let again = Checkpoints::open(Some(directory.path())).unwrap();
        assert_eq!(again.position(Path::new("/var/log/app.log")), Some(position));
    }

    #[test]
    fn a_damaged_file_is_said_and_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("checkpoints.json"), "{").unwrap();
        assert!(Checkpoints::open(Some(directory.path())).unwrap_err().to_string().contains("is damaged"));
    }
}
