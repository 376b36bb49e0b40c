//! Fields of the pod and resources of its containers as values: what `fieldRef`
//! and `resourceFieldRef` mean, in variables and in files.
//!
//! Follows pkg/fieldpath/fieldpath.go and pkg/api/v1/resource/helpers.go.

use std::collections::BTreeMap;

use meta::Quantity;
use typed::Typed;
use typed::api::core::v1::{Container, Pod, ResourceFieldSelector};

use crate::pod::{container, spec};
use crate::resources::{Amounts, limits, requests};

/// What is only known on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// The pod's addresses, the first one first.
    pub pod_ips: Vec<String>,
    /// The node's addresses.
    pub host_ips: Vec<String>,
    /// What pods may use of the node: the limit where a container has none.
    pub allocatable: Amounts,
}

/// A field cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// There is no such field, or it cannot be used here.
    #[error("unsupported fieldPath: {0}")]
    Path(String),
    /// There is no such resource, or it cannot be used here.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// There is no such container.
    #[error("container {0} not found")]
    Container(String),
    /// The divisor is not a quantity.
    #[error("invalid divisor {0:?}")]
    Divisor(String),
}

/// The value of a `fieldRef`.
pub fn field(pod: &Pod, path: &str, node: &NodeFacts) -> Result<String, FieldError> {
    if let Some((map, key)) = subscript(path) {
        let values = match map {
            "metadata.labels" => pod.labels(),
            "metadata.annotations" => pod.annotations(),
            _ => return Err(FieldError::Path(path.to_owned())),
        };
        return Ok(values.get(key).cloned().unwrap_or_default());
    }
    let spec = spec(pod);
    Ok(match path {
        "metadata.name" => pod.name().to_owned(),
        "metadata.namespace" => pod.namespace().to_owned(),
        "metadata.uid" => pod.uid().to_owned(),
        "metadata.labels" => format_map(pod.labels()),
        "metadata.annotations" => format_map(pod.annotations()),
        "spec.nodeName" => spec.node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => spec.service_account_name.clone().unwrap_or_default(),
        "status.podIP" => node.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => node.pod_ips.join(","),
        "status.hostIP" => node.host_ips.first().cloned().unwrap_or_default(),
        "status.hostIPs" => node.host_ips.join(","),
        _ => return Err(FieldError::Path(path.to_owned())),
    })
}

/// Takes `metadata.labels['key']` apart.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// A line `key="value"` each, sorted, quoted as Go's `%q` does.
pub fn format_map(values: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{key}={}", quote(value)))
        .collect();
    lines.join("\n")
}

/// Go's `strconv.Quote`.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            letter if u32::from(letter) < 0x20 || u32::from(letter) == 0x7f => {
                out.push_str(&format!("\\x{:02x}", u32::from(letter)));
            }
            letter if letter.is_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The value of a `resourceFieldRef`; `own` is the container that asks, where
/// the selector names none.
pub fn resource(
    pod: &Pod,
    selector: &ResourceFieldSelector,
    own: Option<&Container>,
    node: &NodeFacts,
) -> Result<String, FieldError> {
    let named = selector
        .container_name
        .as_deref()
        .filter(|name| !name.is_empty());
    let found = match (named, own) {
        (None, Some(own)) => own.clone(),
        (name, _) => {
            let name = name.unwrap_or_default();
            let found = container(pod, name);
            found
                .map(|(_, container)| container.into_owned())
                .ok_or_else(|| FieldError::Container(name.to_owned()))?
        }
    };
    let divisor = divisor(selector)?;
    let (scope, name) = selector
        .resource
        .split_once('.')
        .ok_or_else(|| FieldError::Resource(selector.resource.clone()))?;
    let known =
        matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !known {
        return Err(FieldError::Resource(selector.resource.clone()));
    }
    let amount = match scope {
        "limits" => limits(&found)
            .get(name)
            .copied()
            .filter(|quantity| !quantity.is_zero())
            .or_else(|| node.allocatable.get(name).copied()),
        "requests" => requests(&found).get(name).copied(),
        _ => return Err(FieldError::Resource(selector.resource.clone())),
    };
    let amount = amount.unwrap_or_default();
    let count = if name == "cpu" {
        ceil_div(amount.milli_value(), divisor.milli_value())
    } else {
        ceil_div(amount.value(), divisor.value())
    };
    Ok(count.to_string())
}

fn divisor(selector: &ResourceFieldSelector) -> Result<Quantity, FieldError> {
    let text = selector
        .divisor
        .as_ref()
        .map(|quantity| quantity.0.as_str())
        .filter(|text| !text.is_empty())
        .unwrap_or("1");
    let parsed: Quantity = text
        .parse()
        .map_err(|_| FieldError::Divisor(text.to_owned()))?;
    Ok(if parsed.is_zero() {
        Quantity::from_units(1)
    } else {
        parsed
    })
}

fn ceil_div(amount: i64, divisor: i64) -> i64 {
    let divisor = divisor.max(1);
    amount / divisor + i64::from(amount % divisor > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decode;
    use serde_json::json;

    fn subject() -> Pod {
        decode(json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u1",
                "labels": {"app": "web", "tier": "a\"b"},
            },
            "spec": {
                "nodeName": "node1", "serviceAccountName": "robot",
                "containers": [{"name": "a", "resources": {
                    "requests": {"cpu": "125m", "memory": "10Mi"}, "limits": {"memory": "20Mi"},
                }}],
            },
        }))
    }

    fn node() -> NodeFacts {
        NodeFacts {
            pod_ips: vec!["10.42.0.7".into(), "fd00::7".into()],
            host_ips: vec!["192.0.2.1".into()],
            allocatable: [
                ("cpu".to_owned(), Quantity::from_units(2)),
                ("memory".to_owned(), Quantity::from_bytes(1 << 30)),
            ]
            .into(),
        }
    }

    #[test]
    fn fields() {
        for (path, want) in [
            ("metadata.name", "web"),
            ("metadata.namespace", "shop"),
            ("metadata.labels", "app=\"web\"\ntier=\"a\\\"b\""),
            ("metadata.labels['app']", "web"),
            ("metadata.labels['none']", ""),
            ("spec.nodeName", "node1"),
            ("spec.serviceAccountName", "robot"),
            ("status.podIP", "10.42.0.7"),
            ("status.podIPs", "10.42.0.7,fd00::7"),
            ("status.hostIP", "192.0.2.1"),
        ] {
            assert_eq!(field(&subject(), path, &node()).unwrap(), want, "{path}");
        }
        let error = field(&subject(), "spec.containers", &node()).unwrap_err();
        assert_eq!(error.to_string(), "unsupported fieldPath: spec.containers");
    }

    #[test]
    fn resources() {
        for (name, divisor, want) in [
            ("requests.cpu", "", "1"),
            ("requests.cpu", "1m", "125"),
            ("requests.memory", "1Mi", "10"),
            ("limits.memory", "", "20971520"),
            ("limits.cpu", "1", "2"),
            ("requests.ephemeral-storage", "", "0"),
        ] {
            let selector = ResourceFieldSelector {
                container_name: Some("a".into()),
                divisor: Some(typed::Quantity(divisor.into())),
                resource: name.into(),
            };
            let value = resource(&subject(), &selector, None, &node());
            assert_eq!(value.unwrap(), want, "{name} / {divisor}");
        }
    }
}
