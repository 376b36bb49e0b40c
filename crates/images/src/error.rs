//! What can go wrong with the store as a whole.

use std::{io, path::PathBuf};

use crate::{archive, digest::Digest, reference, unpack};

/// An operation on the image store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The directory was written by another version of the store.
    #[error("image store {} has format {found:?}; this program reads format {expected:?}", path.display())]
    Version {
        /// The store's directory.
        path: PathBuf,
        /// What its version file says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// The index of images cannot be read.
    #[error("image index {} is damaged; remove it and import the images again", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A record of a pull cannot be read.
    #[error("record {} of a pull is damaged", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A text does not name an image.
    #[error("couldn't parse image name {text:?}")]
    Reference {
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: reference::Error,
    },
    /// No image has this name or ID.
    #[error("no such image: {0}")]
    NotFound(String),
    /// Several images have an ID that starts so.
    #[error("image ID {prefix:?} is ambiguous: {candidates:?}")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// IDs that start so.
        candidates: Vec<String>,
    },
    /// An image's layer is gone from the disk.
    #[error("image {image} lacks its layer {chain}; import it again")]
    LayerMissing {
        /// The image.
        image: Digest,
        /// The missing layer's chain ID.
        chain: Digest,
    },
    /// The archive cannot be used.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The image is for another machine.
    #[error("image {image} is for {found}, this machine is {here}")]
    Platform {
        /// What names the image.
        image: String,
        /// What it is for.
        found: String,
        /// What would do.
        here: String,
    },
    /// A document of an image is no JSON of its kind.
    #[error("{what} {digest} is not valid")]
    Document {
        /// The kind of document.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Configuration and manifest disagree.
    #[error("image {image} has {layers} layers, its configuration names {diff_ids}")]
    LayerCount {
        /// The image.
        image: Digest,
        /// Layers in the manifest.
        layers: usize,
        /// Layers in the configuration.
        diff_ids: usize,
    },
    /// More layers than overlayfs can stack.
    #[error("image {image} has {layers} layers; more than {max} cannot be stacked")]
    Layers {
        /// The image.
        image: Digest,
        /// How many it has.
        layers: usize,
        /// How many can be stacked.
        max: usize,
    },
    /// Content is not what its digest says.
    #[error("{what} should be {expected} but is {found}")]
    Digest {
        /// What was read.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Content is larger than its descriptor says.
    #[error("{what} should have {expected} bytes but has {found}")]
    Size {
        /// What was read.
        what: String,
        /// What it should have.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// A layer cannot be unpacked.
    #[error("unpack layer {layer}")]
    Unpack {
        /// Its diff ID.
        layer: Digest,
        /// Why not.
        #[source]
        source: unpack::Error,
    },
    /// A layer's bytes cannot be read.
    #[error("read layer {layer}")]
    Layer {
        /// Its diff ID.
        layer: Digest,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A layer cannot be packed again.
    #[error(
        "pack layer {layer} again; if an earlier version unpacked it, remove the image and bring it anew"
    )]
    Export {
        /// Its diff ID.
        layer: Digest,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A name was given for an archive that has several images.
    #[error("the archive has {0} images; one name cannot be given to all of them")]
    NameForMany(usize),
    /// A holder's name cannot be a file name.
    #[error("{0:?} cannot name a holder of images")]
    Holder(String),
}

impl Error {
    /// For `map_err`: an operation on a path failed.
    pub(crate) fn io<E: Into<io::Error>>(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io {
            operation,
            path,
            source: source.into(),
        }
    }
}

/// An error with its causes, as one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
