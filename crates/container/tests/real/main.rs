//! The embedded runtime with real containers, as root on this kernel.

mod adopt;
mod exec;
mod isolation;
mod limits;
mod node;
mod run;
