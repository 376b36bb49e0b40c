//! Commands of upstream that are not there yet, refused by name.

use crate::error::{Error, Result};
use crate::shell::Shell;

/// Whatever the arguments are.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

/// Refuses; the command line knows which command it is.
pub async fn run(_: &Shell, args: Args) -> Result {
    drop(args.rest);
    Err(Error::Absent)
}
