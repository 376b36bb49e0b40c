//! The command line of a cluster, as users of upstream's kubectl know it.
//!
//! A command is a file in `commands/` and a line of one table. What a kind is called and where it
//! is served comes from the cluster's discovery, never from a list in the code.

mod api;
mod attachable;
mod change;
mod cli;
mod commands;
mod completion;
mod config;
pub mod custom_columns;
mod deleting;
mod deriving;
pub mod describe;
mod discovery;
mod editing;
mod error;
mod explain;
mod globals;
mod help;
mod io;
pub mod jsonpath;
pub mod kustomize;
pub mod kyaml;
pub mod man;
mod marking;
mod overriding;
mod pods;
mod preferences;
mod print;
mod select;
mod shell;
mod sorting;
mod streaming;
pub mod tabwriter;
pub mod template;
mod usage;
mod words;

pub use cli::{command, main};
pub use commands::completion::script;
pub use completion::{answer, answer_for};
