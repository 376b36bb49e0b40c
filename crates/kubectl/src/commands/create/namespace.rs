//! `create namespace`.

use super::Common;
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    pub(super) fn object(&self) -> Value {
        value!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": (self.name.as_str()), "creationTimestamp": null},
            "spec": {}, "status": {}
        })
    }
}
