//! Which files there are, and whether they changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];
const SKIP: &str = ".skip";

/// A folder of manifests.
pub(crate) struct Folder {
    dir: PathBuf,
}

/// A folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("listing {}", dir.display())]
pub(crate) struct Error {
    dir: PathBuf,
    #[source]
    source: io::Error,
}

/// What changes when a file does: its number, size and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([i64; 5]);

/// One file.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) seen: Fingerprint,
    pub(crate) skipped: bool,
}

impl Folder {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Folder { dir }
    }

    /// All manifests by their path below the folder. No folder has none.
    pub(crate) fn files(&self) -> Result<BTreeMap<String, File>, Error> {
        let mut found = BTreeMap::new();
        let mut skips = Vec::new();
        self.collect(&self.dir, &mut found, &mut skips)?;
        for skip in skips {
            if let Some(file) = found.get_mut(&skip) {
                file.skipped = true;
            }
        }
        Ok(found)
    }

    fn collect(
        &self,
        dir: &Path,
        found: &mut BTreeMap<String, File>,
        skips: &mut Vec<String>,
    ) -> Result<(), Error> {
        let failed = |source| Error {
            dir: dir.into(),
            source,
        };
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(failed(source)),
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            // What went away meanwhile is not there.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let Some(name) = path.strip_prefix(&self.dir).ok().and_then(Path::to_str) else {
                continue;
            };
            if metadata.is_dir() {
                self.collect(&path, found, skips)?;
            } else if let Some(skipped) = name.strip_suffix(SKIP) {
                skips.push(skipped.to_string());
            } else if is_manifest(&path) {
                let file = File {
                    seen: Fingerprint::of(&metadata),
                    skipped: false,
                    path: path.clone(),
                };
                found.insert(name.to_string(), file);
            }
        }
        Ok(())
    }
}

/// Editors leave hidden files beside those they write.
fn is_manifest(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let extension = path.extension().and_then(|extension| extension.to_str());
    name.is_some_and(|name| !name.starts_with('.'))
        && extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

impl Fingerprint {
    fn of(metadata: &fs::Metadata) -> Self {
        Fingerprint([
            metadata.ino().cast_signed(),
            metadata.size().cast_signed(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime_nsec(),
        ])
    }
}
