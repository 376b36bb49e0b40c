//! Removing images, and what nobody needs any more.

use std::{
    collections::HashSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{
    Images,
    files::{self, Lock},
    layer::LayerMeta,
    work::Work,
};
use crate::{digest::Digest, error::Error, reference::Reference};

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that went.
    pub untagged: Vec<Reference>,
    /// The image, if it went with its last name.
    pub deleted: Option<Digest>,
    /// What could be freed.
    pub collected: Collected,
}

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Layers removed.
    pub layers: u64,
    /// Bytes of those layers.
    pub bytes: u64,
    /// Whether an import was going on, so that nothing could be done.
    pub busy: bool,
}

/// What the store takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all layers and documents.
    pub used_bytes: u64,
    /// Files and directories.
    pub inodes_used: u64,
    /// Bytes of the file system.
    pub capacity_bytes: u64,
    /// Bytes of it that are free for use.
    pub available_bytes: u64,
    /// Inodes of the file system.
    pub inodes: u64,
    /// Inodes of it that are free.
    pub inodes_free: u64,
}

impl Images {
    /// Takes away a name and, with its last name, an image; or, given an ID or
    /// the start of one, an image with all its names. Layers go too, unless
    /// others share or hold them.
    pub fn remove(&self, text: &str) -> Result<Removed, Error> {
        let image = self.find(text)?;
        let name = Reference::parse(text).ok().map(|name| name.canonical());
        let (untagged, deleted) = self.change(|index| {
            if let Some(name) = name
                && let Some((id, gone)) = index.untag(&name)
            {
                return (vec![name], gone.then_some(id));
            }
            (index.remove(&image.id), Some(image.id))
        })?;
        Ok(Removed {
            untagged,
            deleted,
            collected: self.collect()?,
        })
    }

    /// Removes layers and documents that no image and no holder needs, and
    /// what interrupted imports left. While an import is going on, it does
    /// nothing and says so.
    pub fn collect(&self) -> Result<Collected, Error> {
        self.sweep()?;
        let Some(lock) = self.lock().try_exclusive()? else {
            return Ok(Collected {
                busy: true,
                ..Collected::default()
            });
        };
        let mut collected = Collected::default();
        let doomed = self.doomed()?;
        if doomed.is_empty() {
            return Ok(collected);
        }
        let grave = Work::begin(self)?;
        for path in doomed {
            if let Some(meta) = LayerMeta::read(&path) {
                collected.layers += 1;
                collected.bytes += meta.bytes;
            }
            let target = grave.path().join(files::unique());
            match fs::rename(&path, &target) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io("move away", path)(error));
                }
                _ => {}
            }
        }
        // Nobody has to wait until the files are gone.
        drop(lock);
        grave.remove()?;
        Ok(collected)
    }

    /// What the store takes, and what its file system has.
    pub fn usage(&self) -> Result<Usage, Error> {
        let directory = &self.inner.directory;
        let system = rustix::fs::statvfs(directory)
            .map_err(Error::io("look at the file system of", directory))?;
        let mut usage = Usage {
            capacity_bytes: system.f_blocks.saturating_mul(system.f_frsize),
            available_bytes: system.f_bavail.saturating_mul(system.f_frsize),
            inodes: system.f_files,
            inodes_free: system.f_ffree,
            ..Usage::default()
        };
        for path in list(&directory.join("layers"))? {
            if let Some(meta) = LayerMeta::read(&path) {
                usage.used_bytes += meta.bytes;
                usage.inodes_used += meta.entries;
            }
        }
        for path in list(&directory.join("blobs/sha256"))? {
            usage.used_bytes += fs::metadata(&path).map_or(0, |file| file.len());
            usage.inodes_used += 1;
        }
        Ok(usage)
    }

    /// Layers and documents that nobody needs.
    fn doomed(&self) -> Result<Vec<PathBuf>, Error> {
        let index = self.index()?;
        let mut layers: HashSet<String> = HashSet::new();
        let mut blobs: HashSet<String> = HashSet::new();
        for (id, record) in &index.images {
            blobs.insert(id.hex());
            layers.extend(record.chain.iter().map(Digest::hex));
        }
        for named in index.references.values() {
            blobs.extend(named.manifest.map(|digest| digest.hex()));
        }
        layers.extend(self.held_layers()?.iter().map(Digest::hex));
        let directory = &self.inner.directory;
        let mut doomed = unlisted(&directory.join("layers"), &layers)?;
        doomed.extend(unlisted(&directory.join("blobs/sha256"), &blobs)?);
        doomed.extend(self.abandoned()?);
        Ok(doomed)
    }

    /// Removes what is in `ingest` and nobody's work.
    fn sweep(&self) -> Result<(), Error> {
        for path in list(&self.ingest_directory())? {
            match Lock::new(path.join("lock")).try_exclusive() {
                Ok(None) => {}
                // An error: it is no directory, or somebody removed it.
                Ok(Some(_)) | Err(_) => Work::remove_directory(&path)?,
            }
        }
        Ok(())
    }

    /// Files that were to replace others when their writer died.
    fn abandoned(&self) -> Result<Vec<PathBuf>, Error> {
        let directory = &self.inner.directory;
        let mut paths = list(&directory.join("holds"))?;
        if let Some(_lock) = self.index_lock().try_exclusive()? {
            paths.extend(list(directory)?);
        }
        paths.retain(|path| {
            let name = path.file_name().unwrap_or_default();
            name.as_encoded_bytes().starts_with(b".")
        });
        Ok(paths)
    }
}

/// What is in a directory, but not in `wanted`.
fn unlisted(directory: &Path, wanted: &HashSet<String>) -> Result<Vec<PathBuf>, Error> {
    let paths = list(directory)?.into_iter();
    let unlisted = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !wanted.contains(&*name)
    });
    Ok(unlisted.collect())
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", directory)(error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(Error::io("list", directory))
}
