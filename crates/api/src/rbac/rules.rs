//! Rules and bindings, which roles of a namespace and of the cluster share.
//! Follows pkg/apis/rbac/validation/validation.go and v1/defaults.go.

use crate::fill::{self, items};
use crate::metadata::same;
use meta::{Errors, Field, FieldError, Value, names};

const GROUP: &str = "rbac.authorization.k8s.io";

/// What is wrong with the rules of a role.
pub(super) fn validate(role: &Field<'_>, namespaced: bool, errors: &mut Errors) {
    for rule in role.get("rules").items() {
        validate_rule(&rule, namespaced, errors);
    }
}

fn validate_rule(rule: &Field<'_>, namespaced: bool, errors: &mut Errors) {
    let (verbs, urls) = (rule.get("verbs"), rule.get("nonResourceURLs"));
    if verbs.is_empty() {
        errors.push(verbs.required("verbs must contain at least one value"));
    }
    let (groups, resources) = (rule.get("apiGroups"), rule.get("resources"));
    if !urls.is_empty() {
        if namespaced {
            errors.push(urls.invalid("namespaced rules cannot apply to non-resource URLs"));
        }
        if groups.len() + resources.len() + rule.get("resourceNames").len() > 0 {
            errors.push(
                urls.invalid("rules cannot apply to both regular resources and non-resource URLs"),
            );
        }
        return;
    }
    if groups.is_empty() {
        errors.push(groups.required("resource rules must supply at least one api group"));
    }
    if resources.is_empty() {
        errors.push(resources.required("resource rules must supply at least one resource"));
    }
}

/// What is wrong with the rule by which a ClusterRole gathers others.
pub(super) fn validate_aggregation(role: &Field<'_>, errors: &mut Errors) {
    let rule = role.get("aggregationRule");
    if !rule.is_present() {
        return;
    }
    let selectors = rule.get("clusterRoleSelectors");
    if selectors.is_empty() {
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(selectors.required(detail));
    }
    for selector in selectors.items() {
        meta::selector::validate(&selector, errors);
    }
}

/// Fills in the groups that a binding leaves out.
pub(super) fn default_binding(binding: &mut Value) {
    fill::empty(binding.make_object().entry("roleRef"), "apiGroup", GROUP);
    for subject in items(binding, "subjects") {
        if matches!(subject.str_at(&["kind"]), "User" | "Group") {
            fill::empty(subject, "apiGroup", GROUP);
        }
    }
}

/// What is wrong with a binding, which may lead to roles of these kinds.
pub(super) fn validate_binding(
    binding: &Field<'_>,
    kinds: &[&str],
    namespaced: bool,
    errors: &mut Errors,
) {
    let role = binding.get("roleRef");
    if role.get("apiGroup").str() != GROUP {
        errors.push(role.get("apiGroup").not_supported(&[GROUP]));
    }
    if !kinds.contains(&role.get("kind").str()) {
        errors.push(role.get("kind").not_supported(kinds));
    }
    let name = role.get("name");
    match name.str() {
        "" => errors.push(name.required("")),
        text => errors.invalid_each(&name, names::path_segment(text)),
    }
    for subject in binding.get("subjects").items() {
        validate_subject(&subject, namespaced, errors);
    }
}

fn validate_subject(subject: &Field<'_>, namespaced: bool, errors: &mut Errors) {
    let (kind, name, group) = (
        subject.get("kind"),
        subject.get("name"),
        subject.get("apiGroup"),
    );
    crate::check::required(&name, errors);
    match kind.str() {
        "ServiceAccount" => {
            if !name.is_empty() {
                crate::check::dns_subdomain(&name, errors);
            }
            if !group.is_empty() {
                errors.push(group.not_supported(&[""]));
            }
            if !namespaced {
                crate::check::required(&subject.get("namespace"), errors);
            }
        }
        "User" | "Group" if group.str() != GROUP => errors.push(group.not_supported(&[GROUP])),
        "User" | "Group" => {}
        text => errors.push(FieldError::not_supported(
            &kind.path,
            text,
            &["ServiceAccount", "User", "Group"],
        )),
    }
}

/// A binding leads to the same role for ever.
pub(super) fn validate_role_stays(binding: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let role = binding.get("roleRef");
    if !same(&role, &old.get("roleRef")) {
        errors.push(role.invalid("cannot change roleRef"));
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::Kind as _;
    use crate::rbac::clusterrolebinding::ClusterRoleBinding;
    use crate::rbac::{clusterrole::ClusterRole, role::Role, rolebinding::RoleBinding};
    use crate::testing::{check_columns, check_update, check_valid};
    use meta::value;

    #[test]
    fn rules_are_of_resources_or_of_urls() {
        check_valid(
            &Role,
            value!({"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, {}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}]}),
            &[
                "rules[1].verbs: Required value: verbs must contain at least one value",
                "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[1].resources: Required value: resource rules must supply at least one resource",
                "rules[2].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
            ],
        );
        check_valid(
            &ClusterRole,
            value!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}], "aggregationRule": {}}),
            &[
                "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
            ],
        );
    }

    #[test]
    fn bindings_lead_from_subjects_to_a_role() {
        let mut binding = value!({
            "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}, {"kind": "Robot", "name": "r"}]
        });
        RoleBinding.default(&mut binding);
        let robot = "Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"";
        let robot = format!("subjects[2].kind: {robot}");
        check_valid(&RoleBinding, binding.clone(), &[&robot]);
        check_valid(
            &ClusterRoleBinding,
            binding.clone(),
            &["subjects[1].namespace: Required value", &robot],
        );
        let mut other = binding.clone();
        other.set_at(&["subjects"], value!([]));
        other.set_at(&["roleRef", "name"], "edit");
        check_update(
            &RoleBinding,
            &binding,
            other,
            &[
                "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"edit\"}: cannot change roleRef",
            ],
        );
        binding.set_at(
            &["metadata"],
            value!({"name": "b", "creationTimestamp": "2024-01-01T00:00:00Z"}),
        );
        check_columns(
            &RoleBinding,
            &binding,
            "2024-01-01T00:00:01Z",
            &["b", "ClusterRole/view", "1s", "u", "", "/s"],
        );
    }
}
