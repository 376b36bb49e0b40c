//! A new node takes no pods before it is ready. Follows
//! plugin/pkg/admission/nodetaint/admission.go.

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::labels::TAINT_NOT_READY;
use meta::{Status, Value, value};

const EFFECT: &str = "NoSchedule";

pub(crate) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        node: &mut Value,
        _old: Option<&Value>,
        _view: &dyn View,
    ) -> Result<(), Status> {
        if !request.is("", "nodes") || request.operation != Operation::Create {
            return Ok(());
        }
        let taints = node
            .make_object()
            .object("spec")
            .entry("taints")
            .make_array();
        let is_it =
            |t: &Value| t.str_at(&["key"]) == TAINT_NOT_READY && t.str_at(&["effect"]) == EFFECT;
        if !taints.iter().any(is_it) {
            taints.push(value!({"key": TAINT_NOT_READY, "effect": EFFECT}));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Objects, create, update};

    #[tokio::test]
    async fn new_nodes_are_tainted_once() {
        let taint = value!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
        let other = value!({"key": "mine", "effect": "NoExecute"});
        for (before, after) in [
            (value!([]), value!([taint.clone()])),
            (
                value!([other.clone()]),
                value!([other.clone(), taint.clone()]),
            ),
            (
                value!([taint.clone(), other.clone()]),
                value!([taint, other]),
            ),
        ] {
            let node = value!({"metadata": {"name": "n"}, "spec": {"taints": before}});
            let node = create("nodes", "", node)
                .mutate(&TaintNodesByCondition, &Objects::default())
                .await;
            assert_eq!(node.unwrap().at(&["spec", "taints"]), Some(&after));
        }
        let node = value!({"metadata": {"name": "n"}});
        let case = update("nodes", "", node.clone(), node.clone());
        assert_eq!(
            case.mutate(&TaintNodesByCondition, &Objects::default())
                .await
                .unwrap(),
            node
        );
    }
}
