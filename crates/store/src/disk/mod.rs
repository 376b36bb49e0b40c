//! The door to the disk: one directory of flat files.
//!
//! The engine sees nothing of the disk but this, so the simulator can tear
//! writes, lose what was not synced, fill up, fail and cut the power.
//!
//! The contract is what Linux gives: data is durable after `sync` of its
//! file, names after `sync_dir`; when a sync fails, nobody knows which of the
//! writes since the last one are on the disk, and a later sync that succeeds
//! does not mean that they are.

mod real;
mod simulated;

use std::{any::Any, io, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

pub use real::RealDisk;
pub use simulated::{Faults, SimulatedDisk};

/// Held while a process owns a directory.
pub type Lock = Box<dyn Any + Send + Sync>;

/// A directory of files.
#[async_trait]
pub trait Disk: Send + Sync + 'static {
    /// Claims the directory for this process, or tells who has it.
    async fn lock(&self) -> Result<Lock, LockError>;

    /// The names of all files.
    async fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new file of `len` zeros whose blocks are allocated, so that
    /// writing over them later neither fails for want of space nor needs
    /// metadata to be synced.
    async fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>>;

    /// Opens an existing file.
    async fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, replacing what had it.
    async fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    async fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    async fn sync_dir(&self) -> io::Result<()>;

    /// Whether operations block the calling thread, so that the engine should
    /// use threads of its own; otherwise it uses tasks.
    fn blocks(&self) -> bool;

    /// What to call a file in a message to a person.
    fn describe(&self, name: &str) -> String;
}

/// An open file.
#[async_trait]
pub trait File: Send + Sync + 'static {
    /// Reads up to `len` bytes; fewer only at the end of the file.
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// Writes all of `data`.
    async fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes everything written durable.
    async fn sync(&self) -> io::Result<()>;

    /// The length of the file.
    async fn size(&self) -> io::Result<u64>;

    /// Cuts the file, or lengthens it with a hole.
    async fn set_len(&self, len: u64) -> io::Result<()>;
}

/// Why a directory could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("in use by {holder}")]
    Held {
        /// Who, as far as it is known.
        holder: String,
    },
    /// The lock could not be tried.
    #[error(transparent)]
    Io(#[from] io::Error),
}
