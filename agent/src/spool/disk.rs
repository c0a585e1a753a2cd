//! The files of a spool: in a folder, or in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a spool asks of its files. Names are plain; there are no folders.
pub(super) trait Disk: fmt::Debug + Send {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// How long a file is, in bytes.
    fn length(&self, name: &str) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on as far as the file goes, and says how far.
    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes at `offset`, which is the file's end. The file is made if it is not there.
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts what is behind `length`.
    fn cut(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Makes a file's bytes, and all names, outlive a power cut.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Removes a file; one that is not there is removed already.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Replaces a file so that a crash or a power cut leaves the old content or the new one.
    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Replaces a file so that a crash leaves the old content or the new one, and a power cut one of them or nothing.
    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// Files in a folder. The one that was used last stays open.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    writing: Option<(String, File)>,
    reading: Option<(String, File)>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), writing: None, reading: None }
    }

    fn writing(&mut self, name: &str) -> io::Result<&mut File> {
        let known = self.writing.take().filter(|(open, _)| open == name);
        let file = match known {
            Some((_, file)) => file,
            None => OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(self.path.join(name))?,
        };
        Ok(&mut self.writing.insert((name.to_owned(), file)).1)
    }

    /// Writes a file beside `name`, and puts it in its place.
    fn put(&mut self, name: &str, bytes: &[u8], sync: fn(&File) -> io::Result<()>) -> io::Result<()> {
        self.writing.take_if(|(open, _)| open == name);
        self.reading.take_if(|(open, _)| open == name);
        let path = self.path.join(name);
        let new = path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all_at(bytes, 0)?;
        sync(&file)?;
        std::fs::rename(&new, path)
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(self.path.join(name))?.len())
    }

    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let known = self.reading.take().filter(|(open, _)| open == name);
        let file = match known {
            Some((_, file)) => file,
            None => File::open(self.path.join(name))?,
        };
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.reading = Some((name.to_owned(), file));
        Ok(filled)
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writing(name)?.write_all_at(bytes, offset)
    }

    fn cut(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.writing(name)?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.writing(name)?.sync_data()?;
        File::open(&self.path)?.sync_all()
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.writing.take_if(|(open, _)| open == name);
        self.reading.take_if(|(open, _)| open == name);
        match std::fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.put(name, bytes, File::sync_data)
    }

    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.put(name, bytes, |_| Ok(()))
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Ram {
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Ram {
    fn file(&self, name: &str) -> io::Result<&Vec<u8>> {
        self.files.get(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for Ram {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(self.file(name)?.len() as u64)
    }

    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.file(name)?.get(from..).unwrap_or_default();
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.files.entry(name.to_owned()).or_default();
        file.resize(usize::try_from(offset).unwrap_or(usize::MAX), 0);
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn cut(&mut self, name: &str, length: u64) -> io::Result<()> {
        let file = self.files.entry(name.to_owned()).or_default();
        file.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files.remove(name);
        Ok(())
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.replace(name, bytes)
    }
}
