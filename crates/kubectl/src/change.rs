//! What commands that write have in common: their options and their requests.

use crate::api::query;
use crate::error::{Result, said};
use crate::print::DryRun;
use crate::select::Info;
use crate::shell::Shell;
use http::Method;
use meta::Value;

/// The options of commands that write.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct WriteArgs {
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "")]
    pub field_manager: String,
    /// How unknown and duplicate fields are treated: strict (or true), warn, ignore (or false).
    #[arg(long, default_value = "strict", num_args = 0..=1, require_equals = true, default_missing_value = "strict")]
    pub validate: String,
}

/// How a request that writes is sent.
#[derive(Clone, Debug)]
pub struct Write {
    manager: String,
    dry_run: DryRun,
    validation: &'static str,
}

impl Write {
    /// As a manager that a command has by default.
    pub fn by(manager: &str, dry_run: DryRun) -> Self {
        Write {
            manager: manager.to_string(),
            dry_run,
            validation: "",
        }
    }

    /// From the options.
    pub fn new(args: &WriteArgs, manager: &str, dry_run: DryRun) -> Result<Self> {
        let named = !args.field_manager.is_empty();
        Ok(Write {
            manager: if named { &args.field_manager } else { manager }.to_string(),
            dry_run,
            validation: validation(&args.validate)?,
        })
    }

    /// Whether nothing is sent.
    pub fn is_local(&self) -> bool {
        self.dry_run == DryRun::Client
    }

    /// A path with the parameters of this write.
    pub fn path(&self, path: &str) -> String {
        query(
            path,
            &[
                ("dryRun", self.dry_run.parameter()),
                ("fieldManager", &self.manager),
                ("fieldValidation", self.validation),
            ],
        )
    }

    /// Creates an object.
    pub async fn create(&self, shell: &Shell, info: &Info) -> Result<Value> {
        if self.is_local() {
            return Ok(info.object.clone());
        }
        let path = self.path(&info.resource.collection(&info.namespace));
        shell.api().await?.post(&path, &info.object).await
    }

    /// Replaces an object.
    pub async fn replace(&self, shell: &Shell, info: &Info) -> Result<Value> {
        let path = self.path(&info.path());
        shell
            .api()
            .await?
            .send(Method::PUT, &path, &info.object)
            .await
    }

    /// Changes an object.
    pub async fn patch(
        &self,
        shell: &Shell,
        info: &Info,
        kind: &'static str,
        patch: &Value,
    ) -> Result<Value> {
        let path = self.path(&info.path());
        shell.api().await?.patch(&path, kind, patch).await
    }
}

fn validation(text: &str) -> Result<&'static str> {
    match text {
        "strict" | "true" => Ok("Strict"),
        "warn" => Ok("Warn"),
        "ignore" | "false" => Ok("Ignore"),
        other => said(format!(
            "invalid - validate option {}; must be one of: strict (or true), warn, ignore (or false)",
            crate::words::quote(other)
        )),
    }
}

/// The JSON merge patch that makes one object from another; null when they are equal.
pub fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    let (Some(old), Some(new)) = (from.as_object(), to.as_object()) else {
        return (from != to).then(|| to.clone());
    };
    let mut patch = meta::Map::new();
    for (key, value) in new.iter() {
        match old.get(key) {
            None => {
                patch.insert(key.clone(), value.clone());
            }
            Some(before) => {
                if let Some(change) = merge_patch(before, value) {
                    patch.insert(key.clone(), change);
                }
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn patches_say_what_differs() {
        let from = value!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let to = value!({"a": 1, "b": {"c": 3}, "e": [1], "f": {}});
        assert_eq!(
            merge_patch(&from, &to),
            Some(value!({"b": {"c": 3, "d": null}, "f": {}}))
        );
        assert_eq!(merge_patch(&from, &from), None);
    }
}
