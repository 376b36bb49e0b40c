//! What a variable gets from elsewhere: told, or looked up.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/set/env/env_resolve.go.

use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;
use crate::words::quote;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::Value;
use meta::quantity::Quantity;

/// The variables of one container.
pub(super) struct Shown<'a> {
    pub(super) shell: &'a Shell,
    /// The object that the container belongs to.
    pub(super) object: &'a Value,
    pub(super) container: &'a Value,
}

impl Shown<'_> {
    /// Prints each variable, and then what could not be looked up.
    pub(super) async fn all(&self, resolve: bool) -> Result {
        let mut failed: Vec<(String, Vec<&str>)> = Vec::new();
        for variable in self.container.items_at(&["env"]) {
            let name = variable.str_at(&["name"]);
            let Some(from) = variable.get("valueFrom") else {
                io::line(format!("{name}={}", variable.str_at(&["value"])));
                continue;
            };
            let told = format!("# {name} from {}", words(from));
            if !resolve {
                io::line(told);
                continue;
            }
            match self.value(from).await {
                Ok(value) => io::line(format!("{name}={value}")),
                Err(error) => {
                    io::line(told);
                    let why = error.message();
                    match failed.iter_mut().find(|(known, _)| *known == why) {
                        Some((_, names)) => names.push(name),
                        None => failed.push((why, vec![name])),
                    }
                }
            }
        }
        failed.sort();
        for (why, mut names) in failed {
            names.sort_unstable();
            io::warn(format!(
                "error retrieving reference for {}: {why}",
                names.join(", ")
            ));
        }
        Ok(())
    }

    async fn value(&self, from: &Value) -> Result<String> {
        if let Some(key) = from.get("secretKeyRef") {
            return self.key("secret", "secrets", key).await;
        }
        if let Some(key) = from.get("configMapKeyRef") {
            return self.key("config map", "configmaps", key).await;
        }
        if let Some(field) = from.get("fieldRef") {
            return self.field(field.str_at(&["fieldPath"]));
        }
        match from.get("resourceFieldRef") {
            Some(resource) => self.resource(resource),
            None => said("invalid valueFrom"),
        }
    }

    async fn key(&self, noun: &str, plural: &str, reference: &Value) -> Result<String> {
        let (name, key) = (reference.str_at(&["name"]), reference.str_at(&["key"]));
        let namespace = self.shell.namespace()?.0;
        let path = format!("/api/v1/namespaces/{namespace}/{plural}/{name}");
        let holder = self.shell.api().await?.get(&path).await?;
        match holder.at(&["data", key]).and_then(Value::as_str) {
            None => said(format!("key {key} not found in {noun} {name}")),
            Some(text) if plural == "configmaps" => Ok(text.to_string()),
            Some(text) => match STANDARD.decode(text) {
                Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) => said(format!("decode key {key} of secret {name}: {error}")),
            },
        }
    }

    fn field(&self, path: &str) -> Result<String> {
        let metadata = self.object.get("metadata").unwrap_or(&Value::Null);
        if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
            return match map {
                "metadata.annotations" => Ok(metadata.str_at(&["annotations", key]).to_string()),
                "metadata.labels" => Ok(metadata.str_at(&["labels", key]).to_string()),
                _ => said(format!(
                    "fieldPath {} does not support subscript",
                    quote(path)
                )),
            };
        }
        match path {
            "metadata.annotations" => Ok(pairs(metadata.get("annotations"))),
            "metadata.labels" => Ok(pairs(metadata.get("labels"))),
            "metadata.name" | "metadata.namespace" | "metadata.uid" => {
                Ok(metadata.str_at(&[&path["metadata.".len()..]]).to_string())
            }
            _ => said(format!("unsupported fieldPath: {path}")),
        }
    }

    fn resource(&self, reference: &Value) -> Result<String> {
        let name = reference.str_at(&["resource"]);
        let known = ["cpu", "memory", "ephemeral-storage"];
        let (kind, resource) = match name.split_once('.') {
            Some((kind @ ("limits" | "requests"), resource))
                if known.contains(&resource) || resource.starts_with("hugepages-") =>
            {
                (kind, resource)
            }
            _ => return said(format!("Unsupported container resource : {name}")),
        };
        let zero = Quantity::from_units(0);
        let amount = self.container.str_at(&["resources", kind, resource]);
        let amount: Quantity = amount.parse().unwrap_or(zero);
        let divisor: Quantity = reference.str_at(&["divisor"]).parse().unwrap_or(zero);
        let divisor = if divisor.is_zero() {
            1.0
        } else {
            divisor.as_f64()
        };
        Ok(format!("{}", (amount.as_f64() / divisor).ceil() as i64))
    }
}

fn pairs(map: Option<&Value>) -> String {
    let all = map.and_then(Value::as_object);
    let lines = all.into_iter().flat_map(meta::Map::iter);
    let lines = lines.map(|(key, value)| format!("{key}={}", quote(value.as_str().unwrap_or(""))));
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a value comes from, in words.
fn words(from: &Value) -> String {
    for (field, noun) in [("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")] {
        if let Some(reference) = from.get(field) {
            let (name, key) = (reference.str_at(&["name"]), reference.str_at(&["key"]));
            return format!("{noun} {name}, key {key}");
        }
    }
    if let Some(field) = from.get("fieldRef") {
        return format!("field path {}", field.str_at(&["fieldPath"]));
    }
    match from.get("resourceFieldRef") {
        None => "invalid valueFrom".into(),
        Some(resource) => {
            let container = match resource.str_at(&["containerName"]) {
                "" => String::new(),
                name => format!("{name}/"),
            };
            format!(
                "resource field {container}{}",
                resource.str_at(&["resource"])
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::globals::Globals;
    use meta::value;

    #[test]
    fn fields_and_amounts_are_looked_up() {
        let shell = Shell::new(Globals::default());
        let object = value!({"metadata": {"name": "web", "labels": {"app": "web"}}});
        let container = value!({"resources": {"limits": {"cpu": "1500m"}}});
        let shown = Shown {
            shell: &shell,
            object: &object,
            container: &container,
        };
        assert_eq!(
            shown.field("metadata.labels['app']").expect("a label"),
            "web"
        );
        assert!(shown.field("spec.nodeName").is_err());
        let cpu = value!({"resource": "limits.cpu"});
        assert_eq!(shown.resource(&cpu).expect("an amount"), "2");
        assert_eq!(
            words(&value!({"resourceFieldRef": (cpu)})),
            "resource field limits.cpu"
        );
    }
}
