//! Builds the objects of a kustomization folder, as kustomize 5 does, but for
//! plugins, Helm charts, variables and anything remote, which are refused.
//!
//! Files are read through [`Files`]; all else works on trees.

mod build;
mod fields;
mod generate;
mod order;
mod patch;
mod pattern;
mod references;
mod replace;
mod resource;
#[cfg(test)]
mod tests;
mod transform;

use meta::Value;
use std::io;
use std::path::{Path, PathBuf};

/// Where a kustomization's files are.
pub trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether there is a folder of this name.
    fn is_dir(&self, path: &Path) -> bool;
    /// Whether a kustomization may name files in its own folder only, and below it.
    fn is_confined(&self) -> bool {
        true
    }
}

/// The machine's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk {
    /// Whether a kustomization may name files anywhere.
    pub anywhere: bool,
}

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }
    fn is_confined(&self) -> bool {
        !self.anywhere
    }
}

/// Why a kustomization cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder has no kustomization.
    #[error(
        "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
        .0.display()
    )]
    NoKustomization(PathBuf),
    /// A folder includes itself.
    #[error("cycle detected: {} is included while it is being built", .0.display())]
    Cycle(PathBuf),
    /// A file cannot be read.
    #[error("reading {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is named lies elsewhere.
    #[error("security; file '{}' is not in or below '{}'", path.display(), root.display())]
    Outside {
        /// Which one.
        path: PathBuf,
        /// Where it should be.
        root: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", path.display())]
    Malformed {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The kustomization asks for something that this program does not do.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// The kustomization does not fit its objects.
    #[error("{0}")]
    Misfit(String),
}

/// What a build gave.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// The objects, in the order in which they should be applied.
    pub objects: Vec<Value>,
    /// What a user should change.
    pub warnings: Vec<String>,
}

impl Built {
    /// The objects as a stream of YAML documents.
    pub fn to_yaml(&self) -> String {
        let documents: Vec<String> = self.objects.iter().map(codec::yaml::write).collect();
        documents.join("---\n")
    }
}

/// Builds a folder.
pub fn build(files: &dyn Files, folder: &Path) -> Result<Built, Error> {
    build::build(files, folder)
}
