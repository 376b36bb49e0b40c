//! Commands of upstream that are not there yet, refused by name.

use crate::error::{Result, said};
use crate::shell::Shell;

/// Whatever the arguments are.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

/// Refuses.
pub async fn run(_: &Shell, args: Args) -> Result {
    drop(args.rest);
    said("this command is not supported yet; use a stock kubectl with the same kubeconfig")
}
