//! The command line of a cluster, as users of upstream's kubectl know it.
//!
//! A command is a file in `commands/` and a line of one table. What a kind is called and where it
//! is served comes from the cluster's discovery, never from a list in the code.

pub mod custom_columns;
pub mod describe;
pub mod jsonpath;
pub mod kustomize;
pub mod kyaml;
pub mod tabwriter;
pub mod template;
