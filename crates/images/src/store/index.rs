//! Which images there are and how they are called.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::files;
use crate::{
    digest::Digest,
    error::Error,
    image::{Image, Settings},
    reference::Reference,
};

/// Images and names, as in `index.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    pub images: BTreeMap<Digest, Record>,
    pub references: BTreeMap<Reference, Named>,
}

/// An image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub chain: Vec<Digest>,
    pub size: u64,
    #[serde(default)]
    pub pinned: bool,
    pub settings: Settings,
}

/// What a name means.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Named {
    pub image: Digest,
    /// The manifest by which it came, if its source has manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
}

impl Index {
    pub(super) fn images(&self) -> Vec<Image> {
        self.images.keys().filter_map(|id| self.image(id)).collect()
    }

    pub(super) fn image(&self, id: &Digest) -> Option<Image> {
        let record = self.images.get(id)?;
        let mut tags = BTreeSet::new();
        let mut digests = BTreeSet::new();
        for (reference, named) in self.references.iter().filter(|(_, n)| n.image == *id) {
            match reference.digest() {
                Some(_) => digests.insert(reference.to_string()),
                None => tags.insert(reference.to_string()),
            };
            digests.extend(named.manifest.map(|m| reference.at(m).to_string()));
        }
        Some(Image {
            id: *id,
            repo_tags: tags.into_iter().collect(),
            repo_digests: digests.into_iter().collect(),
            size: record.size,
            pinned: record.pinned,
            settings: record.settings.clone(),
            chain: record.chain.clone(),
        })
    }

    /// The image of a name. A digest may be that of the manifest by which any
    /// tag of the same repository came.
    pub(super) fn resolve(&self, reference: &Reference) -> Option<Digest> {
        let reference = reference.canonical();
        if let Some(named) = self.references.get(&reference) {
            return Some(named.image);
        }
        let digest = reference.digest()?;
        self.references
            .iter()
            .find(|(other, named)| {
                named.manifest == Some(digest)
                    && other.domain() == reference.domain()
                    && other.path() == reference.path()
            })
            .map(|(_, named)| named.image)
    }

    /// Images whose ID starts so.
    pub(super) fn with_prefix(&self, prefix: &str) -> Vec<Digest> {
        if prefix.is_empty() {
            return Vec::new();
        }
        let ids = self.images.keys().copied();
        ids.filter(|id| id.hex().starts_with(prefix)).collect()
    }

    pub(super) fn add(&mut self, id: Digest, record: Record) {
        let pinned = self.images.get(&id).is_some_and(|old| old.pinned);
        let pinned = pinned || record.pinned;
        self.images.insert(id, Record { pinned, ..record });
    }

    /// Gives a name. An image that loses its last name by that goes.
    pub(super) fn name(&mut self, name: &Reference, image: Digest, manifest: Option<Digest>) {
        let named = Named { image, manifest };
        let before = self.references.insert(name.canonical(), named);
        if let Some(before) = before
            && before.image != image
        {
            self.remove_nameless(&before.image);
        }
    }

    pub(super) fn pin(&mut self, id: &Digest, pinned: bool) {
        if let Some(record) = self.images.get_mut(id) {
            record.pinned = pinned;
        }
    }

    /// Takes a name away, and its image with the last one. Says whether the
    /// image went.
    pub(super) fn untag(&mut self, name: &Reference) -> Option<(Digest, bool)> {
        let named = self.references.remove(name)?;
        Some((named.image, self.remove_nameless(&named.image)))
    }

    /// Removes an image with all its names, which it returns.
    pub(super) fn remove(&mut self, id: &Digest) -> Vec<Reference> {
        let of_image = |(_, named): &(&Reference, &Named)| named.image == *id;
        let names = self.references.iter().filter(of_image);
        let names: Vec<Reference> = names.map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.references.remove(name);
        }
        self.images.remove(id);
        names
    }

    fn remove_nameless(&mut self, id: &Digest) -> bool {
        let named = self.references.values().any(|named| named.image == *id);
        !named && self.images.remove(id).is_some()
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), Error> {
        let content = serde_json::to_vec_pretty(self).map_err(|source| Error::Index {
            path: path.to_owned(),
            source,
        })?;
        files::replace(path, &content)
    }
}

/// The index as it was read last. Another process may have replaced it since.
#[derive(Default)]
pub(super) struct Cache {
    read: Option<(Stamp, Arc<Index>)>,
}

/// Tells one file from the one that replaced it.
type Stamp = (u64, i64, i64, u64);

impl Cache {
    pub(super) fn load(&mut self, path: &Path) -> Result<Arc<Index>, Error> {
        let stamp = match fs::metadata(path) {
            Ok(file) => (file.ino(), file.mtime(), file.mtime_nsec(), file.size()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.read = None;
                return Ok(Arc::default());
            }
            Err(error) => return Err(Error::io("look at", path)(error)),
        };
        if let Some((known, index)) = &self.read
            && *known == stamp
        {
            return Ok(index.clone());
        }
        let content = fs::read(path).map_err(Error::io("read", path))?;
        let index: Index = serde_json::from_slice(&content).map_err(|source| Error::Index {
            path: path.to_owned(),
            source,
        })?;
        let index = Arc::new(index);
        self.read = Some((stamp, index.clone()));
        Ok(index)
    }
}
