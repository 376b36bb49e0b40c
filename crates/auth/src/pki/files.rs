//! The files in which keys and certificates rest. A file is either whole or
//! not there: it is written beside its place, synced, and renamed.

use super::Error;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The mode of what nobody else may read.
const SECRET: u32 = 0o600;
/// The mode of what everybody may.
const PUBLIC: u32 = 0o644;

/// A directory of keys and certificates, and what shall be written there.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    keys: Vec<(PathBuf, String)>,
    certificates: Vec<(PathBuf, String)>,
}

impl Files {
    pub(super) fn new(dir: &Path) -> Self {
        Files {
            dir: dir.into(),
            keys: Vec::new(),
            certificates: Vec::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A file's text, `None` when there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err(Error::damaged(path, "it is no text"))
            }
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    pub(super) fn put_key(&mut self, name: &str, pem: &str) {
        self.keys.push((self.path(name), pem.into()));
    }

    pub(super) fn put_certificate(&mut self, name: &str, pem: &str) {
        self.certificates.push((self.path(name), pem.into()));
    }

    /// Writes all that was put: first the keys, so that no crash leaves a
    /// certificate without its key.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        for (files, mode) in [(&mut self.keys, SECRET), (&mut self.certificates, PUBLIC)] {
            if files.is_empty() {
                continue;
            }
            make_directory(&self.dir)?;
            write_all(files, mode)?;
            sync_directory(&self.dir)?;
            files.clear();
        }
        Ok(())
    }
}

/// Writes files side by side: the disk syncs several nearly as fast as one.
fn write_all(files: &[(PathBuf, String)], mode: u32) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = files
            .iter()
            .map(|(path, text)| scope.spawn(move || write(path, text, mode)))
            .collect();
        writers.into_iter().try_for_each(|writer| {
            writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let beside = path.with_extension(match path.extension().and_then(|e| e.to_str()) {
        Some(extension) => format!("{extension}.new"),
        None => "new".into(),
    });
    let outcome = write_synced(&beside, text, mode).and_then(|()| fs::rename(&beside, path));
    outcome.map_err(|source| {
        let _ = fs::remove_file(&beside);
        Error::Write {
            path: path.into(),
            source,
        }
    })
}

fn write_synced(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn make_directory(dir: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| Error::Write {
        path: dir.into(),
        source,
    })
}

fn sync_directory(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| Error::Write {
        path: dir.into(),
        source,
    })
}
