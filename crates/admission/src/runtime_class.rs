//! What a runtime class adds to its pods: overhead, and where they may run.
//! Follows plugin/pkg/admission/runtimeclass/admission.go.

use crate::tolerations;
use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::{Map, Quantity, Status, Value};
use std::sync::Arc;

pub(crate) struct RuntimeClass;

#[async_trait]
impl Plugin for RuntimeClass {
    fn name(&self) -> &'static str {
        "RuntimeClass"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        pod: &mut Value,
        _old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        if !concerns(request) {
            return Ok(());
        }
        let Some(class) = class(request, pod, view).await? else {
            return Ok(());
        };
        set_overhead(&class, pod)
            .and_then(|()| set_scheduling(&class, pod))
            .map_err(|why| request.forbidden(why))
    }

    async fn validate(
        &self,
        request: &Request<'_>,
        pod: &Value,
        _old: Option<&Value>,
        view: &dyn View,
        _warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        if !concerns(request) {
            return Ok(());
        }
        let class = class(request, pod, view).await?;
        let overhead = class.as_deref().and_then(overhead_of);
        let own = pod.at(&["spec", "overhead"]).filter(|o| !o.is_empty());
        match (overhead, own) {
            (Some(overhead), own) if !own.is_some_and(|own| same(own, overhead)) => {
                Err(request.forbidden(MISMATCH))
            }
            (None, Some(_)) => Err(request.forbidden(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            )),
            _ => Ok(()),
        }
    }
}

const MISMATCH: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

fn concerns(request: &Request<'_>) -> bool {
    request.is("", "pods") && request.operation == Operation::Create
}

async fn class(
    request: &Request<'_>,
    pod: &Value,
    view: &dyn View,
) -> Result<Option<Arc<Value>>, Status> {
    let name = pod.str_at(&["spec", "runtimeClassName"]);
    if name.is_empty() {
        return Ok(None);
    }
    match view.get("node.k8s.io", "runtimeclasses", "", name).await? {
        Some(class) => Ok(Some(class)),
        None => Err(request.forbidden(format!("pod rejected: RuntimeClass {name:?} not found"))),
    }
}

fn overhead_of(class: &Value) -> Option<&Value> {
    class
        .at(&["overhead", "podFixed"])
        .filter(|o| !o.is_empty())
}

fn set_overhead(class: &Value, pod: &mut Value) -> Result<(), String> {
    let Some(overhead) = overhead_of(class) else {
        return Ok(());
    };
    match pod.at(&["spec", "overhead"]).filter(|o| !o.is_empty()) {
        Some(own) if !same(own, overhead) => Err(MISMATCH.into()),
        Some(_) => Ok(()),
        None => {
            pod.set_at(&["spec", "overhead"], overhead.clone());
            Ok(())
        }
    }
}

/// Whether two lists of resources say the same, however they spell it.
fn same(one: &Value, other: &Value) -> bool {
    let quantities = |list: &Value| -> Vec<(String, Option<Quantity>)> {
        let entries = list.as_object().into_iter().flat_map(Map::iter);
        let parse = |v: &Value| v.as_str().and_then(|text| text.parse().ok());
        entries
            .map(|(name, value)| (name.to_string(), parse(value)))
            .collect()
    };
    let (one, other) = (quantities(one), quantities(other));
    one.len() == other.len()
        && one.iter().zip(&other).all(|((a, x), (b, y))| {
            a == b
                && x.zip(*y)
                    .is_some_and(|(x, y)| x.cmp(&y) == std::cmp::Ordering::Equal)
        })
}

fn set_scheduling(class: &Value, pod: &mut Value) -> Result<(), String> {
    let Some(scheduling) = class.get("scheduling").filter(|s| !s.is_null()) else {
        return Ok(());
    };
    let selector = scheduling.get("nodeSelector").and_then(Value::as_object);
    for (key, value) in selector.into_iter().flat_map(Map::iter) {
        let value = value.as_str().unwrap_or_default();
        match pod
            .at(&["spec", "nodeSelector", key])
            .and_then(Value::as_str)
        {
            Some(own) if own != value => {
                return Err(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
                ));
            }
            _ => pod.set_at(&["spec", "nodeSelector", key], value),
        }
    }
    let own = pod.items_at(&["spec", "tolerations"]);
    let merged = tolerations::merge(own, scheduling.items_at(&["tolerations"]));
    if !merged.is_empty() {
        pod.set_at(&["spec", "tolerations"], Value::Array(merged));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Objects, create};
    use meta::value;

    async fn check(class: Value, spec: Value, wanted: Result<Value, &str>) {
        let mut class = class;
        class.set_at(&["metadata", "name"], "sandboxed");
        let objects = Objects::default().with("runtimeclasses", class);
        let pod = value!({"metadata": {"name": "p"}, "spec": spec});
        let found = create("pods", "ns", pod)
            .admit(&RuntimeClass, &objects)
            .await;
        let found = found.map(|pod| pod.get("spec").cloned().unwrap());
        let wanted = wanted.map_err(|why| format!("pods \"p\" is forbidden: {why}"));
        assert_eq!(found.map_err(|status| status.message), wanted);
    }

    #[tokio::test]
    async fn classes_add_what_they_say() {
        let class = value!({
            "overhead": {"podFixed": {"cpu": "100m", "memory": "10Mi"}},
            "scheduling": {
                "nodeSelector": {"kind": "fast"},
                "tolerations": [{"key": "a", "operator": "Exists"}],
            },
        });
        check(
            class.clone(),
            value!({"runtimeClassName": "sandboxed", "nodeSelector": {"zone": "z"}}),
            Ok(value!({
                "runtimeClassName": "sandboxed", "overhead": {"cpu": "100m", "memory": "10Mi"},
                "nodeSelector": {"zone": "z", "kind": "fast"}, "tolerations": [{"key": "a", "operator": "Exists"}],
            })),
        )
        .await;
        let same = value!({
            "runtimeClassName": "sandboxed", "overhead": {"cpu": "0.1", "memory": "10240Ki"},
            "nodeSelector": {"kind": "fast"}, "tolerations": [{"key": "a", "operator": "Exists"}],
        });
        check(class.clone(), same.clone(), Ok(same)).await;
        check(
            class.clone(),
            value!({"runtimeClassName": "sandboxed", "overhead": {"cpu": "1"}}),
            Err("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
        )
        .await;
        check(
            class,
            value!({"runtimeClassName": "sandboxed", "nodeSelector": {"kind": "slow"}}),
            Err("conflict: runtimeClass.scheduling.nodeSelector[kind] = fast; pod.spec.nodeSelector[kind] = slow"),
        )
        .await;
        let bare = value!({"runtimeClassName": "sandboxed"});
        check(value!({}), bare.clone(), Ok(bare)).await;
        check(value!({}), value!({}), Ok(value!({}))).await;
        check(
            value!({}),
            value!({"overhead": {"cpu": "1"}}),
            Err("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        )
        .await;
        check(
            value!({}),
            value!({"runtimeClassName": "gone"}),
            Err("pod rejected: RuntimeClass \"gone\" not found"),
        )
        .await;
    }
}
