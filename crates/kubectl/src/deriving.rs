//! What `autoscale` and `expose` share: each makes a new object for every object that is named.

use crate::commands::apply::with_last_applied;
use crate::print::{DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs};
use meta::Value;

/// For which objects, and how what is made is called, kept and shown.
#[derive(clap::Args, Debug)]
pub struct DeriveArgs {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    pub(crate) print: PrintArgs,
    #[command(flatten)]
    pub(crate) dry_run: DryRunArgs,
    /// The name for the newly created object; that of the other object by default.
    #[arg(long, default_value = "")]
    name: String,
    /// If true, the configuration of current object will be saved in its annotation.
    #[arg(long)]
    save_config: bool,
}

impl DeriveArgs {
    /// The objects that are named.
    pub(crate) fn choice(&self) -> Choice<'_> {
        Choice {
            arguments: &self.resources,
            files: Some(&self.files),
            ..Choice::default()
        }
    }

    /// The name of what is made for another.
    pub(crate) fn name_beside<'a>(&'a self, other: &'a str) -> &'a str {
        match self.name.as_str() {
            "" => other,
            name => name,
        }
    }

    /// What is made, with a note of itself where that is asked for.
    pub(crate) fn noted(&self, made: Value) -> Value {
        match self.save_config {
            true => with_last_applied(&made),
            false => made,
        }
    }
}
