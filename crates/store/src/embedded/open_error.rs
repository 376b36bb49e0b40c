//! The ways in which opening a store can fail.

use std::io;

use crate::disk::Disk;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("{dir} is in use by {holder}")]
    Locked {
        /// The directory.
        dir: String,
        /// Who has it.
        holder: String,
    },
    /// The disk did not do what was asked.
    #[error("{operation} {file}")]
    Io {
        /// What was asked.
        operation: &'static str,
        /// Of which file.
        file: String,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// What was once durable is not there as it was written.
    #[error("{file} is damaged at offset {offset}: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A newer version wrote the files.
    #[error("{file} has format {found}, which this version does not know")]
    Format {
        /// The file.
        file: String,
        /// The format.
        found: u32,
    },
}

/// What is wrong with a file.
pub(super) fn damaged(disk: &dyn Disk, name: &str, offset: u64, what: &'static str) -> OpenError {
    let file = disk.describe(name);
    OpenError::Damaged { file, offset, what }
}

/// Makes an error of the disk one of opening.
pub(super) fn io_error(
    disk: &dyn Disk,
    operation: &'static str,
    name: &str,
) -> impl FnOnce(io::Error) -> OpenError + use<> {
    let file = disk.describe(name);
    move |source| OpenError::Io {
        operation,
        file,
        source,
    }
}
