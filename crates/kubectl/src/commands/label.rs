//! `label`: sets and removes labels.

use crate::error::Result;
use crate::marking::{self, Mark};
use crate::shell::Shell;

pub use crate::marking::Args;

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let mark = Mark {
        field: "labels",
        noun: "label",
        verb: "label",
    };
    marking::run(shell, args, &mark).await
}
