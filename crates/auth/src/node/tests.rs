//! What a kubelet may and may not; the cases follow upstream's
//! node_authorizer_test.go.

use super::*;
use crate::User;
use meta::value;

fn authorizer() -> NodeAuthorizer {
    let authorizer = NodeAuthorizer::new();
    authorizer.put_pod(&value!({
        "metadata": {"namespace": "ns", "name": "p", "uid": "1"},
        "spec": {
            "nodeName": "one", "serviceAccountName": "robot",
            "imagePullSecrets": [{"name": "pull"}],
            "initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "env"}}}]}],
            "containers": [{
                "envFrom": [{"configMapRef": {"name": "from"}}, {"secretRef": {"name": "from"}}],
            }],
            "volumes": [
                {"secret": {"secretName": "vol"}}, {"configMap": {"name": "vol"}},
                {"persistentVolumeClaim": {"claimName": "claim"}},
                {"name": "scratch", "ephemeral": {}},
                {"projected": {"sources": [{"secret": {"name": "proj"}}, {"configMap": {"name": "proj"}}]}},
            ],
        },
    }));
    authorizer.put_pod(&value!({
        "metadata": {"namespace": "ns", "name": "mirror", "annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"nodeName": "one", "volumes": [{"secret": {"secretName": "stolen"}}]},
    }));
    authorizer
}

/// `verb group/resource[/sub] [namespace/]name` as node `one` (or another user).
fn ask(authorizer: &NodeAuthorizer, user: &User, question: &str) -> Decision {
    let mut words = question.split(' ');
    let verb = words.next().unwrap();
    let mut resource = words.next().unwrap().split('/');
    let object = words.next().unwrap_or_default();
    let (namespace, name) = object.split_once('/').unwrap_or(("", object));
    let target = Target::Resource {
        group: resource.next().unwrap(),
        version: "v1",
        resource: resource.next().unwrap(),
        subresource: resource.next().unwrap_or_default(),
        namespace,
        name,
    };
    authorizer.authorize(&Attributes { user, verb, target })
}

#[test]
fn kubelets_may_what_their_pods_need() {
    let authorizer = authorizer();
    let one = User::new("system:node:one", &[NODES]);
    let other = User::new("system:node:other", &[NODES]);
    let own = [
        "get /secrets ns/pull",
        "get /secrets ns/env",
        "list /secrets ns/from",
        "watch /secrets ns/vol",
        "get /secrets ns/proj",
        "get /configmaps ns/from",
        "get /configmaps ns/vol",
        "get /configmaps ns/proj",
        "get /persistentvolumeclaims ns/claim",
        "get /persistentvolumeclaims ns/p-scratch",
        "update /persistentvolumeclaims/status ns/claim",
        "create /serviceaccounts/token ns/robot",
        "get /pods ns/p",
        "watch /pods ns/p",
        "get /pods ns/mirror",
        "get /nodes one",
        "watch /nodes one",
        "update coordination.k8s.io/leases kube-node-lease/one",
        "get storage.k8s.io/csinodes one",
    ];
    for question in own {
        assert_eq!(
            ask(&authorizer, &one, question),
            Decision::Allow(String::new()),
            "{question}"
        );
        let decision = ask(&authorizer, &other, question);
        assert!(
            matches!(decision, Decision::NoOpinion(_)),
            "{question}: {decision:?}"
        );
    }
    for question in [
        "list /services",
        "create /events ns/",
        "create /nodes",
        "patch /nodes/status one",
        "patch /pods/status ns/p",
        "create /pods/eviction ns/p",
        "list /pods",
        "watch /pods",
        "create coordination.k8s.io/leases kube-node-lease/",
        "create authentication.k8s.io/tokenreviews",
        "watch node.k8s.io/runtimeclasses",
    ] {
        assert_eq!(
            ask(&authorizer, &one, question),
            Decision::Allow(String::new()),
            "{question}"
        );
    }
    for (question, why) in [
        (
            "get /secrets ns/stolen",
            "no relationship found between node 'one' and this object",
        ),
        (
            "get /secrets other/pull",
            "no relationship found between node 'one' and this object",
        ),
        ("list /secrets ns/", "No Object name found"),
        (
            "list /secrets",
            "can only read namespaced object of this type",
        ),
        (
            "update /secrets ns/pull",
            "can only read resources of this type",
        ),
        ("get /secrets/x ns/pull", "cannot read subresource"),
        (
            "list /persistentvolumeclaims ns/claim",
            "can only get individual resources of this type",
        ),
        (
            "create /serviceaccounts/token ns/other",
            "no relationship found between node 'one' and this object",
        ),
        (
            "get /serviceaccounts ns/robot",
            "can only create tokens for individual service accounts",
        ),
        (
            "list /nodes",
            "node 'one' cannot read all nodes, only its own Node object",
        ),
        (
            "get /nodes two",
            "node 'one' cannot read 'two', only its own Node object",
        ),
        ("delete /nodes one", ""),
        ("patch /pods ns/p", ""),
        (
            "get coordination.k8s.io/leases default/one",
            "can only access leases in the \"kube-node-lease\" system namespace",
        ),
        (
            "get coordination.k8s.io/leases kube-node-lease/two",
            "can only access node lease with the same name as the requesting node",
        ),
        (
            "list coordination.k8s.io/leases kube-node-lease/",
            "can only get, create, update, patch, or delete a node lease",
        ),
        ("create apps/deployments ns/", ""),
        ("get rbac.authorization.k8s.io/clusterroles x", ""),
    ] {
        assert_eq!(
            ask(&authorizer, &one, question),
            Decision::NoOpinion(why.into()),
            "{question}"
        );
    }
}

#[test]
fn a_kubelet_may_hear_of_a_pod_first() {
    struct Shown;
    impl Pods for Shown {
        fn on_node(&self, namespace: &str, node: &str) -> Vec<Value> {
            let pod = value!({
                "metadata": {"namespace": "ns", "name": "new", "uid": "9"},
                "spec": {"nodeName": "one", "serviceAccountName": "fresh"},
            });
            let is_there = (namespace, node) == ("ns", "one");
            is_there.then_some(pod).into_iter().collect()
        }
    }
    let authorizer = authorizer();
    let may = |node: &str, question: &str| {
        let user = User::new(format!("system:node:{node}"), &[NODES]);
        matches!(ask(&authorizer, &user, question), Decision::Allow(_))
    };
    let question = "create /serviceaccounts/token ns/fresh";
    assert!(!may("one", question));
    authorizer.look_at(Shown);
    assert!(may("one", question));
    assert!(!may("other", question));
    assert!(!may("one", "create /serviceaccounts/token other/fresh"));
    assert!(!may("one", "get /secrets ns/fresh"));
}

#[test]
fn a_pod_that_goes_takes_its_needs_along() {
    let authorizer = authorizer();
    let one = User::new("system:node:one", &[NODES]);
    let may = |question: &str| matches!(ask(&authorizer, &one, question), Decision::Allow(_));
    authorizer.put_pod(&value!({
        "metadata": {"namespace": "ns", "name": "q", "uid": "2"},
        "spec": {"nodeName": "one", "imagePullSecrets": [{"name": "pull"}]},
    }));
    authorizer.remove_pod("ns", "p");
    assert!(may("get /secrets ns/pull"), "another pod needs it");
    assert!(!may("get /secrets ns/vol"));
    authorizer
        .put_pod(&value!({"metadata": {"namespace": "ns", "name": "q", "uid": "3"}, "spec": {}}));
    assert!(!may("get /secrets ns/pull"));
    authorizer.replace_pods(&[]);
    let graph = authorizer.graph.read().unwrap();
    assert_eq!(format!("{graph:?}"), format!("{:?}", Graph::default()));
}

#[test]
fn others_are_none_of_its_business() {
    let authorizer = authorizer();
    for user in [
        User::new("system:node:one", &[]),
        User::new("jane", &["system:authenticated"]),
    ] {
        assert_eq!(
            ask(&authorizer, &user, "get /nodes one"),
            Decision::NoOpinion(String::new())
        );
    }
    let odd = User::new("jane", &[NODES]);
    let decision = ask(&authorizer, &odd, "get /nodes one");
    assert_eq!(
        decision,
        Decision::NoOpinion("unknown node for user \"jane\"".into())
    );
}
