//! A copy of a store that may be in use: what a power cut at this moment would
//! leave, somewhere else.
//!
//! A log is written from front to back, one file after another. Whoever reads
//! it the other way round sees no byte without those that were written before
//! it, so the copy ends as torn as a crash would have left it, and opening it
//! recovers from that.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::embedded::is_log_file;

/// What is read at once: no more than the kernel writes at once.
const BLOCK: u64 = 4096;
/// How often the files may change their names under our hands.
const ATTEMPTS: usize = 16;

/// Why a store could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is none.
    #[error("{} holds no store", .0.display())]
    Absent(PathBuf),
    /// Its files come and go faster than they can be opened.
    #[error("the files in {} do not hold still", .0.display())]
    Restless(PathBuf),
    /// A file cannot be read or written.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// Copies the store in `from`, which another process may be writing, into the
/// new directory `to`.
pub fn copy(from: &Path, to: &Path) -> Result<(), CopyError> {
    let files = open_all(from)?;
    DirBuilder::new()
        .mode(0o700)
        .create(to)
        .map_err(|source| failed("making", to, source))?;
    for (name, file) in files.iter().rev() {
        copy_file(file, &to.join(name))?;
    }
    sync_dir(to)
}

/// All files of one moment, oldest first. What is open stays readable when it
/// is removed.
fn open_all(dir: &Path) -> Result<Vec<(String, File)>, CopyError> {
    'attempts: for _ in 0..ATTEMPTS {
        let mut files = Vec::new();
        let before = names(dir)?;
        for name in before.clone() {
            let path = dir.join(&name);
            match File::open(&path) {
                Ok(file) => files.push((name, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue 'attempts,
                Err(source) => return Err(failed("opening", &path, source)),
            }
        }
        if before.is_empty() {
            return Err(CopyError::Absent(dir.into()));
        }
        if names(dir)? == before {
            return Ok(files);
        }
    }
    Err(CopyError::Restless(dir.into()))
}

fn names(dir: &Path) -> Result<Vec<String>, CopyError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CopyError::Absent(dir.into()));
        }
        Err(source) => return Err(failed("listing", dir, source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed("listing", dir, source))?;
        if let Ok(name) = entry.file_name().into_string()
            && is_log_file(&name)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn copy_file(from: &File, to: &Path) -> Result<(), CopyError> {
    let reading = |source| failed("reading what becomes", to, source);
    let writing = |source| failed("writing", to, source);
    let length = from.metadata().map_err(reading)?.len();
    let out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(writing)?;
    out.set_len(length).map_err(writing)?;
    let mut block = vec![0; BLOCK as usize];
    for index in (0..length.div_ceil(BLOCK)).rev() {
        let offset = index * BLOCK;
        let wanted = (length - offset).min(BLOCK) as usize;
        let read = read_at(from, &mut block[..wanted], offset).map_err(reading)?;
        // What is not written yet stays a hole.
        if block[..read].iter().any(|byte| *byte != 0) {
            out.write_all_at(&block[..read], offset).map_err(writing)?;
        }
    }
    out.sync_all().map_err(writing)
}

fn read_at(file: &File, block: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read_at(&mut block[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn sync_dir(dir: &Path) -> Result<(), CopyError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| failed("syncing", dir, source))
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> CopyError {
    CopyError::Io {
        operation,
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Embedded, Options, Outcome, Store as _, Txn};
    use std::sync::Arc;
    use stdx::{Clock, Rng};

    async fn open(dir: &Path, options: Options) -> Embedded {
        let (clock, rng) = (Clock::system(), Rng::seeded(7));
        Embedded::open(dir, clock, rng, options)
            .await
            .expect("a store")
    }

    async fn put(store: &Embedded, key: String) {
        let txn = Txn::default().put(key, vec![b'x'; 700]);
        let outcome = store.txn(txn).await.expect("a commit");
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }

    /// Copies a store again and again while it is written and checkpointed:
    /// each copy has a whole beginning of the history, and all of it that was
    /// acknowledged before the copy began.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_under_load_is_a_moment_of_the_past() {
        let dir = tempfile::tempdir().expect("a directory");
        let small = Options {
            segment_bytes_min: 64 << 10,
            segment_bytes_max: 256 << 10,
            checkpoint_bytes: 512 << 10,
            ..Options::default()
        };
        let store = Arc::new(open(&dir.path().join("db"), small.clone()).await);
        let writing = tokio::spawn({
            let store = store.clone();
            async move {
                for number in 1..=4000_u64 {
                    put(&store, format!("k{:05}", number % 500)).await;
                }
            }
        });
        let mut round = 0;
        while !writing.is_finished() || round == 0 {
            let before = store.revision().await.expect("a revision");
            let (from, to) = (
                dir.path().join("db"),
                dir.path().join(format!("copy{round}")),
            );
            let target = to.clone();
            tokio::task::spawn_blocking(move || copy(&from, &target))
                .await
                .expect("a task")
                .expect("a copy");
            let copied = open(&to, small.clone()).await;
            let there = copied.revision().await.expect("a revision");
            assert!(there >= before, "{there:?} lacks what {before:?} had");
            copied.close().await;
            round += 1;
        }
        writing.await.expect("a writer");
        store.close().await;
    }

    #[test]
    fn nothing_is_not_copied() {
        let dir = tempfile::tempdir().expect("a directory");
        let outcome = copy(&dir.path().join("db"), &dir.path().join("copy"));
        assert!(matches!(outcome, Err(CopyError::Absent(_))), "{outcome:?}");
    }
}
