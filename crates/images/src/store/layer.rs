//! One layer on its way into the store: verified, unpacked, published.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags};
use serde::{Deserialize, Serialize};

use super::{
    files::{sync_directory, sync_file_system},
    work::Work,
};
use crate::{
    compression,
    digest::{Digest, Verifier},
    error::Error,
    export,
    source::{Blobs, Layer},
    tarball::outline::Recorder,
    unpack::{self, Limits, Unpacked},
};

/// A layer and where it comes from.
pub(super) struct Source<'a> {
    pub layer: &'a Layer,
    pub diff_id: Digest,
    pub blobs: &'a dyn Blobs,
}

impl Source<'_> {
    /// Unpacks the layer, and verifies what went through: the bytes as they
    /// came, and the bytes of the archive inside.
    pub(super) fn unpack(
        &self,
        root: &Path,
        parents: &[PathBuf],
        limits: Limits,
    ) -> Result<Unpacked, Error> {
        let stream = self.blobs.open(self.layer).map_err(self.unreadable())?;
        let mut packed = Verifier::new(stream);
        let plain = compression::decompress(&mut packed).map_err(self.unreadable())?;
        let bounded = Bounded {
            inner: plain,
            left: limits.bytes_max.saturating_add(limits.entries_max * 4096),
        };
        let outline = root.parent().unwrap_or(root);
        let outline = export::begin_outline(outline).map_err(Error::io("create", outline))?;
        let mut plain = Recorder::new(Verifier::new(bounded), outline);
        let unpacked =
            unpack::unpack(&mut plain, root, parents, limits).map_err(|source| Error::Unpack {
                layer: self.diff_id,
                source,
            })?;
        let (plain, outline) = plain.finish().map_err(self.unreadable())?;
        export::end_outline(outline).map_err(Error::io("write the outline in", root))?;
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

    pub(super) fn write(&self, layer: &Path) -> Result<(), Error> {
        let path = layer.join("meta.json");
        let content = serde_json::to_vec(self).map_err(|source| Error::Index {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, content).map_err(Error::io("write", path))
    }
}

/// Moves an unpacked layer to its place, when all of it is on disk.
pub(super) fn publish(place: &Path, target: &Path) -> Result<(), Error> {
    sync_file_system(place)?;
    match rustix::fs::renameat_with(CWD, place, CWD, target, RenameFlags::NOREPLACE) {
        // Another process was faster.
        Err(rustix::io::Errno::EXIST) if LayerMeta::read(target).is_some() => Ok(()),
        // What is there is not whole.
        Err(rustix::io::Errno::EXIST) => {
            Work::remove_directory(target)?;
            fs::rename(place, target).map_err(Error::io("publish layer", target))
        }
        Err(error) => Err(Error::io("publish layer", target)(error)),
        Ok(()) => Ok(()),
    }?;
    sync_directory(target.parent().unwrap_or(Path::new("/")))
}
