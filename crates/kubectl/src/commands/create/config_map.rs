//! `create configmap`.

use super::Common;
use super::sources::{Sources, hash_suffix, repeated};
use crate::error::{Result, said};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    #[command(flatten)]
    sources: Sources,
    /// Append a hash of the configmap to its name.
    #[arg(long)]
    append_hash: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    pub(super) fn object(&self) -> Result<Value> {
        let mut map = value!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": (self.name.as_str()), "creationTimestamp": null}
        });
        let entries = self.sources.entries()?;
        if let Some(key) = repeated(&entries) {
            return said(format!(
                "cannot add key \"{key}\", another key by that name already exists in Data for ConfigMap \"{}\"",
                self.name
            ));
        }
        for (key, bytes) in entries {
            match String::from_utf8(bytes) {
                Ok(text) => map.set_at(&["data", &key], text),
                Err(error) => map.set_at(&["binaryData", &key], STANDARD.encode(error.as_bytes())),
            }
        }
        if self.append_hash {
            let data = map
                .get("data")
                .map_or_else(|| "\"\"".to_string(), crate::print::compact);
            let binary = map.get("binaryData").map(crate::print::compact);
            let binary = binary.map_or(String::new(), |b| format!("\"binaryData\":{b},"));
            let name = crate::words::quote(&self.name);
            let json =
                format!("{{{binary}\"data\":{data},\"kind\":\"ConfigMap\",\"name\":{name}}}");
            map.set_at(
                &["metadata", "name"],
                format!("{}-{}", self.name, hash_suffix(&json)),
            );
        }
        Ok(map)
    }
}
