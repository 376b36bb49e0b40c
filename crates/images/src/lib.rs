//! Images: content store, import and export, unpacking, snapshots,
//! registries, and the decision when to pull.
//!
//! The store's API blocks; asynchronous callers run it where blocking is
//! allowed. Unpacking needs root, `openat2` (Linux 5.6) and a file system with
//! `trusted.` attributes.

pub mod access;
pub mod archive;
pub mod build;
pub mod compression;
pub mod digest;
pub mod document;
mod error;
pub mod export;
mod image;
pub mod keyring;
pub mod pull;
pub mod reference;
pub mod registry;
pub mod source;
mod store;
pub mod tarball;
pub mod unpack;

pub use digest::Digest;
pub use error::{Error, chain};
pub use image::{Image, Settings};
pub use reference::Reference;
pub use store::{Collected, Images, ImportOptions, Imported, Removed, Usage};
