//! Taking images in.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Images,
    files::{self, make_directory},
    index::Record,
    layer::{LayerMeta, Source, publish},
    work::Work,
};
use crate::{
    archive::{self, Archive},
    compression::{self, Compression},
    digest::Digest,
    document::Platform,
    error::Error,
    image::Settings,
    reference::Reference,
    source::{Blobs, Candidate},
    unpack::Limits,
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
        let work = Work::begin(self)?;
        let path = work.path().join("stream");
        let file = spool(stream, &path)?;
        self.import_file(file, &path, options)
    }

    /// A directory for what is not in the store yet. It goes when dropped, or
    /// when the store is opened after this process died.
    pub(crate) fn scratch(&self) -> Result<Work, Error> {
        Work::begin(self)
    }

    /// Which layers of an image with these diff IDs the store has.
    pub(crate) fn present(&self, diff_ids: &[Digest]) -> Vec<bool> {
        let mut chain: Option<Digest> = None;
        let ids = diff_ids.iter().map(|diff_id| {
            let id = diff_id.chain(chain);
            chain = Some(id);
            LayerMeta::read(&self.layer(&id)).is_some()
        });
        ids.collect()
    }

    fn import_file(
        &self,
        file: File,
        path: &Path,
        options: &ImportOptions,
    ) -> Result<Vec<Imported>, Error> {
        let work = Work::begin(self)?;
        let compression = archive::compression(&file).map_err(Error::io("read", path))?;
        let file = match compression {
            Compression::None => file,
            Compression::Gzip | Compression::Zstd => {
                let mut stream =
                    compression::decompress(file).map_err(Error::io("uncompress", path))?;
                spool(&mut stream, &work.path().join("archive"))?
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
        let work = Work::begin(self)?;
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
            size += self.layer_of(&source, id, &chain, &work, options.limits)?;
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
        work: &Work,
        limits: Limits,
    ) -> Result<u64, Error> {
        let turn = self.turn(id);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let target = self.layer(&id);
        if let Some(meta) = LayerMeta::read(&target) {
            return Ok(meta.bytes);
        }
        let place = work.path().join(files::unique());
        let root = place.join("fs");
        make_directory(&root)?;
        // It becomes the root of containers, whose users need not be root. A layer
        // that describes its root says otherwise below.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))
            .map_err(Error::io("change mode of", &root))?;
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
