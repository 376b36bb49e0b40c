//! Patches that are applied here, without the server: overrides of what is generated, and `patch`
//! when it is only tried.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/util/override_options.go.

use crate::api::{JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH};
use crate::error::{Result, said};
use crate::words::quote;
use meta::Value;

/// The options of commands that generate objects.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct OverrideArgs {
    /// An inline JSON override for the generated object.
    #[arg(long, default_value = "")]
    overrides: String,
    /// The method used to override the generated object: json, merge, or strategic.
    #[arg(long, default_value = "merge")]
    override_type: String,
}

impl OverrideArgs {
    /// The object as the options want it.
    pub fn apply(&self, object: &Value) -> Result<Value> {
        if self.overrides.is_empty() {
            return Ok(object.clone());
        }
        let kind = match self.override_type.as_str() {
            "json" => JSON_PATCH,
            "merge" | "" => MERGE_PATCH,
            "strategic" => STRATEGIC_PATCH,
            other => return said(format!("invalid override type: {other}")),
        };
        let patch = codec::yaml::parse(&self.overrides)
            .or_else(|error| said(format!("parse --overrides: {error}")))?;
        patched(object, kind, &patch)
    }
}

/// An object with a patch applied to it.
pub fn patched(object: &Value, kind: &str, patch: &Value) -> Result<Value> {
    let mut object = object.clone();
    let done = match kind {
        JSON_PATCH => codec::patch::json::apply(&mut object, patch),
        MERGE_PATCH => {
            codec::patch::merge::apply(&mut object, patch.clone());
            Ok(())
        }
        _ => {
            let (version, name) = (object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
            let Some(schema) = api::schema::of(version, name) else {
                return said(format!(
                    "strategic merge patch is not supported for {version}, Kind={name} locally, try --type merge"
                ));
            };
            codec::patch::strategic::apply(&mut object, patch.clone(), schema)
        }
    };
    match done {
        Ok(()) => Ok(object),
        Err(error) => said(format!(
            "cannot patch {}: {}",
            quote(object.str_at(&["metadata", "name"])),
            client::chain(&error)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn overrides_are_merged_as_their_type_says() {
        let pod = value!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": "x"}]}});
        let spec = |kind: &str, text: &str| {
            let args = OverrideArgs {
                overrides: text.into(),
                override_type: kind.into(),
            };
            args.apply(&pod)
                .map(|made| made.at(&["spec", "containers"]).map(Value::to_json))
        };
        let text = r#"{"spec": {"containers": [{"name": "a", "tty": true}]}}"#;
        let merged = r#"[{"name":"a","tty":true}]"#;
        assert_eq!(spec("merge", text).expect("a pod").as_deref(), Some(merged));
        let strategic = r#"[{"image":"x","name":"a","tty":true}]"#;
        assert_eq!(
            spec("strategic", text).expect("a pod").as_deref(),
            Some(strategic)
        );
        assert!(spec("other", text).is_err());
    }
}
