//! What controllers ask about nodes and their taints. Follows
//! staging/src/k8s.io/component-helpers/scheduling/corev1/helpers.go.

use std::time::Duration;
use typed::api::core::v1::{Node, NodeCondition, Taint, Toleration};
use typed::lean::Pod;

/// A condition of the node.
pub(crate) fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|condition| condition.type_ == kind)
}

/// The node's taints.
pub(crate) fn taints(node: &Node) -> &[Taint] {
    node.spec
        .as_ref()
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default()
}

/// The node's taints that drive pods away.
pub(crate) fn no_execute_taints(node: &Node) -> Vec<Taint> {
    taints(node)
        .iter()
        .filter(|taint| taint.effect == "NoExecute")
        .cloned()
        .collect()
}

/// How long a pod may stay in spite of the taints: not at all if it does not tolerate one of them,
/// and for ever (nothing) if it tolerates all of them without a limit.
pub(crate) fn tolerated_for(pod: &Pod, taints: &[Taint]) -> Option<Duration> {
    let tolerations = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref())
        .unwrap_or_default();
    let mut shortest = None;
    for taint in taints {
        let Some(toleration) = tolerations
            .iter()
            .find(|toleration| tolerates(toleration, taint))
        else {
            return Some(Duration::ZERO);
        };
        let seconds = toleration
            .toleration_seconds
            .map(|seconds| u64::try_from(seconds).unwrap_or(0));
        let limit = seconds.map(Duration::from_secs);
        shortest = match (shortest, limit) {
            (Some(one), Some(two)) => Some(std::cmp::min(one, two)),
            (one, two) => one.or(two),
        };
    }
    shortest
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (effect, key, value) = (
        text(&toleration.effect),
        text(&toleration.key),
        text(&toleration.value),
    );
    let matches_value = match text(&toleration.operator).as_str() {
        "" | "Equal" => value == text(&taint.value),
        "Exists" => true,
        "Lt" | "Gt" => compares(&text(&toleration.operator), &value, &text(&taint.value)),
        _ => false,
    };
    (effect.is_empty() || effect == taint.effect)
        && (key.is_empty() || key == taint.key)
        && matches_value
}

/// Whether the taint's number is below (`Lt`) or above (`Gt`) the toleration's.
fn compares(operator: &str, toleration: &str, taint: &str) -> bool {
    match (taint.parse::<i64>(), toleration.parse::<i64>()) {
        (Ok(taint), Ok(toleration)) if operator == "Lt" => taint < toleration,
        (Ok(taint), Ok(toleration)) => taint > toleration,
        _ => false,
    }
}

/// Index values: the node that a pod is on.
pub(crate) fn node_values(pod: &Pod) -> Vec<String> {
    let node = crate::pods::node_name(pod);
    if node.is_empty() {
        Vec::new()
    } else {
        vec![node.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use typed::Wire;

    fn tolerated(tolerations: Value, taints: Value) -> Option<u64> {
        let pod = json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}});
        let node = json!({"metadata": {}, "spec": {"taints": taints}});
        let pod = Pod::decode(pod.to_string().as_bytes()).unwrap();
        let node = Node::decode(node.to_string().as_bytes()).unwrap();
        tolerated_for(&pod, &no_execute_taints(&node)).map(|duration| duration.as_secs())
    }

    #[test]
    fn the_shortest_toleration_counts() {
        let taint = |key: &str| json!({"key": key, "effect": "NoExecute"});
        let exists = |key: &str, seconds: Value| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
        assert_eq!(tolerated(json!([]), json!([])), None);
        assert_eq!(tolerated(json!([]), json!([taint("a")])), Some(0));
        assert_eq!(
            tolerated(json!([]), json!([{"key": "a", "effect": "NoSchedule"}])),
            None
        );
        assert_eq!(
            tolerated(
                json!([{"operator": "Exists"}]),
                json!([taint("a"), taint("b")])
            ),
            None
        );
        let both = json!([exists("a", json!(300)), exists("b", json!(20))]);
        assert_eq!(
            tolerated(both.clone(), json!([taint("a"), taint("b")])),
            Some(20)
        );
        assert_eq!(tolerated(both, json!([taint("a"), taint("c")])), Some(0));
        assert_eq!(
            tolerated(json!([exists("a", json!(-1))]), json!([taint("a")])),
            Some(0)
        );
        let value = json!({"key": "a", "value": "x", "effect": "NoExecute"});
        assert_eq!(
            tolerated(json!([{"key": "a", "value": "x"}]), json!([value])),
            None
        );
        assert_eq!(
            tolerated(json!([{"key": "a", "value": "y"}]), json!([value])),
            Some(0)
        );
    }
}
