//! Bytes to object and back, driven by schema data, never by kind.
//!
//! [`json`], [`yaml`] and [`protobuf`] read bytes into a tree; [`conform`] makes a tree what
//! Go's typed decoder would have made of it; [`patch`] and [`apply`] change it.

pub mod apply;
pub mod conform;
pub mod json;
pub mod patch;
pub mod pick;
pub mod protobuf;
pub mod yaml;

pub use conform::{Mismatch, complete, conform};
