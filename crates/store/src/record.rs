//! What is stored at a key.

use bytes::Bytes;

use crate::{Blob, Revision};

/// A key's value with its place in history.
///
/// Key and value are shared, not copied, among the store, its readers and its
/// watchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Blob,
    /// The commit that made the key exist.
    pub created: Revision,
    /// The commit that wrote this value.
    pub modified: Revision,
    /// How often the key was written since it was created, starting at one.
    pub version: u64,
}
