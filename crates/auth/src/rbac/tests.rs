//! Rules, bindings, escalation, what is shipped; the cases follow upstream's
//! rbac_test.go, rule_test.go and policy_comparator_test.go.

use super::reconcile::{Action, plan};
use super::*;
use crate::Authorizers;
use meta::value;
use std::sync::Arc;

fn rbac(objects: &[Value]) -> Rbac {
    let rbac = Rbac::new();
    for object in objects {
        rbac.put(object.str_at(&["kind"]), object);
    }
    rbac
}

fn bootstrapped() -> Rbac {
    rbac(&bootstrap::objects())
}

fn role(kind: &str, namespace: &str, name: &str, rules: Value) -> Value {
    value!({"kind": kind, "metadata": {"namespace": namespace, "name": name}, "rules": rules})
}

fn bind(namespace: &str, name: &str, role: &str, subject: Value) -> Value {
    let kind = if namespace.is_empty() {
        "ClusterRoleBinding"
    } else {
        "RoleBinding"
    };
    let (of, role) = role.split_once('/').unwrap();
    value!({
        "kind": kind, "metadata": {"namespace": namespace, "name": name},
        "roleRef": {"kind": of, "name": role}, "subjects": [subject],
    })
}

/// `verb [group:]resource[/sub] [namespace/][name]`, or `verb /path`.
fn ask(authorizer: &dyn Authorizer, user: &User, question: &str) -> Decision {
    let mut words = question.split(' ');
    let verb = words.next().unwrap();
    let what = words.next().unwrap();
    let object = words.next().unwrap_or_default();
    let (namespace, name) = object.split_once('/').unwrap_or(("", object));
    let target = match what.starts_with('/') {
        true => Target::Path(what),
        false => {
            let (group, resource) = what.split_once(':').unwrap_or(("", what));
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            Target::Resource {
                group,
                version: "v1",
                resource,
                subresource,
                namespace,
                name,
            }
        }
    };
    authorizer.authorize(&Attributes { user, verb, target })
}

fn may(authorizer: &dyn Authorizer, user: &User, question: &str) -> bool {
    matches!(ask(authorizer, user, question), Decision::Allow(_))
}

#[test]
fn rules_match_as_upstream_matches() {
    let cases: [(Value, &[&str], &[&str]); 7] = [
        (
            value!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}),
            &["get pods ns/", "get pods ns/a"],
            &[
                "list pods ns/",
                "get apps:pods ns/",
                "get pods/log ns/a",
                "get services ns/",
                "get /pods",
            ],
        ),
        (
            value!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            &["get pods ns/", "x apps:y/z ns/a"],
            &["get /healthz"],
        ),
        (
            value!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods/log", "*/status"]}),
            &["get pods/log ns/a", "get nodes/status"],
            &["get pods ns/a", "get pods/exec ns/a", "get nodes/log"],
        ),
        (
            value!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}),
            &["get pods ns/a"],
            &["get pods ns/b", "get pods ns/"],
        ),
        (
            value!({"verbs": ["get"], "nonResourceURLs": ["/apis/*", "/version"]}),
            &["get /apis/apps", "get /version", "get /apis/"],
            &["get /apis", "get /version/", "post /version"],
        ),
        (
            value!({"verbs": ["get"], "nonResourceURLs": ["*"]}),
            &["get /", "get /apis/apps"],
            &["get pods ns/"],
        ),
        (
            value!({"verbs": [], "apiGroups": [""], "resources": ["pods"]}),
            &[],
            &["get pods ns/"],
        ),
    ];
    let user = User::new("jane", &[]);
    for (rule, yes, no) in cases {
        let rbac = rbac(&[
            role("ClusterRole", "", "r", value!([rule.clone()])),
            bind(
                "",
                "b",
                "ClusterRole/r",
                value!({"kind": "User", "name": "jane"}),
            ),
        ]);
        for question in yes {
            assert!(
                may(&rbac, &user, question),
                "{rule} should allow {question}"
            );
        }
        for question in no {
            assert!(
                !may(&rbac, &user, question),
                "{rule} should not allow {question}"
            );
        }
    }
}

