//! Pods stay five minutes on a node that is not ready or not heard of, unless
//! they say otherwise. Follows plugin/pkg/admission/defaulttolerationseconds.

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::labels::{TAINT_NOT_READY, TAINT_UNREACHABLE};
use meta::{Status, Value, value};

const SECONDS: i64 = 300;

pub(crate) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        pod: &mut Value,
        _old: Option<&Value>,
        _view: &dyn View,
    ) -> Result<(), Status> {
        let writes = matches!(request.operation, Operation::Create | Operation::Update);
        if !request.is("", "pods") || !writes {
            return Ok(());
        }
        let tolerations = pod.items_at(&["spec", "tolerations"]);
        let missing: Vec<Value> = [TAINT_NOT_READY, TAINT_UNREACHABLE]
            .into_iter()
            .filter(|taint| !tolerations.iter().any(|t| speaks_of(t, taint)))
            .map(for_a_while)
            .collect();
        if !missing.is_empty() {
            let spec = pod.make_object().object("spec");
            spec.entry("tolerations").make_array().extend(missing);
        }
        Ok(())
    }
}

fn speaks_of(toleration: &Value, taint: &str) -> bool {
    let (key, effect) = (toleration.str_at(&["key"]), toleration.str_at(&["effect"]));
    (key == taint || key.is_empty()) && matches!(effect, "" | "NoExecute")
}

fn for_a_while(taint: &str) -> Value {
    value!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Objects, create};

    async fn check(before: Value, after: Value) {
        let pod = value!({"metadata": {"name": "p"}, "spec": {"tolerations": before}});
        let pod = create("pods", "ns", pod)
            .mutate(&DefaultTolerationSeconds, &Objects::default())
            .await;
        assert_eq!(pod.unwrap().at(&["spec", "tolerations"]), Some(&after));
    }

    #[tokio::test]
    async fn what_is_not_said_is_five_minutes() {
        let not_ready = for_a_while("node.kubernetes.io/not-ready");
        let unreachable = for_a_while("node.kubernetes.io/unreachable");
        let own = value!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 5});
        let everything = value!({"operator": "Exists"});
        let schedule = value!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"});
        check(value!([]), value!([not_ready.clone(), unreachable.clone()])).await;
        check(value!([own.clone()]), value!([own, unreachable.clone()])).await;
        check(value!([everything.clone()]), value!([everything])).await;
        check(
            value!([schedule.clone()]),
            value!([schedule, not_ready, unreachable]),
        )
        .await;
    }
}
