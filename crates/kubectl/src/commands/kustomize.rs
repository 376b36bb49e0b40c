//! `kustomize`: builds the objects of a folder and prints them.

use crate::error::{Result, said};
use crate::shell::Shell;
use crate::{io, kustomize};
use meta::Value;
use std::path::Path;

/// The arguments of `kustomize`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder; the current one by default.
    #[arg(default_value = ".")]
    folder: String,
}

/// Runs it.
pub async fn run(_: &Shell, args: Args) -> Result {
    let mut text = String::new();
    for object in build(&args.folder)? {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&codec::yaml::write(&object));
    }
    crate::io::out(&text);
    Ok(())
}

/// The objects of a kustomization.
pub fn build(folder: &str) -> Result<Vec<Value>> {
    let built = kustomize::build(&kustomize::Disk, Path::new(folder));
    let built = built.or_else(|error| said(words(&error)))?;
    for warning in &built.warnings {
        io::warn(format!("# Warning: {warning}"));
    }
    Ok(built.objects)
}

fn words(error: &dyn std::error::Error) -> String {
    client::chain(error)
}
