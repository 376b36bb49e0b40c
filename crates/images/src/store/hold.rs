//! Holds: layers that somebody has mounted.
//!
//! An image may be removed, or its name move on, while containers run from
//! it. Its layers stay as long as they are held. A hold outlives the process
//! that took it, because containers do.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Images, files};
use crate::{digest::Digest, error::Error};

#[derive(Serialize, Deserialize)]
struct Held {
    image: Digest,
    chain: Vec<Digest>,
}

impl Images {
    /// Keeps the layers of an image for `owner`, such as a container's ID,
    /// and returns them, topmost first. An owner holds one image; holding
    /// again replaces what it held.
    pub fn hold(&self, owner: &str, id: &Digest) -> Result<Vec<PathBuf>, Error> {
        let path = self.hold_path(owner)?;
        let _lock = self.lock().shared()?;
        let image = self
            .image(id)?
            .ok_or_else(|| Error::NotFound(id.to_string()))?;
        let layers = self.rootfs(&image)?;
        let held = Held {
            image: image.id,
            chain: image.chain,
        };
        let content = serde_json::to_vec(&held).map_err(|source| Error::Index {
            path: path.clone(),
            source,
        })?;
        // After a crash of the machine nothing is mounted any more.
        files::replace_quickly(&path, &content)?;
        Ok(layers)
    }

    /// Gives up what `owner` holds, if it holds anything.
    pub fn release(&self, owner: &str) -> Result<(), Error> {
        let path = self.hold_path(owner)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Who holds which image.
    pub fn holders(&self) -> Result<Vec<(String, Digest)>, Error> {
        let held = self.held()?;
        let pairs = held.into_iter().map(|(owner, held)| (owner, held.image));
        Ok(pairs.collect())
    }

    /// The layers that anybody holds.
    pub(super) fn held_layers(&self) -> Result<Vec<Digest>, Error> {
        let held = self.held()?;
        Ok(held.into_iter().flat_map(|(_, held)| held.chain).collect())
    }

    fn held(&self) -> Result<Vec<(String, Held)>, Error> {
        let directory = self.inner.directory.join("holds");
        let mut all = Vec::new();
        for entry in fs::read_dir(&directory).map_err(Error::io("list", &directory))? {
            let entry = entry.map_err(Error::io("list", &directory))?;
            let owner = entry.file_name().to_string_lossy().into_owned();
            if !owner.starts_with('.')
                && let Some(held) = read(&entry.path())?
            {
                all.push((owner, held));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    fn hold_path(&self, owner: &str) -> Result<PathBuf, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let good = !owner.is_empty()
            && owner.len() <= 200
            && !owner.starts_with('.')
            && owner.chars().all(plain);
        if !good {
            return Err(Error::Holder(owner.to_owned()));
        }
        Ok(self.inner.directory.join("holds").join(owner))
    }
}

/// Reads a hold, which may have been given up just now. One that the machine
/// lost when it stopped is empty, and holds nothing.
fn read(path: &Path) -> Result<Option<Held>, Error> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    Ok(serde_json::from_slice(&content).ok())
}
