//! Taking images in.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::fs::{CWD, RenameFlags};
use serde::{Deserialize, Serialize};

use super::{
    Images,
    files::{self, Lock, Locked, make_directory, sync_directory, sync_file_system},
    index::Record,
};
use crate::{
    archive::{self, Archive},
    compression::{self, Compression},
    digest::{Digest, Verifier},
    document::Platform,
    error::Error,
    image::Settings,
    reference::Reference,
    source::{Blobs, Candidate, Layer},
    unpack::{self, Limits, Unpacked},
};

/// What overlayfs stacks at most.
const LAYERS_MAX: usize = 500;

/// How to take in an archive.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// A name for an image that the archive does not name, or the repository
    /// of one for which it has only a tag.
    pub name: Option<Reference>,
    /// Whose images to take from an archive for several machines.
    pub platform: Platform,
    /// Bounds of each layer.
    pub limits: Limits,
    /// Whether the images must not be removed to make room.
    pub pinned: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            name: None,
            platform: Platform::here(),
            limits: Limits::default(),
            pinned: false,
        }
    }
}

/// An image that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its ID.
    pub id: Digest,
    /// The names that it got.
    pub references: Vec<Reference>,
}

impl Images {
    /// Takes in the images of an archive: an OCI image layout or what `docker
    /// save` writes, in a tar that may be compressed.
    pub fn import(&self, path: &Path, options: &ImportOptions) -> Result<Vec<Imported>, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        self.import_file(file, path, options)
    }

    /// The same for a stream that can be read only once.
    pub fn import_stream(
        &self,
        stream: &mut dyn Read,
        options: &ImportOptions,
    ) -> Result<Vec<Imported>, Error> {
        let ingest = Ingest::begin(self)?;
        let path = ingest.path().join("stream");
        let file = spool(stream, &path)?;
        self.import_file(file, &path, options)
    }

    fn import_file(
        &self,
        file: File,
        path: &Path,
        options: &ImportOptions,
    ) -> Result<Vec<Imported>, Error> {
        let ingest = Ingest::begin(self)?;
        let compression = archive::compression(&file).map_err(Error::io("read", path))?;
        let file = match compression {
            Compression::None => file,
            Compression::Gzip | Compression::Zstd => {
                let mut stream =
                    compression::decompress(file).map_err(Error::io("uncompress", path))?;
                spool(&mut stream, &ingest.path().join("archive"))?
            }
        };
        let archive = Archive::open(file)?;
        let mut candidates = archive.candidates(&options.platform, options.name.as_ref())?;
        give_name(&mut candidates, options.name.as_ref())?;
        candidates
            .iter()
            .map(|candidate| self.add(candidate, &archive, options))
            .collect()
    }

    /// Takes in one image, whatever its source. Layers that the store has are
    /// not asked for.
    pub fn add(
        &self,
        candidate: &Candidate,
        blobs: &dyn Blobs,
        options: &ImportOptions,
    ) -> Result<Imported, Error> {
        check(candidate, &options.platform)?;
        let _lock = self.lock().shared()?;
        let ingest = Ingest::begin(self)?;
        let mut chain: Vec<Digest> = Vec::new();
        let mut size = candidate.configuration_bytes.len() as u64;
        let diff_ids = &candidate.configuration.rootfs.diff_ids;
        for (layer, diff_id) in candidate.layers.iter().zip(diff_ids) {
            let source = Source {
                layer,
                diff_id: *diff_id,
                blobs,
            };
            let id = diff_id.chain(chain.last().copied());
            size += self.layer_of(&source, id, &chain, &ingest, options.limits)?;
            chain.push(id);
        }
        self.keep(&candidate.id, &candidate.configuration_bytes)?;
        if let Some((digest, content)) = &candidate.manifest {
            self.keep(digest, content)?;
        }
        let record = Record {
            chain,
            size,
            pinned: options.pinned,
            settings: Settings::from(&candidate.configuration),
        };
        let manifest = candidate.manifest.as_ref().map(|(digest, _)| *digest);
        self.change(|index| {
            index.add(candidate.id, record);
            for reference in &candidate.references {
                index.name(reference, candidate.id, manifest);
            }
        })?;
        Ok(Imported {
            id: candidate.id,
            references: candidate.references.clone(),
        })
    }

    /// Makes sure that a layer is there; returns its size.
    fn layer_of(
        &self,
        source: &Source<'_>,
        id: Digest,
        below: &[Digest],
        ingest: &Ingest,
        limits: Limits,
    ) -> Result<u64, Error> {
        let turn = self.turn(id);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let target = self.layer(&id);
        if let Some(meta) = LayerMeta::read(&target) {
            return Ok(meta.bytes);
        }
        let place = ingest.path().join(files::unique());
        let root = place.join("fs");
        make_directory(&root)?;
        let parents: Vec<PathBuf> = below
            .iter()
            .rev()
            .map(|chain| self.layer(chain).join("fs"))
            .collect();
        let unpacked = source.unpack(&root, &parents, limits)?;
        let meta = LayerMeta {
            diff_id: source.diff_id,
            parent: below.last().copied(),
            bytes: unpacked.bytes,
            entries: unpacked.entries,
        };
        meta.write(&place)?;
        publish(&place, &target)?;
        Ok(meta.bytes)
    }

    /// One thread of this process unpacks a layer, and others wait for it.
    fn turn(&self, id: Digest) -> Arc<Mutex<()>> {
        let mut all = self
            .inner
            .unpacking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turn| Arc::strong_count(turn) > 1);
        all.entry(id).or_default().clone()
    }

    /// Keeps a verified document.
    fn keep(&self, digest: &Digest, content: &[u8]) -> Result<(), Error> {
        let path = self.blob(digest);
        if fs::read(&path).is_ok_and(|there| there == content) {
            return Ok(());
        }
        files::replace(&path, content)
    }
}

