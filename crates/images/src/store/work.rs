//! Directories for what is not done.

use std::{
    fs::File,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use super::{
    Images,
    files::{self, Lock, Locked, make_directory},
};
use crate::{error::Error, unpack};

/// A directory for work that is not done, locked as long as this lives and
/// removed with it.
pub(crate) struct Work {
    path: PathBuf,
    _lock: Locked,
}

impl Work {
    pub(super) fn begin(images: &Images) -> Result<Self, Error> {
        loop {
            let path = images.ingest_directory().join(files::unique());
            make_directory(&path)?;
            // Who sweeps may have taken the new directory for a leftover.
            if let Some(lock) = Lock::new(path.join("lock")).exclusive_if_there()? {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory now, and says so if that fails.
    pub(super) fn remove(self) -> Result<(), Error> {
        Self::remove_directory(&self.path)
    }

    pub(super) fn remove_directory(path: &Path) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default();
        let parent = path.parent().unwrap_or(Path::new("/"));
        let parent = File::open(parent).map_err(Error::io("open", parent))?;
        match unpack::remove_all(parent.as_fd(), name.as_encoded_bytes()) {
            Err(error) if error != rustix::io::Errno::NOENT => {
                Err(Error::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays is swept when the store is opened again.
        let _ = Self::remove_directory(&self.path);
    }
}
