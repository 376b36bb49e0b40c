//! Tar archives, read and written as image tools need them.
//!
//! The reader takes what Docker, BuildKit, skopeo, GNU tar and libarchive
//! write (ustar, GNU long names, PAX records), tolerates what they get wrong,
//! and trusts nothing: names and extended headers are bounded, numbers are
//! checked, and a stream that ends early is an error.

mod extended;
mod header;
pub mod outline;
mod reader;
mod writer;

pub use header::{Kind, Time};
pub use reader::{Entry, Error, Reader, Seeking, Skip};
pub use writer::{Member, Writer};

/// The unit of tar archives, in bytes.
pub const BLOCK: usize = 512;
