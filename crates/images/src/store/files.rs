//! Files that are whole or not there, and locks between processes.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::Error;

/// Makes a directory for root alone, with those above it.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io("create directory", path))
}

/// Puts `content` in the place of a file, such that after a crash either the
/// old or the new content is there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    write(path, content, true)
}

/// The same, but a crash of the machine (not of a process) may leave nothing.
pub(super) fn replace_quickly(path: &Path, content: &[u8]) -> Result<(), Error> {
    write(path, content, false)
}

fn write(path: &Path, content: &[u8], durable: bool) -> Result<(), Error> {
    let temporary = sibling(path);
    let result = write_sibling(&temporary, content, durable)
        .and_then(|()| fs::rename(&temporary, path).map_err(Error::io("replace", path)));
    if result.is_err() {
        // The error that counts is the first; a leftover is swept later.
        let _ = fs::remove_file(&temporary);
    }
    result?;
    if durable {
        sync_directory(path.parent().unwrap_or(Path::new("/")))?;
    }
    Ok(())
}

fn write_sibling(path: &Path, content: &[u8], durable: bool) -> Result<(), Error> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("create", path))?;
    file.write_all(content).map_err(Error::io("write", path))?;
    if durable {
        file.sync_all().map_err(Error::io("sync", path))?;
    }
    Ok(())
}

/// A hidden name beside `path` that no other writer takes.
fn sibling(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", unique()))
}

/// A name that no living thread or process uses for anything else.
pub(super) fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", process::id())
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io("sync directory", path))
}

/// Makes everything on the file system of `path` durable.
pub(super) fn sync_file_system(path: &Path) -> Result<(), Error> {
    let directory = File::open(path).map_err(Error::io("open", path))?;
    rustix::fs::syncfs(directory).map_err(Error::io("sync the file system of", path))
}

/// A file that is locked between processes, and between threads.
pub(super) struct Lock {
    path: PathBuf,
}

/// A lock is held as long as this lives.
pub(super) struct Locked {
    file: File,
}

impl Lock {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Waits for all others to be done.
    pub(super) fn exclusive(&self) -> Result<Locked, Error> {
        let file = self.open()?;
        file.lock().map_err(Error::io("lock", &self.path))?;
        Ok(Locked { file })
    }

    /// Locks a new file of one's own; none if it was removed meanwhile.
    pub(super) fn exclusive_if_there(&self) -> Result<Option<Locked>, Error> {
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let locked = match self.exclusive() {
            Err(Error::Io { source, .. }) if gone(&source) => return Ok(None),
            locked => locked?,
        };
        let mine = locked
            .file
            .metadata()
            .map_err(Error::io("look at", &self.path))?;
        match fs::metadata(&self.path) {
            Ok(there) if there.ino() == mine.ino() => Ok(Some(locked)),
            Err(error) if !gone(&error) => Err(Error::io("look at", &self.path)(error)),
            _ => Ok(None),
        }
    }

    /// Waits for an exclusive holder to be done.
    pub(super) fn shared(&self) -> Result<Locked, Error> {
        let file = self.open()?;
        file.lock_shared().map_err(Error::io("lock", &self.path))?;
        Ok(Locked { file })
    }

    /// Takes the lock if nobody has it.
    pub(super) fn try_exclusive(&self) -> Result<Option<Locked>, Error> {
        let file = self.open()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Locked { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &self.path)(error)),
        }
    }

    fn open(&self) -> Result<File, Error> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .map_err(Error::io("open", &self.path))
    }
}
