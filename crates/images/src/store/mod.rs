//! The store of images on disk.
//!
//! Below its directory:
//! - `index.json`: images by ID, and names; replaced as a whole;
//! - `blobs/sha256/<hex>`: configurations and manifests;
//! - `layers/<chain ID>/fs`: unpacked layers, with `meta.json` and
//!   `outline.zst` beside each;
//! - `holds/<owner>`: layers that somebody uses, whatever the index says;
//! - `ingest/<n>`: what is being written, or removed. Whoever works there
//!   holds a lock on it; the rest is swept away;
//! - `lock`: shared by all who add or use layers, exclusive for who collects;
//! - `index.lock`: held while the index changes.
//!
//! A layer appears by a rename, after everything in it is on disk; an image
//! appears by the rename of the index, after its layers. So a process or a
//! machine may stop anywhere, and several processes may share a store.
//! Compressed layers are not kept: a layer is verified while it is unpacked,
//! and can be packed again by its outline.

mod collect;
pub(crate) mod files;
mod hold;
mod index;
mod ingest;
mod layer;
mod work;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

pub use collect::{Collected, Removed, Usage};
pub use ingest::{ImportOptions, Imported};
pub(crate) use work::Work;

use crate::{
    digest::Digest,
    error::Error,
    image::Image,
    reference::{Reference, is_identifier},
};
use files::{Lock, make_directory};
use index::{Cache, Index};
use layer::LayerMeta;

const VERSION: &str = "1";

/// The images of a node. Clones share the store.
#[derive(Clone)]
pub struct Images {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    cache: Mutex<Cache>,
    /// Layers that a thread of this process is unpacking.
    unpacking: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

impl Images {
    /// Opens the store in `directory`, makes it if it is not there, and
    /// removes what an interrupted import left.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, Error> {
        let directory = directory.into();
        for part in ["", "blobs/sha256", "holds", "ingest", "layers"] {
            make_directory(&directory.join(part))?;
        }
        check_version(&directory)?;
        let images = Self {
            inner: Arc::new(Inner {
                directory,
                cache: Mutex::default(),
                unpacking: Mutex::default(),
            }),
        };
        images.index()?;
        images.collect()?;
        Ok(images)
    }

    /// The store's directory.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// All images, by ID.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        Ok(self.index()?.images())
    }

    /// The image with this ID.
    pub fn image(&self, id: &Digest) -> Result<Option<Image>, Error> {
        Ok(self.index()?.image(id))
    }

    /// The image that a pod means by `text`: a name, or a whole ID.
    pub fn resolve(&self, text: &str) -> Result<Option<Image>, Error> {
        let index = self.index()?;
        if let Some(id) = identifier(text)
            && let Some(image) = index.image(&id)
        {
            return Ok(Some(image));
        }
        if is_identifier(text) {
            return Ok(None);
        }
        let reference = parse(text)?;
        Ok(index.resolve(&reference).and_then(|id| index.image(&id)))
    }

    /// The image that a person means by `text`: a name, an ID, or enough of
    /// an ID's start to tell it from the others.
    pub fn find(&self, text: &str) -> Result<Image, Error> {
        match self.resolve(text) {
            Ok(Some(image)) => return Ok(image),
            Ok(None) | Err(Error::Reference { .. }) => {}
            Err(error) => return Err(error),
        }
        let index = self.index()?;
        let ids = index.with_prefix(text.strip_prefix("sha256:").unwrap_or(text));
        match &ids[..] {
            [] => Err(Error::NotFound(text.to_owned())),
            [id] => index
                .image(id)
                .ok_or_else(|| Error::NotFound(text.to_owned())),
            _ => Err(Error::Ambiguous {
                prefix: text.to_owned(),
                candidates: ids.iter().map(Digest::to_string).collect(),
            }),
        }
    }

    /// The unpacked layers of an image, topmost first, as overlayfs wants
    /// them. They stay only while the image does; who mounts them asks
    /// [`Images::hold`].
    ///
    /// Many layers make a long option: mount them with `fsconfig` and
    /// `lowerdir+`, which has no limit of a page.
    pub fn rootfs(&self, image: &Image) -> Result<Vec<PathBuf>, Error> {
        let layers = image.chain.iter().rev();
        layers
            .map(|chain| {
                let path = self.layer(chain).join("fs");
                if path.is_dir() {
                    return Ok(path);
                }
                Err(Error::LayerMissing {
                    image: image.id,
                    chain: *chain,
                })
            })
            .collect()
    }

    /// Gives an image one more name.
    pub fn tag(&self, text: &str, name: &Reference) -> Result<(), Error> {
        let image = self.find(text)?;
        self.change(|index| index.name(name, image.id, None))?;
        self.collect().map(drop)
    }

    /// Says whether an image may be removed to make room.
    pub fn pin(&self, text: &str, pinned: bool) -> Result<(), Error> {
        let image = self.find(text)?;
        self.change(|index| index.pin(&image.id, pinned))
    }

    /// The diff ID of a layer, if the layer is there.
    pub(crate) fn diff_id(&self, chain: &Digest) -> Option<Digest> {
        LayerMeta::read(&self.layer(chain)).map(|meta| meta.diff_id)
    }

    pub(crate) fn layer(&self, chain: &Digest) -> PathBuf {
        self.inner.directory.join("layers").join(chain.hex())
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.inner.directory.join("blobs/sha256").join(hex)
    }

    fn ingest_directory(&self) -> PathBuf {
        self.inner.directory.join("ingest")
    }

    fn lock(&self) -> Lock {
        Lock::new(self.inner.directory.join("lock"))
    }

    fn index_lock(&self) -> Lock {
        Lock::new(self.inner.directory.join("index.lock"))
    }

    /// The index as it is on disk now.
    fn index(&self) -> Result<Arc<Index>, Error> {
        let mut cache = self
            .inner
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.load(&self.inner.directory.join("index.json"))
    }

    /// Changes the index, alone among all threads and processes.
    fn change<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T, Error> {
        let directory = &self.inner.directory;
        let _lock = self.index_lock().exclusive()?;
        let mut index = Index::clone(&*self.index()?);
        let result = change(&mut index);
        index.save(&directory.join("index.json"))?;
        Ok(result)
    }
}

fn check_version(directory: &Path) -> Result<(), Error> {
    let path = directory.join("version");
    match std::fs::read_to_string(&path) {
        Ok(found) if found.trim_end() == VERSION => Ok(()),
        Ok(found) => Err(Error::Version {
            path: directory.to_owned(),
            found: found.trim_end().to_owned(),
            expected: VERSION,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            files::replace(&path, format!("{VERSION}\n").as_bytes())
        }
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn identifier(text: &str) -> Option<Digest> {
    Digest::from_hex(text.strip_prefix("sha256:").unwrap_or(text))
}

fn parse(text: &str) -> Result<Reference, Error> {
    Reference::parse(text).map_err(|source| Error::Reference {
        text: text.to_owned(),
        source,
    })
}
