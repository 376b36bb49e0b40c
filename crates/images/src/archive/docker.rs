//! What `docker save` wrote before version 25: `manifest.json`, a
//! configuration and a layer tar for each image.

use super::{Archive, Error, named, parse, verify};
use crate::{
    digest::Digest,
    document::{Configuration, DockerImage},
    source::{Candidate, Layer},
};

pub(super) fn candidates(archive: &Archive) -> Result<Vec<Candidate>, Error> {
    let content = archive.document("manifest.json")?;
    let images: Vec<DockerImage> = parse("manifest.json", &content)?;
    if images.is_empty() {
        return Err(Error::NoImage);
    }
    images
        .iter()
        .map(|image| candidate(archive, image))
        .collect()
}

fn candidate(archive: &Archive, image: &DockerImage) -> Result<Candidate, Error> {
    let configuration_bytes = archive.document(&image.config)?;
    let id = Digest::of(&configuration_bytes);
    if let Some(expected) = digest_in(&image.config) {
        verify(&image.config, expected, &configuration_bytes)?;
    }
    let configuration: Configuration = parse(&image.config, &configuration_bytes)?;
    let references = image
        .repo_tags
        .iter()
        .map(|text| named(text))
        .collect::<Result<_, _>>()?;
    let layers: Vec<Layer> = image.layers.iter().map(|name| layer(name)).collect();
    check_count(id, layers.len(), &configuration)?;
    Ok(Candidate {
        references,
        manifest: None,
        id,
        configuration_bytes,
        configuration,
        layers,
    })
}

/// Layers are verified by their diff IDs; a blob's name adds nothing but is
/// believed to be one if it looks so.
fn layer(name: &str) -> Layer {
    let digest = name
        .starts_with("blobs/")
        .then(|| digest_in(name))
        .flatten();
    Layer {
        name: name.to_owned(),
        digest,
        size: None,
    }
}

/// The digest in a name such as `<hex>.json` or `blobs/sha256/<hex>`.
fn digest_in(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next().unwrap_or(name);
    Digest::from_hex(last.strip_suffix(".json").unwrap_or(last))
}

/// Refuses an image whose layers and configuration do not match.
pub(super) fn check_count(
    image: Digest,
    layers: usize,
    configuration: &Configuration,
) -> Result<(), Error> {
    let diff_ids = configuration.rootfs.diff_ids.len();
    if layers != diff_ids {
        return Err(Error::LayerCount {
            image,
            layers,
            diff_ids,
        });
    }
    Ok(())
}
