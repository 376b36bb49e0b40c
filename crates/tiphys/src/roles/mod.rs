//! What the binary can be, a file each.

pub mod image;
pub mod reset;
pub mod server;