/// A layer and where it comes from.
struct Source<'a> {
    layer: &'a Layer,
    diff_id: Digest,
    blobs: &'a dyn Blobs,
}

impl Source<'_> {
    /// Unpacks the layer, and verifies what went through: the bytes as they
    /// came, and the bytes of the archive inside.
    fn unpack(&self, root: &Path, parents: &[PathBuf], limits: Limits) -> Result<Unpacked, Error> {
        let stream = self.blobs.open(self.layer).map_err(self.unreadable())?;
        let mut packed = Verifier::new(stream);
        let plain = compression::decompress(&mut packed).map_err(self.unreadable())?;
        let bounded = Bounded {
            inner: plain,
            left: limits.bytes_max.saturating_add(limits.entries_max * 4096),
        };
        let mut plain = Verifier::new(bounded);
        let unpacked =
            unpack::unpack(&mut plain, root, parents, limits).map_err(|source| Error::Unpack {
                layer: self.diff_id,
                source,
            })?;
        let (diff_id, _) = plain.finish().map_err(self.unreadable())?;
        let (digest, size) = packed.finish().map_err(self.unreadable())?;
        self.verify(digest, size, diff_id)?;
        Ok(unpacked)
    }

    fn verify(&self, digest: Digest, size: u64, diff_id: Digest) -> Result<(), Error> {
        let name = &self.layer.name;
        if let Some(expected) = self.layer.size
            && expected != size
        {
            return Err(Error::Size {
                what: name.clone(),
                expected,
                found: size,
            });
        }
        let pairs = [
            (self.layer.digest, digest, name.clone()),
            (Some(self.diff_id), diff_id, format!("{name}, unpacked,")),
        ];
        for (expected, found, what) in pairs {
            if let Some(expected) = expected
                && expected != found
            {
                return Err(Error::Digest {
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    fn unreadable(&self) -> impl FnOnce(io::Error) -> Error {
        let layer = self.diff_id;
        move |source| Error::Layer { layer, source }
    }
}

/// Ends streams that expand without end.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("the layer expands beyond all bounds"))?;
        Ok(count)
    }
}

/// What is known about an unpacked layer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayerMeta {
    pub diff_id: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Digest>,
    pub bytes: u64,
    pub entries: u64,
}

impl LayerMeta {
    /// Reads it from a layer that is whole; others have none.
    pub(super) fn read(layer: &Path) -> Option<Self> {
        let content = fs::read(layer.join("meta.json")).ok()?;
        serde_json::from_slice(&content).ok()
    }

    fn write(&self, layer: &Path) -> Result<(), Error> {
        let path = layer.join("meta.json");
        let content = serde_json::to_vec(self).map_err(|source| Error::Index {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, content).map_err(Error::io("write", path))
    }
}

/// A directory for work that is not done, locked as long as this lives and
/// removed with it.
pub(super) struct Ingest {
    path: PathBuf,
    _lock: Locked,
}

impl Ingest {
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

    pub(super) fn path(&self) -> &Path {
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

impl Drop for Ingest {
    fn drop(&mut self) {
        // What stays is swept when the store is opened again.
        let _ = Self::remove_directory(&self.path);
    }
}

fn check(candidate: &Candidate, here: &Platform) -> Result<(), Error> {
    let platform = &candidate.configuration.platform;
    if !platform.runs_on(here) {
        let name = candidate.references.first();
        return Err(Error::Platform {
            image: name.map_or(candidate.id.to_string(), Reference::to_string),
            found: platform.to_string(),
            here: here.to_string(),
        });
    }
    let diff_ids = candidate.configuration.rootfs.diff_ids.len();
    if candidate.layers.len() != diff_ids {
        return Err(Error::LayerCount {
            image: candidate.id,
            layers: candidate.layers.len(),
            diff_ids,
        });
    }
    if diff_ids > LAYERS_MAX {
        return Err(Error::Layers {
            image: candidate.id,
            layers: diff_ids,
            max: LAYERS_MAX,
        });
    }
    Ok(())
}

/// Names the only image of an archive that names none.
fn give_name(candidates: &mut [Candidate], name: Option<&Reference>) -> Result<(), Error> {
    let Some(name) = name else {
        return Ok(());
    };
    match candidates {
        [only] => {
            if !only.references.contains(name) {
                only.references.push(name.clone());
            }
            Ok(())
        }
        many => Err(Error::NameForMany(many.len())),
    }
}

/// Moves an unpacked layer to its place, when all of it is on disk.
fn publish(place: &Path, target: &Path) -> Result<(), Error> {
    sync_file_system(place)?;
    match rustix::fs::renameat_with(CWD, place, CWD, target, RenameFlags::NOREPLACE) {
        // Another process was faster.
        Err(rustix::io::Errno::EXIST) if LayerMeta::read(target).is_some() => Ok(()),
        // What is there is not whole.
        Err(rustix::io::Errno::EXIST) => {
            Ingest::remove_directory(target)?;
            fs::rename(place, target).map_err(Error::io("publish layer", target))
        }
        Err(error) => Err(Error::io("publish layer", target)(error)),
        Ok(()) => Ok(()),
    }?;
    sync_directory(target.parent().unwrap_or(Path::new("/")))
}

fn spool(stream: &mut dyn Read, path: &Path) -> Result<File, Error> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(Error::io("create", path))?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read the archive for", path)(error)),
        };
        file.write_all(&buffer[..count])
            .map_err(Error::io("write", path))?;
    }
    file.rewind().map_err(Error::io("rewind", path))?;
    Ok(file)
}
