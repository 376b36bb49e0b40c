//! OCI image layouts: `index.json` and `blobs/`.
//!
//! Names come from the annotations that containerd and skopeo write; the
//! rules follow containerd, core/images/archive/importer.go.

use super::{Archive, Error, named, parse, verify};
use crate::{
    document::{Configuration, Descriptor, Index, Manifest, Platform},
    reference::Reference,
    source::{Candidate, Layer},
};

/// Indexes within indexes that are followed.
const NESTED_MAX: usize = 4;

pub(super) fn candidates(
    archive: &Archive,
    platform: &Platform,
    name: Option<&Reference>,
) -> Result<Vec<Candidate>, Error> {
    let content = archive.document("index.json")?;
    let index: Index = parse("index.json", &content)?;
    let mut candidates = Vec::new();
    let mut others = Vec::new();
    for descriptor in &index.manifests {
        let references = names(descriptor, name)?;
        let found = pick(archive, descriptor, platform, 0)?;
        others.extend(found.others);
        if let Some((mut candidate, _)) = found.candidate {
            candidate.references = references;
            merge(&mut candidates, candidate);
        }
    }
    if candidates.is_empty() {
        return Err(Error::Platform {
            here: platform.to_string(),
            found: others.join(", "),
        });
    }
    Ok(candidates)
}

/// The same image may be listed once for each of its names.
fn merge(candidates: &mut Vec<Candidate>, candidate: Candidate) {
    let same = |other: &&mut Candidate| {
        other.id == candidate.id
            && other.manifest.as_ref().map(|(digest, _)| digest)
                == candidate.manifest.as_ref().map(|(digest, _)| digest)
    };
    match candidates.iter_mut().find(same) {
        Some(other) => other.references.extend(candidate.references),
        None => candidates.push(candidate),
    }
}

/// What one entry of the index has for this machine.
#[derive(Default)]
struct Found {
    candidate: Option<(Candidate, u8)>,
    /// Platforms that it has besides.
    others: Vec<String>,
}

fn pick(
    archive: &Archive,
    descriptor: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<Found, Error> {
    if depth > NESTED_MAX {
        return Err(Error::Nested(NESTED_MAX));
    }
    if let Some(other) = foreign(descriptor, platform) {
        return Ok(Found {
            candidate: None,
            others: vec![other],
        });
    }
    if descriptor.is_index() {
        let (path, content) = blob(archive, descriptor)?;
        let index: Index = parse(&path, &content)?;
        return pick_best(archive, &index.manifests, platform, depth);
    }
    if !descriptor.is_manifest() {
        return Err(Error::MediaType {
            what: blob_path(descriptor),
            media_type: descriptor.media_type.clone(),
        });
    }
    let candidate = candidate(archive, descriptor)?;
    let built_for = &candidate.configuration.platform;
    if !built_for.runs_on(platform) {
        return Ok(Found {
            candidate: None,
            others: vec![built_for.to_string()],
        });
    }
    // Plain amd64 goes before amd64/v3, which this processor may not be.
    let rank = u8::from(!descriptor_variant(descriptor).is_empty());
    Ok(Found {
        candidate: Some((candidate, rank)),
        others: Vec::new(),
    })
}

fn pick_best(
    archive: &Archive,
    descriptors: &[Descriptor],
    platform: &Platform,
    depth: usize,
) -> Result<Found, Error> {
    let mut best = Found::default();
    for descriptor in descriptors {
        // An archive of one platform may still carry the whole index.
        if descriptor.platform.is_some() && !archive.has(&blob_path(descriptor)) {
            best.others.extend(foreign(descriptor, platform));
            continue;
        }
        let found = pick(archive, descriptor, platform, depth + 1)?;
        best.others.extend(found.others);
        if let Some((candidate, rank)) = found.candidate
            && best.candidate.as_ref().is_none_or(|(_, best)| rank < *best)
        {
            best.candidate = Some((candidate, rank));
        }
    }
    Ok(best)
}

fn descriptor_variant(descriptor: &Descriptor) -> &str {
    descriptor
        .platform
        .as_ref()
        .map_or("", |platform| &platform.variant)
}

/// Names the platform of a descriptor that is not for this machine. What
/// describes another image, such as an attestation, is for `unknown`.
fn foreign(descriptor: &Descriptor, platform: &Platform) -> Option<String> {
    let other = descriptor.platform.as_ref()?;
    (!other.runs_on(platform)).then(|| other.to_string())
}

fn candidate(archive: &Archive, descriptor: &Descriptor) -> Result<Candidate, Error> {
    let (path, manifest_bytes) = blob(archive, descriptor)?;
    let manifest: Manifest = parse(&path, &manifest_bytes)?;
    let (path, configuration_bytes) = blob(archive, &manifest.config)?;
    let configuration: Configuration = parse(&path, &configuration_bytes)?;
    let layers: Vec<Layer> = manifest
        .layers
        .iter()
        .map(layer)
        .collect::<Result<_, _>>()?;
    let id = manifest.config.digest;
    super::docker::check_count(id, layers.len(), &configuration)?;
    Ok(Candidate {
        references: Vec::new(),
        manifest: Some((descriptor.digest, manifest_bytes)),
        id,
        configuration_bytes,
        configuration,
        layers,
    })
}

fn layer(descriptor: &Descriptor) -> Result<Layer, Error> {
    let media_type = &descriptor.media_type;
    let known = media_type.is_empty()
        || media_type.starts_with("application/vnd.oci.image.layer.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.");
    if !known || media_type.ends_with("+encrypted") {
        return Err(Error::MediaType {
            what: blob_path(descriptor),
            media_type: media_type.clone(),
        });
    }
    Ok(Layer {
        name: blob_path(descriptor),
        digest: Some(descriptor.digest),
        size: Some(descriptor.size),
    })
}

fn blob(archive: &Archive, descriptor: &Descriptor) -> Result<(String, Vec<u8>), Error> {
    let path = blob_path(descriptor);
    let content = archive.document(&path)?;
    verify(&path, descriptor.digest, &content)?;
    Ok((path, content))
}

fn blob_path(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.digest.hex())
}

/// The names of an image: what containerd annotates, else a whole name or
/// the tag alone, which needs a name from elsewhere.
fn names(descriptor: &Descriptor, name: Option<&Reference>) -> Result<Vec<Reference>, Error> {
    let annotation = |key| {
        descriptor
            .annotations
            .get(key)
            .filter(|text| !text.is_empty())
    };
    if let Some(text) = annotation("io.containerd.image.name") {
        return Ok(vec![named(text)?]);
    }
    match annotation("org.opencontainers.image.ref.name") {
        Some(text) if text.contains(['/', ':', '@']) => Ok(vec![named(text)?]),
        Some(tag) => match name {
            Some(name) => Ok(vec![named(&format!("{}:{tag}", name.repository()))?]),
            None => Ok(Vec::new()),
        },
        None => Ok(Vec::new()),
    }
}
