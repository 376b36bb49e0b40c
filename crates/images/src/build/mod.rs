//! Makes images without a registry: for tests, and from the programs that a
//! machine has.
//!
//! Equal recipes give equal archives, byte by byte.

mod layer;
mod recipe;
mod recipes;
mod write;

use std::{io, path::PathBuf};

pub use layer::Layer;
pub use recipe::{Pack, Recipe};
pub use recipes::{NginxFiles, busybox_image, nginx_image};
pub use write::{write_docker, write_oci};

use crate::reference;

/// Why an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that goes into it cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program that tells what goes into it does not run.
    #[error("run {command}")]
    Run {
        /// The program with its arguments.
        command: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program that tells what goes into it failed.
    #[error("{command} failed: {output}")]
    Failed {
        /// The program with its arguments.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A program needs a library that is not there.
    #[error("{} needs {library}, which is not installed", program.display())]
    Library {
        /// The program.
        program: PathBuf,
        /// The library.
        library: String,
    },
    /// The image's name is none.
    #[error("couldn't parse image name {text:?}")]
    Reference {
        /// The name.
        text: String,
        /// What is wrong with it.
        #[source]
        source: reference::Error,
    },
    /// The archive cannot be written.
    #[error("write the archive")]
    Write(#[source] io::Error),
}
