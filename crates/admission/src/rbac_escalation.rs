//! Nobody makes roles or bindings that grant what they do not hold, unless
//! they may `escalate` or `bind`. Upstream asks where roles are stored:
//! pkg/registry/rbac/*/policybased/storage.go.

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use auth::rbac::Rule;
use auth::user::MASTERS;
use auth::{Attributes, Authorizer, Decision, Rbac, Target};
use meta::object::Object as _;
use meta::{GroupResource, Status, Value};
use std::sync::Arc;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(crate) struct RbacEscalation {
    authorizer: Arc<dyn Authorizer>,
    rbac: Arc<Rbac>,
}

impl RbacEscalation {
    pub(crate) fn new(authorizer: Arc<dyn Authorizer>, rbac: Arc<Rbac>) -> Self {
        RbacEscalation { authorizer, rbac }
    }

    fn check_role(
        &self,
        request: &Request<'_>,
        role: &Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        if self.may(request, "escalate", request.resource, request.name) {
            return Ok(());
        }
        self.confirm(request, &Rule::read_all(role))?;
        let aggregates = |role: &Value| {
            !role
                .items_at(&["aggregationRule", "clusterRoleSelectors"])
                .is_empty()
        };
        // An aggregated role can gather anything, and cannot be tightened.
        let aggregated = aggregates(role) || old.is_some_and(aggregates);
        let all = [everything(), every_path()];
        match aggregated
            && self
                .rbac
                .confirm_no_escalation(request.user, "", &all)
                .is_err()
        {
            true => {
                Err(request
                    .forbidden("must have cluster-admin privileges to use the aggregationRule"))
            }
            false => Ok(()),
        }
    }

    fn check_binding(&self, request: &Request<'_>, binding: &Value) -> Result<(), Status> {
        let kind = binding.str_at(&["roleRef", "kind"]);
        let name = binding.str_at(&["roleRef", "name"]);
        let resource = match kind {
            "ClusterRole" => "clusterroles",
            _ => "roles",
        };
        if self.may(request, "bind", resource, name) {
            return Ok(());
        }
        let rules = self.rbac.rules_of_role(kind, name, request.namespace);
        let rules = rules.map_err(|_| {
            let singular = resource.trim_end_matches('s');
            Status::not_found(&GroupResource::new(GROUP, singular), name)
        })?;
        self.confirm(request, &rules)
    }

    fn confirm(&self, request: &Request<'_>, rules: &[Rule]) -> Result<(), Status> {
        let checked = self
            .rbac
            .confirm_no_escalation(request.user, request.namespace, rules);
        checked.map_err(|why| request.forbidden(why))
    }

    fn may(&self, request: &Request<'_>, verb: &str, resource: &str, name: &str) -> bool {
        let target = Target::Resource {
            group: GROUP,
            version: "*",
            resource,
            subresource: "",
            namespace: request.namespace,
            name,
        };
        let attributes = Attributes {
            user: request.user,
            verb,
            target,
        };
        matches!(self.authorizer.authorize(&attributes), Decision::Allow(_))
    }
}

#[async_trait]
impl Plugin for RbacEscalation {
    fn name(&self) -> &'static str {
        "RBACEscalation"
    }

    async fn validate(
        &self,
        request: &Request<'_>,
        object: &Value,
        old: Option<&Value>,
        _view: &dyn View,
        _warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        let writes = matches!(request.operation, Operation::Create | Operation::Update);
        if request.group != GROUP || !writes || request.user.is_in(MASTERS) {
            return Ok(());
        }
        if old.is_some_and(|old| changes_only_for_deletion(object, old)) {
            return Ok(());
        }
        match request.resource {
            "roles" | "clusterroles" => self.check_role(request, object, old),
            "rolebindings" | "clusterrolebindings" => self.check_binding(request, object),
            _ => Ok(()),
        }
    }
}

fn everything() -> Rule {
    let all = || vec!["*".into()];
    Rule {
        verbs: all(),
        groups: all(),
        resources: all(),
        ..Rule::default()
    }
}

fn every_path() -> Rule {
    Rule {
        verbs: vec!["*".into()],
        urls: vec!["*".into()],
        ..Rule::default()
    }
}

