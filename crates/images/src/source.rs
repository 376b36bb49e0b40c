//! What an image is made of before the store has it, wherever it comes from.
//!
//! An archive on disk is one source of blobs; a registry is another. Both
//! describe images as [`Candidate`]s and open their layers when asked; the
//! store verifies, unpacks and indexes.

use std::io::{self, Read};

use crate::{digest::Digest, document::Configuration, reference::Reference};

/// An image that the store may take in.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Names it shall have.
    pub references: Vec<Reference>,
    /// Its manifest, verified, where its source has manifests.
    pub manifest: Option<(Digest, Vec<u8>)>,
    /// Its ID.
    pub id: Digest,
    /// The configuration's bytes, verified to be `id`.
    pub configuration_bytes: Vec<u8>,
    /// The configuration, read.
    pub configuration: Configuration,
    /// Its layers, lowest first: as many as the configuration has diff IDs.
    pub layers: Vec<Layer>,
}

/// A layer as its source names it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What to give [`Blobs::open`].
    pub name: String,
    /// The digest of its bytes as they come, where the source states one.
    pub digest: Option<Digest>,
    /// Their number, where the source states it.
    pub size: Option<u64>,
}

/// Opens layers.
pub trait Blobs {
    /// The bytes of a layer, possibly compressed, from their start. They are
    /// not verified yet.
    fn open(&self, layer: &Layer) -> io::Result<Box<dyn Read + Send + '_>>;
}
