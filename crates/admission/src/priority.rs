//! A pod's priority comes from its class. Follows
//! plugin/pkg/admission/priority/admission.go.

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::object::Object as _;
use meta::{Status, Value};
use std::sync::Arc;

/// The group of priority classes.
const GROUP: &str = "scheduling.k8s.io";
/// What pods do when no class says otherwise.
const PREEMPT: &str = "PreemptLowerPriority";

pub(crate) struct Priority;

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        pod: &mut Value,
        old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        if !request.is("", "pods") {
            return Ok(());
        }
        match (request.operation, old) {
            (Operation::Create, _) => resolve(request, pod, view).await,
            (Operation::Update, Some(old)) => {
                keep(pod, old);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn validate(
        &self,
        request: &Request<'_>,
        class: &Value,
        _old: Option<&Value>,
        view: &dyn View,
        _warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        let writes = matches!(request.operation, Operation::Create | Operation::Update);
        if !request.is(GROUP, "priorityclasses") || !writes || !class.is_true_at(&["globalDefault"])
        {
            return Ok(());
        }
        let Some(default) = default_class(view).await? else {
            return Ok(());
        };
        if request.operation == Operation::Update && default.name() == class.name() {
            return Ok(());
        }
        Err(request.forbidden(format!(
            "PriorityClass {} is already marked as default. Only one default can exist",
            default.name()
        )))
    }
}

/// Clients that know nothing of priorities do not take them away.
fn keep(pod: &mut Value, old: &Value) {
    for key in ["priority", "preemptionPolicy"] {
        let absent = pod.at(&["spec", key]).is_none_or(Value::is_null);
        if let (true, Some(value)) = (absent, old.at(&["spec", key])) {
            pod.set_at(&["spec", key], value.clone());
        }
    }
}

async fn resolve(request: &Request<'_>, pod: &mut Value, view: &dyn View) -> Result<(), Status> {
    let name = pod.str_at(&["spec", "priorityClassName"]).to_string();
    let class = match name.as_str() {
        "" => default_class(view).await?,
        name => {
            let found = view.get(GROUP, "priorityclasses", "", name).await?;
            let absent =
                || request.forbidden(format!("no PriorityClass with name {name} was found"));
            Some(found.ok_or_else(absent)?)
        }
    };
    let (priority, policy) = match &class {
        Some(class) => {
            pod.set_at(&["spec", "priorityClassName"], class.name());
            let policy = class.str_at(&["preemptionPolicy"]);
            (class.i64_at(&["value"]).unwrap_or(0), policy)
        }
        None => (0, PREEMPT),
    };
    let asked = pod.i64_at(&["spec", "priority"]);
    if let Some(asked) = asked.filter(|asked| *asked != priority) {
        return Err(request.forbidden(format!(
            "the integer value of priority ({asked}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        )));
    }
    pod.set_at(&["spec", "priority"], priority);
    if policy.is_empty() {
        return Ok(());
    }
    let asked = pod.str_at(&["spec", "preemptionPolicy"]);
    if !asked.is_empty() && asked != policy {
        return Err(request.forbidden(format!(
            "the string value of PreemptionPolicy ({asked}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        )));
    }
    pod.set_at(&["spec", "preemptionPolicy"], policy);
    Ok(())
}

/// The class of pods that name none: of several, by a race, the lowest.
async fn default_class(view: &dyn View) -> Result<Option<Arc<Value>>, Status> {
    let classes = view.list(GROUP, "priorityclasses", "").await?;
    let defaults = classes
        .into_iter()
        .filter(|c| c.is_true_at(&["globalDefault"]));
    Ok(defaults.min_by_key(|class| class.i64_at(&["value"]).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Objects, create, update};
    use meta::value;

    fn class(name: &str, value: i64, default: bool, policy: Option<&str>) -> Value {
        let mut class = value!({"metadata": {"name": name}, "value": value});
        if default {
            class.set_at(&["globalDefault"], true);
        }
        if let Some(policy) = policy {
            class.set_at(&["preemptionPolicy"], policy);
        }
        class
    }

    async fn check(classes: &[Value], spec: Value, wanted: Result<Value, &str>) {
        let objects = Objects::default();
        for class in classes {
            objects.put("priorityclasses", class.clone());
        }
        let pod = value!({"metadata": {"name": "p"}, "spec": spec});
        let found = create("pods", "ns", pod).admit(&Priority, &objects).await;
        let found = found.map(|pod| pod.get("spec").cloned().unwrap());
        let wanted = wanted.map_err(|why| format!("pods \"p\" is forbidden: {why}"));
        assert_eq!(found.map_err(|status| status.message), wanted);
    }

    #[tokio::test]
    async fn classes_give_priorities() {
        let high = class("high", 1000, false, Some("Never"));
        let low = class("low", 10, true, Some("PreemptLowerPriority"));
        let lower = class("lower", 5, true, None);
        check(
            &[],
            value!({}),
            Ok(value!({"priority": 0, "preemptionPolicy": "PreemptLowerPriority"})),
        )
        .await;
        let named = value!({"priorityClassName": "high"});
        let wanted =
            value!({"priorityClassName": "high", "priority": 1000, "preemptionPolicy": "Never"});
        check(&[high.clone(), low.clone()], named.clone(), Ok(wanted)).await;
        let wanted = value!({"priorityClassName": "low", "priority": 10, "preemptionPolicy": "PreemptLowerPriority"});
        check(&[high.clone(), low.clone()], value!({}), Ok(wanted)).await;
        check(
            &[low.clone(), lower],
            value!({}),
            Ok(value!({"priorityClassName": "lower", "priority": 5})),
        )
        .await;
        check(
            &[low],
            named,
            Err("no PriorityClass with name high was found"),
        )
        .await;
        check(
            std::slice::from_ref(&high),
            value!({"priorityClassName": "high", "priority": 7}),
            Err("the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name"),
        )
        .await;
        check(
            &[high],
            value!({"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"}),
            Err("the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority admission controller computed Never from the given PriorityClass name"),
        )
        .await;
    }

    #[tokio::test]
    async fn an_update_keeps_what_it_does_not_say() {
        let old = value!({"spec": {"priority": 5, "preemptionPolicy": "Never"}});
        let case = update("pods", "", old.clone(), value!({"spec": {"priority": 6}}));
        let pod = case.mutate(&Priority, &Objects::default()).await.unwrap();
        assert_eq!(pod.i64_at(&["spec", "priority"]), Some(6));
        assert_eq!(pod.str_at(&["spec", "preemptionPolicy"]), "Never");
    }

    #[tokio::test]
    async fn there_is_one_default_class() {
        let objects = Objects::default().with("priorityclasses", class("low", 10, true, None));
        let resource = "scheduling.k8s.io:priorityclasses";
        let other = create(resource, "", class("other", 1, true, None));
        let error = other.validate(&Priority, &objects).await.unwrap_err();
        assert_eq!(
            error.message,
            "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass low is already marked as default. Only one default can exist"
        );
        create(resource, "", class("other", 1, false, None))
            .validate(&Priority, &objects)
            .await
            .unwrap();
        let same = update(
            resource,
            "",
            class("low", 10, true, None),
            class("low", 10, true, None),
        );
        same.validate(&Priority, &objects).await.unwrap();
    }
}
