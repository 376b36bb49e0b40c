//! From `pod`, `deploy/web` or a selector to pods, and from a pod to one of its containers.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/polymorphichelpers and pkg/cmd/util/podcmd.

use crate::api::query;
use crate::error::{Result, said};
use crate::io;
use crate::select::{Choice, fetch_all};
use crate::shell::Shell;
use crate::words;
use meta::{LabelSelector, Value};

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Where a pod has containers.
const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// The pods that a word means: one by name, or those that an object selects.
pub async fn of(shell: &Shell, word: &str) -> Result<Vec<Value>> {
    let arguments = [word.to_string()];
    let choice = Choice {
        arguments: &arguments,
        default_type: "pods",
        ..Choice::default()
    };
    let mut infos = fetch_all(shell, &choice).await?;
    let Some(info) = infos.pop() else {
        return said("expected a resource");
    };
    if info.resource.kind == "Pod" && info.resource.group.is_empty() {
        return Ok(vec![info.object]);
    }
    let selector = selector(&info.object)?;
    let pods = selected(shell, &info.namespace, &selector).await?;
    match pods.is_empty() {
        true => said(format!("no pods found for {}", info.title())),
        false => Ok(pods),
    }
}

/// The selector of pods that an object has, as text.
pub fn selector(object: &Value) -> Result<String> {
    let selector = object.at(&["spec", "selector"]);
    let kind = object.str_at(&["kind"]);
    let plain = ["Service", "ReplicationController"].contains(&kind);
    let text = match selector {
        Some(Value::Object(map)) if plain && !map.is_empty() => {
            let pairs = map
                .iter()
                .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")));
            pairs.collect::<Vec<_>>().join(",")
        }
        Some(tree @ Value::Object(_)) if !plain => selector_text(tree),
        _ => {
            return said(format!(
                "cannot get the logs from {kind}: selector is missing"
            ));
        }
    };
    Ok(text)
}

/// A label selector's tree as the text of a request.
pub fn selector_text(tree: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(labels) = tree.get("matchLabels").and_then(Value::as_object) {
        parts.extend(
            labels
                .iter()
                .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or(""))),
        );
    }
    for rule in tree.items_at(&["matchExpressions"]) {
        let key = rule.str_at(&["key"]);
        let values: Vec<&str> = rule
            .items_at(&["values"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        parts.push(match rule.str_at(&["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_string(),
            _ => format!("!{key}"),
        });
    }
    parts.join(",")
}

/// The pods of a namespace with these labels.
pub async fn selected(shell: &Shell, namespace: &str, selector: &str) -> Result<Vec<Value>> {
    if !selector.is_empty() {
        LabelSelector::parse(selector).or_else(said)?;
    }
    let path = match namespace {
        "" => "/api/v1/pods".to_string(),
        namespace => format!("/api/v1/namespaces/{namespace}/pods"),
    };
    let list = shell
        .api()
        .await?
        .get(&query(&path, &[("labelSelector", selector)]))
        .await?;
    let head = (list.str_at(&["apiVersion"]), list.str_at(&["kind"]));
    let items = list.items_at(&["items"]).iter();
    Ok(items.map(|item| crate::select::whole(item, head)).collect())
}

/// The first pod in the order in which pods are worth looking at: running and ready ones first.
pub fn best(mut pods: Vec<Value>) -> Option<Value> {
    pods.sort_by_key(|pod| {
        (
            !is_ready(pod),
            pod.str_at(&["status", "phase"]) != "Running",
        )
    });
    pods.into_iter().next()
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod.items_at(&["status", "conditions"]).iter();
    conditions.any(|c| c.str_at(&["type"]) == "Ready" && c.str_at(&["status"]) == "True")
}

/// The container of a name and the list that it is in.
pub fn find_container<'a>(pod: &'a Value, name: &str) -> Option<(&'a Value, &'static str)> {
    LISTS.iter().find_map(|list| {
        let mut all = pod.items_at(&["spec", list]).iter();
        let found = all.find(|container| container.str_at(&["name"]) == name);
        found.map(|container| (container, *list))
    })
}

/// All containers of a pod: init containers, containers, ephemeral ones.
pub fn containers(pod: &Value) -> Vec<String> {
    LISTS
        .iter()
        .flat_map(|list| pod.items_at(&["spec", list]))
        .map(|container| container.str_at(&["name"]).to_string())
        .collect()
}

/// The container that is meant: the named, the default, or the first, which is said.
pub fn container(pod: &Value, asked: &str, quiet: bool) -> Result<String> {
    let (name, note) = choose_container(pod, asked)?;
    if let Some(note) = note.filter(|_| !quiet) {
        io::warn(note);
    }
    Ok(name)
}

/// The same, with what is to be said about the choice.
pub fn choose_container(pod: &Value, asked: &str) -> Result<(String, Option<String>)> {
    let all = containers(pod);
    let name = pod.str_at(&["metadata", "name"]);
    let asked = match asked {
        "" => pod.str_at(&["metadata", "annotations", DEFAULT_CONTAINER]),
        asked => asked,
    };
    if !asked.is_empty() {
        return match all.iter().any(|known| known == asked) {
            true => Ok((asked.to_string(), None)),
            false => said(format!(
                "container {asked} is not valid for pod {name} out of: {}",
                described(pod)
            )),
        };
    }
    let main = pod.items_at(&["spec", "containers"]);
    let Some(first) = main.first().map(|c| c.str_at(&["name"]).to_string()) else {
        let namespace = pod.str_at(&["metadata", "namespace"]);
        return said(format!(
            "pod {namespace}/{name} does not have any containers"
        ));
    };
    let note = (all.len() > 1).then(|| {
        format!(
            "Defaulted container {} out of: {}",
            words::quote(&first),
            described(pod)
        )
    });
    Ok((first, note))
}

fn described(pod: &Value) -> String {
    let lists = [
        ("containers", ""),
        ("ephemeralContainers", " (ephem)"),
        ("initContainers", " (init)"),
    ];
    let names = lists.iter().flat_map(|(list, note)| {
        let all = pod.items_at(&["spec", list]).iter();
        all.map(move |c| format!("{}{note}", c.str_at(&["name"])))
    });
    names.collect::<Vec<_>>().join(", ")
}
