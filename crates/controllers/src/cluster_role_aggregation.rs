//! Aggregated ClusterRoles hold the rules of those that their selectors choose, so that a
//! custom resource's author can extend `admin`, `edit` and `view`. Follows
//! pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.

use crate::context::Context;
use crate::{Controller, Rule};
use client::{Api, Error, Patch};
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Store, Workers};
use serde_json::json;
use std::sync::Arc;
use typed::api::rbac::v1::{ClusterRole, PolicyRule};
use typed::{Typed, selector_matches};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "clusterrole-aggregation-controller",
    identity: NAME,
    rules: &[Rule::new(
        &["rbac.authorization.k8s.io"],
        &["clusterroles"],
        &["escalate", "get", "list", "patch", "update", "watch"],
    )],
    start,
};

const NAME: &str = "clusterrole-aggregation-controller";

fn start(context: &Context) {
    let roles = context.factory.informer::<ClusterRole>();
    let queue = context.queue();
    let (changed, store) = (queue.clone(), roles.store());
    // Any role may be part of any aggregated one.
    roles.on_change(move |_: &Change<ClusterRole>| {
        for role in store.list() {
            if role.aggregation_rule.is_some() {
                changed.add(ObjectKey::of(&*role));
            }
        }
    });
    let aggregator = Arc::new(Aggregator {
        roles: roles.store(),
        api: context.client.api(),
    });
    let synced = async move { roles.synced().await };
    context.reconcile(queue, Workers::new(1), synced, aggregator);
}

struct Aggregator {
    roles: Store<ClusterRole>,
    api: Api<ClusterRole>,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Aggregator {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(role) = self.roles.by_key(key).filter(|role| !role.is_deleting()) else {
            return Ok(Action::Done);
        };
        let Some(rules) = aggregated(&role, self.roles.list()) else {
            return Ok(Action::Done);
        };
        if role.rules.clone().unwrap_or_default() == rules {
            return Ok(Action::Done);
        }
        self.write(role.name(), &rules).await?;
        Ok(Action::Done)
    }
}

impl Aggregator {
    async fn write(&self, name: &str, rules: &[PolicyRule]) -> Result<(), BoxError> {
        let patch = Patch::Apply {
            object: json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": name},
                "rules": rules,
            }),
            field_manager: NAME.into(),
            force: true,
        };
        let written = self.api.patch(name, &patch).await.map(drop);
        written.or_else(|error: Error| match error.is_not_found() {
            true => Ok(()),
            false => Err(error.into()),
        })
    }
}

/// The rules that a role should have, each once, in the order of the names of the roles that
/// they come from; `None` when nothing is aggregated in it.
fn aggregated(role: &ClusterRole, mut all: Vec<Arc<ClusterRole>>) -> Option<Vec<PolicyRule>> {
    let selectors = role
        .aggregation_rule
        .as_ref()?
        .cluster_role_selectors
        .as_ref()?;
    all.sort_by(|a, b| a.name().cmp(b.name()));
    let mut rules = Vec::new();
    for selector in selectors {
        let chosen = all.iter().filter(|other| {
            other.name() != role.name() && selector_matches(selector, other.labels())
        });
        for rule in chosen.flat_map(|other| other.rules.iter().flatten()) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn role(value: Value) -> Arc<ClusterRole> {
        Arc::new(serde_json::from_value(value).expect("a role"))
    }

    fn part(name: &str, label: &str, resource: &str) -> Arc<ClusterRole> {
        role(json!({
            "metadata": {"name": name, "labels": {label: "true"}},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}],
        }))
    }

    #[test]
    fn rules_are_those_of_the_chosen() {
        let selector = |label: &str| json!({"matchLabels": {label: "true"}});
        let all = role(json!({
            "metadata": {"name": "all", "labels": {"to-x": "true"}},
            "rules": [{"apiGroups": [""], "resources": ["old"], "verbs": ["get"]}],
            "aggregationRule": {"clusterRoleSelectors": [selector("to-x"), selector("to-y")]},
        }));
        let roles = vec![
            all.clone(),
            part("b", "to-x", "pods"),
            part("a", "to-x", "secrets"),
            part("c", "to-y", "pods"),
            part("d", "to-z", "nodes"),
        ];
        let rules = aggregated(&all, roles.clone()).expect("rules");
        let resources = rules
            .iter()
            .flat_map(|rule| rule.resources.iter().flatten());
        assert_eq!(resources.collect::<Vec<_>>(), ["secrets", "pods"]);
        assert_eq!(aggregated(&roles[1], roles.clone()), None);
    }
}
