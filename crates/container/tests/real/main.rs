//! The embedded runtime with real containers, as root on this kernel.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod adopt;
mod exec;
mod isolation;
mod limits;
mod node;
mod run;
