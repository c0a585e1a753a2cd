//! Folders in which nobody else can put something into our way.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// The sticky bit: in such a folder, as /tmp is one, only its owner can replace a file.
const STICKY: u32 = 0o1000;

/// What lets others write to a folder.
const OTHERS_WRITE: u32 = 0o022;

/// Makes `folder` for this user alone, or sees that nobody else can replace our files in the one that is there. Its mode is
/// not changed.
///
/// # Errors
///
/// If it cannot be made, is a symbolic link or no folder, or others can replace what is in it.
pub fn folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let found = fs::symlink_metadata(folder)?;
    let own = found.uid() == fs::metadata("/proc/self")?.uid();
    let alone = own && found.mode() & OTHERS_WRITE == 0;
    // The owner of a sticky folder can replace what is in it.
    let sticky = (own || found.uid() == 0) && found.mode() & STICKY != 0;
    if found.is_dir() && (alone || sticky) {
        return Ok(());
    }
    let message = format!("others can write to the folder {}", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o1777
    }

    #[test]
    fn a_new_folder_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("a/b");
        folder(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let shared = directory.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(folder(&shared).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(mode(&shared), 0o777);
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(folder(&shared).is_ok(), "as /tmp is");
    }

    #[test]
    fn a_link_to_a_strangers_folder_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        assert!(folder(&link).is_err());
        fs::write(directory.path().join("file"), "precious").unwrap();
        assert!(folder(&directory.path().join("file")).is_err());
    }
}
