//! Reading, writing, making and removing in a cgroup file system.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Error, Result};

pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(failed("read", path))
}

/// One write call: the kernel takes a value whole or not at all.
pub(super) fn write(path: &Path, value: &str) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(failed("open", path))?;
    file.write_all(value.as_bytes())
        .map_err(failed("write", path))
}

/// A value in a file that holds one number; `max` is `None`.
pub(super) fn number(path: &Path) -> Result<Option<u64>> {
    Ok(read(path)?.trim().parse().ok())
}

/// The number behind a key in a file of `key number` lines.
pub(super) fn keyed(path: &Path, key: &str) -> Result<Option<u64>> {
    Ok(lookup(&read(path)?, key))
}

pub(super) fn lookup(text: &str, key: &str) -> Option<u64> {
    let line = |line: &str| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    };
    text.lines().find_map(line)
}

/// Makes a directory; it may be there.
pub(super) fn make(path: &Path) -> Result<()> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("create", path)(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn directories(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(source) => return Err(failed("list", path)(source)),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes a group with those below it.
pub(super) fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if is_gone(&error) => return Ok(()),
        Err(_) => {}
    }
    for below in directories(path)? {
        remove_tree(&below)?;
    }
    match std::fs::remove_dir(path) {
        Err(error) if !is_gone(&error) => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// A group that disappears while it is looked at answers ENOENT or ENODEV.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File {
        operation,
        path: path.to_owned(),
        source,
    }
}