/// The garbage collector touches owners and finalizers of what it does not hold.
fn changes_only_for_deletion(object: &Value, old: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        for key in [
            "ownerReferences",
            "finalizers",
            "managedFields",
            "resourceVersion",
        ] {
            object.metadata_mut().remove(key);
        }
        object
    };
    without(object) == without(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Case, Objects, create, update};
    use auth::User;
    use meta::value;

    fn plugin() -> RbacEscalation {
        let rbac = Rbac::new();
        let pods = value!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        let on_roles = |verb: &str, resources: &str, names: Value| value!({"verbs": [verb], "apiGroups": [GROUP], "resources": [resources], "resourceNames": names});
        for (name, rules) in [
            ("pods", value!([pods])),
            (
                "secrets",
                value!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]),
            ),
            (
                "binder",
                value!([on_roles("bind", "clusterroles", value!(["secrets"]))]),
            ),
            (
                "escalator",
                value!([on_roles("escalate", "roles", value!(["r"]))]),
            ),
            (
                "root",
                value!([
                    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]},
                ]),
            ),
        ] {
            rbac.put(
                "ClusterRole",
                &value!({"metadata": {"name": name}, "rules": rules}),
            );
            let subjects = value!([{"kind": "Group", "name": name}]);
            let role = value!({"kind": "ClusterRole", "name": name});
            rbac.put(
                "ClusterRoleBinding",
                &value!({"metadata": {"name": name}, "roleRef": role, "subjects": subjects}),
            );
        }
        let rbac = Arc::new(rbac);
        RbacEscalation::new(rbac.clone(), rbac)
    }

    fn role(rules: Value) -> Case {
        create(
            "rbac.authorization.k8s.io:roles",
            "ns",
            value!({"metadata": {"name": "r"}, "rules": rules}),
        )
    }

    fn binding(kind: &str, name: &str) -> Case {
        let object = value!({"metadata": {"name": "b"}, "roleRef": {"kind": kind, "name": name}});
        create("rbac.authorization.k8s.io:rolebindings", "ns", object)
    }

    async fn check(case: Case, groups: &[&str], wanted: Result<(), &str>) {
        let case = case.by(User::new("jane", groups));
        let found = case.validate(&plugin(), &Objects::default()).await;
        let found = found.map(|_| ()).map_err(|status| status.message);
        assert_eq!(found, wanted.map_err(str::to_string), "{groups:?}");
    }

    #[tokio::test]
    async fn roles_grant_what_their_author_holds() {
        let pods = || value!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
        check(role(pods()), &["pods"], Ok(())).await;
        check(role(pods()), &["system:masters"], Ok(())).await;
        check(role(pods()), &["escalator"], Ok(())).await;
        let why = "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"secrets\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}";
        check(role(pods()), &["secrets"], Err(why)).await;
        let old = value!({"metadata": {"name": "r", "finalizers": ["x"]}, "rules": pods()});
        let new = value!({"metadata": {"name": "r"}, "rules": pods()});
        check(
            update("rbac.authorization.k8s.io:roles", "", old, new),
            &["secrets"],
            Ok(()),
        )
        .await;
    }

    #[tokio::test]
    async fn bindings_grant_what_their_author_holds_or_may_bind() {
        check(binding("ClusterRole", "secrets"), &["secrets"], Ok(())).await;
        check(binding("ClusterRole", "secrets"), &["binder"], Ok(())).await;
        let why = "rolebindings.rbac.authorization.k8s.io \"b\" is forbidden: user \"jane\" (groups=[\"binder\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}";
        check(binding("ClusterRole", "pods"), &["binder"], Err(why)).await;
        let why = "role.rbac.authorization.k8s.io \"gone\" not found";
        check(binding("Role", "gone"), &["pods"], Err(why)).await;
    }

    #[tokio::test]
    async fn aggregation_is_for_those_who_hold_everything() {
        let object = value!({
            "metadata": {"name": "agg"}, "rules": [],
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
        });
        let case = || create("rbac.authorization.k8s.io:clusterroles", "", object.clone());
        check(case(), &["root"], Ok(())).await;
        let why = "clusterroles.rbac.authorization.k8s.io \"agg\" is forbidden: must have cluster-admin privileges to use the aggregationRule";
        check(case(), &["pods"], Err(why)).await;
    }
}
