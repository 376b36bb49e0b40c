//! `uncordon`: lets pods onto nodes again.

use super::cordon;
use crate::error::Result;
use crate::shell::Shell;

pub use super::cordon::Args;

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    cordon::mark(shell, args, false).await
}