#[test]
fn bindings_name_users_groups_and_service_accounts() {
    let pods = value!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    let rbac = rbac(&[
        role("ClusterRole", "", "cluster", pods.clone()),
        role("Role", "ns", "local", pods),
        bind(
            "",
            "a",
            "ClusterRole/cluster",
            value!({"kind": "Group", "name": "ops"}),
        ),
        bind(
            "ns",
            "b",
            "Role/local",
            value!({"kind": "User", "name": "jane"}),
        ),
        bind(
            "ns",
            "c",
            "ClusterRole/cluster",
            value!({"kind": "ServiceAccount", "name": "robot"}),
        ),
        bind(
            "ns",
            "d",
            "Role/gone",
            value!({"kind": "User", "name": "joe"}),
        ),
    ]);
    let check = |user: &User, question: &str, wanted: Decision| {
        assert_eq!(
            ask(&rbac, user, question),
            wanted,
            "{} {question}",
            user.name
        );
    };
    let allowed = |by: &str| Decision::Allow(format!("RBAC: allowed by {by}"));
    let ops = User::new("olga", &["ops"]);
    let everywhere = r#"ClusterRoleBinding "a" of ClusterRole "cluster" to Group "ops""#;
    check(&ops, "get pods", allowed(everywhere));
    check(&ops, "get pods ns/x", allowed(everywhere));
    let jane = User::new("jane", &[]);
    check(
        &jane,
        "get pods ns/",
        allowed(r#"RoleBinding "b/ns" of Role "local" to User "jane""#),
    );
    check(&jane, "get pods other/", Decision::NoOpinion(String::new()));
    check(&jane, "get pods", Decision::NoOpinion(String::new()));
    let robot = User::service_account("ns", "robot");
    let by = r#"RoleBinding "c/ns" of ClusterRole "cluster" to ServiceAccount "robot/ns""#;
    check(&robot, "get pods ns/", allowed(by));
    let missing = "RBAC: role.rbac.authorization.k8s.io \"gone\" not found";
    check(
        &User::new("joe", &[]),
        "get pods ns/",
        Decision::NoOpinion(missing.into()),
    );
}

#[test]
fn the_index_follows_changes() {
    let pods = value!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    let jane = User::new("jane", &[]);
    let rbac = rbac(&[
        role("Role", "ns", "r", pods),
        bind(
            "ns",
            "b",
            "Role/r",
            value!({"kind": "User", "name": "jane"}),
        ),
    ]);
    assert!(may(&rbac, &jane, "get pods ns/"));
    rbac.put(
        "RoleBinding",
        &bind("ns", "b", "Role/r", value!({"kind": "User", "name": "joe"})),
    );
    assert!(!may(&rbac, &jane, "get pods ns/"));
    assert!(may(&rbac, &User::new("joe", &[]), "get pods ns/"));
    rbac.put("Role", &role("Role", "ns", "r", value!([])));
    assert!(!may(&rbac, &User::new("joe", &[]), "get pods ns/"));
    rbac.remove("RoleBinding", "ns", "b");
    rbac.remove("Role", "ns", "r");
    assert_eq!(
        format!("{:?}", rbac.read()),
        format!("{:?}", Index::default())
    );
}

#[test]
fn what_a_broken_watch_missed_is_made_good() {
    let pods = value!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    let user = |name: &str| value!({"kind": "User", "name": name});
    let rbac = rbac(&[
        role("Role", "ns", "r", pods),
        bind("ns", "jane", "Role/r", user("jane")),
        bind("ns", "joe", "Role/r", user("joe")),
    ]);
    rbac.replace("RoleBinding", &[bind("ns", "joe", "Role/r", user("jim"))]);
    for (name, allowed) in [("jane", false), ("joe", false), ("jim", true)] {
        assert_eq!(
            may(&rbac, &User::new(name, &[]), "get pods ns/"),
            allowed,
            "{name}"
        );
    }
    for kind in KINDS {
        rbac.replace(kind, &[]);
    }
    assert_eq!(
        format!("{:?}", rbac.read()),
        format!("{:?}", Index::default())
    );
}

#[test]
fn what_is_shipped_lets_each_do_its_work() {
    let rbac = bootstrapped();
    let someone = User::new("jane", &["system:authenticated"]);
    let anonymous = User::anonymous();
    let scheduler = User::new("system:kube-scheduler", &["system:authenticated"]);
    let manager = User::new("system:kube-controller-manager", &["system:authenticated"]);
    let deployments = User::service_account("kube-system", "deployment-controller");
    let yes: [(&User, &[&str]); 6] = [
        (
            &User::new("root", &["system:masters"]),
            &["x y:z a/b", "get /x"],
        ),
        (
            &someone,
            &[
                "get /api",
                "get /apis/apps/v1",
                "get /openapi/v3",
                "get /version",
                "get /readyz",
                "create authorization.k8s.io:selfsubjectaccessreviews",
                "create authentication.k8s.io:selfsubjectreviews",
            ],
        ),
        (
            &anonymous,
            &["get /healthz", "get /livez", "get /readyz", "get /version"],
        ),
        (
            &scheduler,
            &[
                "watch pods",
                "create pods/binding ns/a",
                "patch pods/status ns/a",
                "create events.k8s.io:events ns/",
                "get coordination.k8s.io:leases kube-system/kube-scheduler",
            ],
        ),
        (
            &manager,
            &["watch apps:anything", "create serviceaccounts/token ns/a"],
        ),
        (
            &deployments,
            &[
                "update apps:deployments/status ns/a",
                "create apps:replicasets ns/",
                "get /.well-known/openid-configuration",
            ],
        ),
    ];
    for (user, questions) in yes {
        for question in questions {
            assert!(
                may(&rbac, user, question),
                "{} should {question}",
                user.name
            );
        }
    }
    let no: [(&User, &[&str]); 4] = [
        (
            &someone,
            &[
                "get pods ns/",
                "get /metrics",
                "get /openid/v1/jwks",
                "get secrets ns/a",
            ],
        ),
        (
            &anonymous,
            &[
                "get /api",
                "get /metrics",
                "get /readyz/x",
                "create authorization.k8s.io:selfsubjectaccessreviews",
            ],
        ),
        (
            &scheduler,
            &[
                "get secrets ns/a",
                "create pods ns/",
                "update coordination.k8s.io:leases default/other",
            ],
        ),
        (&deployments, &["create pods ns/", "get secrets ns/a"]),
    ];
    for (user, questions) in no {
        for question in questions {
            assert!(
                !may(&rbac, user, question),
                "{} should not {question}",
                user.name
            );
        }
    }
}

#[test]
fn admin_edit_and_view_hold_what_aggregates_to_them() {
    let rbac = bootstrapped();
    for name in ["admin", "edit", "view"] {
        let subject = value!({"kind": "User", "name": name});
        rbac.put(
            "RoleBinding",
            &bind("ns", name, &format!("ClusterRole/{name}"), subject),
        );
    }
    let user = |name: &str| User::new(name, &[]);
    for (question, least) in [
        ("get pods ns/a", "view"),
        ("get pods/log ns/a", "view"),
        ("watch discovery.k8s.io:endpointslices ns/", "view"),
        ("get secrets ns/a", "edit"),
        ("delete apps:deployments ns/a", "edit"),
        ("create pods/exec ns/a", "edit"),
        ("create rbac.authorization.k8s.io:roles ns/", "admin"),
        ("update resourcequotas ns/a", "nobody"),
        ("create endpoints ns/", "nobody"),
        ("get nodes", "nobody"),
    ] {
        let ranks = ["view", "edit", "admin", "nobody"];
        let from = ranks.iter().position(|r| *r == least).unwrap();
        for (rank, name) in ranks.iter().take(3).enumerate() {
            assert_eq!(
                may(&rbac, &user(name), question),
                rank >= from,
                "{name} {question}"
            );
        }
    }
}

#[test]
fn shipped_objects_are_well_formed() {
    let objects = bootstrap::objects();
    let mut names = std::collections::BTreeSet::new();
    let rbac = bootstrapped();
    for object in &objects {
        let (kind, ns, name) = (object.str_at(&["kind"]), object.namespace(), object.name());
        assert!(
            names.insert((kind.to_string(), ns.to_string(), name.to_string())),
            "{name} twice"
        );
        assert_eq!(
            object.label("kubernetes.io/bootstrapping"),
            Some("rbac-defaults")
        );
        if let Some(role) = object.get("roleRef") {
            let found = rbac.rules_of_role(role.str_at(&["kind"]), role.str_at(&["name"]), ns);
            assert!(!found.unwrap().is_empty(), "{name}");
        }
        for rule in object.items_at(&["rules"]) {
            let rule = Rule::read(rule);
            assert!(!rule.verbs.is_empty());
            assert!(rule.resources.is_empty() == rule.groups.is_empty());
            assert!(rule.resources.is_empty() != rule.urls.is_empty());
        }
        assert_eq!(plan(object, Some(object)), Action::Leave, "{name}");
    }
    let count = |kind: &str| {
        objects
            .iter()
            .filter(|o| o.str_at(&["kind"]) == kind)
            .count()
    };
    assert_eq!((count("Role"), count("RoleBinding")), (7, 7));
    assert_eq!(
        (count("ClusterRole"), count("ClusterRoleBinding")),
        (68, 49)
    );
}

#[test]
fn stored_objects_gain_what_is_missing_and_lose_nothing() {
    let shipped = bootstrap::objects();
    let find = |kind: &str, name: &str| {
        let mut all = shipped.iter();
        all.find(|o| o.str_at(&["kind"]) == kind && o.name() == name)
            .unwrap()
            .clone()
    };
    let discovery = find("ClusterRole", "system:discovery");
    assert_eq!(plan(&discovery, None), Action::Create(discovery.clone()));
    let mut stored = discovery.clone();
    stored.set_at(
        &["rules"],
        value!([{"verbs": ["get"], "nonResourceURLs": ["/api*", "/extra"]}]),
    );
    stored.remove_at(&["metadata", "labels"]);
    let Action::Update(updated) = plan(&discovery, Some(&stored)) else {
        panic!()
    };
    let rbac = rbac(&[
        updated.clone(),
        bind(
            "",
            "b",
            "ClusterRole/system:discovery",
            value!({"kind": "User", "name": "u"}),
        ),
    ]);
    for path in [
        "get /extra",
        "get /api",
        "get /apis/x",
        "get /version",
        "get /openapi/v3",
    ] {
        assert!(may(&rbac, &User::new("u", &[]), path), "{path}");
    }
    assert_eq!(plan(&discovery, Some(&updated)), Action::Leave);
    stored.set_at(
        &[
            "metadata",
            "annotations",
            "rbac.authorization.kubernetes.io/autoupdate",
        ],
        "false",
    );
    assert_eq!(plan(&discovery, Some(&stored)), Action::Leave);
    let binding = find("ClusterRoleBinding", "system:discovery");
    let mut stored = binding.clone();
    stored.set_at(&["subjects"], value!([{"kind": "User", "name": "mine"}]));
    let Action::Update(updated) = plan(&binding, Some(&stored)) else {
        panic!()
    };
    assert_eq!(updated.items_at(&["subjects"]).len(), 2);
    stored.set_at(&["roleRef", "name"], "other");
    assert_eq!(plan(&binding, Some(&stored)), Action::Replace(binding));
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let rbac = rbac(&[
        role(
            "Role",
            "ns",
            "r",
            value!([
                {"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "*/status"]},
                {"verbs": ["update"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]},
            ]),
        ),
        bind(
            "ns",
            "b",
            "Role/r",
            value!({"kind": "User", "name": "jane"}),
        ),
        role(
            "ClusterRole",
            "",
            "u",
            value!([{"verbs": ["get"], "nonResourceURLs": ["/apis/*"]}]),
        ),
        bind(
            "",
            "b",
            "ClusterRole/u",
            value!({"kind": "User", "name": "jane"}),
        ),
    ]);
    let jane = User::new("jane", &["a", "b"]);
    let check = |rules: Value, missing: &str| {
        let rules = Rule::read_all(&value!({"rules": rules}));
        let wanted = match missing {
            "" => Ok(()),
            missing => Err(format!(
                "user \"jane\" (groups=[\"a\" \"b\"]) is attempting to grant RBAC permissions not currently held:\n{missing}"
            )),
        };
        assert_eq!(rbac.confirm_no_escalation(&jane, "ns", &rules), wanted);
    };
    check(
        value!([{"verbs": ["get"], "apiGroups": ["", "apps"], "resources": ["pods", "nodes/status"]}]),
        "",
    );
    check(
        value!([{"verbs": ["update"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}]),
        "",
    );
    check(
        value!([{"verbs": ["get"], "nonResourceURLs": ["/apis/apps", "/apis/*"]}]),
        "",
    );
    check(
        value!([{"verbs": ["get", "delete", "watch"], "apiGroups": [""], "resources": ["pods", "nodes"]}]),
        "{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"delete\" \"watch\"]}\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\" \"watch\"]}",
    );
    check(
        value!([{"verbs": ["update"], "apiGroups": [""], "resources": ["secrets"]}]),
        "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"update\"]}",
    );
    check(
        value!([{"verbs": ["update"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["b"]}]),
        "{APIGroups:[\"\"], Resources:[\"secrets\"], ResourceNames:[\"b\"], Verbs:[\"update\"]}",
    );
    check(
        value!([{"verbs": ["get"], "nonResourceURLs": ["*"]}]),
        "{NonResourceURLs:[\"*\"], Verbs:[\"get\"]}",
    );
    check(
        value!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
        "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}",
    );
}

#[test]
fn rules_are_listed_for_reviews() {
    let rbac = bootstrapped();
    let rules = rbac.rules(&User::new("jane", &["system:authenticated"]), "ns");
    assert_eq!(rules.resource.len(), 2);
    assert!(rules.resource.contains(&value!({
        "verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]
    })));
    assert_eq!(rules.path.len(), 2);
    assert!(!rules.incomplete && rules.error.is_empty());
}

#[test]
fn masters_may_everything_and_anonymous_can_be_kept_out() {
    let all = Authorizers::new(vec![Arc::new(bootstrapped())]);
    let root = User::new("root", &["system:masters"]);
    assert_eq!(
        ask(&all, &root, "x y:z a/b"),
        Decision::Allow(String::new())
    );
    assert!(may(&all, &User::anonymous(), "get /version"));
    let strict = all.anonymous_health_only(true);
    assert!(may(&strict, &User::anonymous(), "get /readyz"));
    assert!(!may(&strict, &User::anonymous(), "get /version"));
    assert!(may(
        &strict,
        &User::new("jane", &["system:authenticated"]),
        "get /version"
    ));
}
