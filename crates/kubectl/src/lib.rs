//! The command line of a cluster, as users of upstream's kubectl know it.
//!
//! A command is a file in `commands/` and a line of one table. What a kind is called and where it
//! is served comes from the cluster's discovery, never from a list in the code.

mod api;
mod change;
mod cli;
mod commands;
mod config;
pub mod custom_columns;
mod deleting;
pub mod describe;
mod discovery;
mod error;
mod globals;
mod io;
pub mod jsonpath;
pub mod kustomize;
pub mod kyaml;
mod marking;
mod pods;
mod print;
mod select;
mod shell;
mod sorting;
pub mod tabwriter;
pub mod template;
mod three_way;
mod words;

pub use cli::main;
