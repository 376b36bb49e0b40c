//! Cases of Deployment.

use super::Deployment;
use crate::kind::{Door, Kind};
use crate::testing::{check_columns, check_update, check_valid};
use meta::{Field, Value, value};

fn deployment() -> Value {
    let mut object = value!({
        "metadata": {"name": "web", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "j:1"}]}
            }
        }
    });
    Deployment.default(&mut object);
    object
}

#[test]
fn it_rolls_a_quarter_at_a_time() {
    let object = deployment();
    assert_eq!(object.i64_at(&["spec", "replicas"]), Some(1));
    assert_eq!(object.i64_at(&["spec", "revisionHistoryLimit"]), Some(10));
    assert_eq!(
        object.i64_at(&["spec", "progressDeadlineSeconds"]),
        Some(600)
    );
    assert_eq!(
        object.at(&["spec", "strategy"]),
        Some(
            &value!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}})
        )
    );
    assert_eq!(
        object.str_at(&["spec", "template", "spec", "dnsPolicy"]),
        "ClusterFirst"
    );
    // What only pods are filled in with.
    assert_eq!(
        object.at(&["spec", "template", "spec", "enableServiceLinks"]),
        None
    );
    check_valid(&Deployment, object, &[]);
}

#[test]
fn what_is_missing_or_at_odds_is_refused() {
    let mut object = value!({"spec": {"replicas": -1}});
    Deployment.default(&mut object);
    check_valid(
        &Deployment,
        object,
        &[
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
            "spec.template.spec.containers: Required value",
        ],
    );
    let mut object = deployment();
    object.set_at(
        &["spec", "template", "metadata", "labels"],
        value!({"app": "db"}),
    );
    object.set_at(&["spec", "template", "spec", "restartPolicy"], "Never");
    object.set_at(
        &["spec", "strategy", "rollingUpdate"],
        value!({"maxUnavailable": 0, "maxSurge": "0%"}),
    );
    object.set_at(&["spec", "progressDeadlineSeconds"], 5);
    object.set_at(&["spec", "minReadySeconds"], 5);
    check_valid(
        &Deployment,
        object,
        &[
            "spec.template.metadata.labels: Invalid value: {\"app\":\"db\"}: `selector` does not match template `labels`",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ],
    );
    let mut object = deployment();
    object.set_at(
        &["spec", "strategy", "rollingUpdate"],
        value!({"maxUnavailable": "101%", "maxSurge": "x"}),
    );
    check_valid(
        &Deployment,
        object,
        &[
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
        ],
    );
}

#[test]
fn it_selects_the_same_for_ever() {
    let old = deployment();
    let mut new = old.clone();
    for keys in [
        &["spec", "selector", "matchLabels"][..],
        &["spec", "template", "metadata", "labels"],
    ] {
        new.set_at(keys, value!({"app": "b"}));
    }
    check_update(
        &Deployment,
        &old,
        new,
        &["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable"],
    );
}

#[test]
fn columns_count_the_pods() {
    let mut object = deployment();
    object.set_at(
        &["status"],
        value!({"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}),
    );
    check_columns(
        &Deployment,
        &object,
        "2024-01-01T01:00:00Z",
        &["web", "1/1", "2", "1", "60m", "c,d", "i:1,j:1", "app=web"],
    );
}

#[test]
fn annotations_count_as_a_change() {
    let mut old = deployment();
    old.set_at(&["metadata", "generation"], 3);
    let mut new = old.clone();
    new.set_at(&["metadata", "labels"], value!({"a": "b"}));
    Deployment.prepare_update(&mut new, &old, Door::Main);
    assert_eq!(new.i64_at(&["metadata", "generation"]), Some(3));
    new.set_at(&["metadata", "annotations"], value!({"a": "b"}));
    Deployment.prepare_update(&mut new, &old, Door::Main);
    assert_eq!(new.i64_at(&["metadata", "generation"]), Some(4));
}

#[test]
fn what_was_wrong_before_may_stay() {
    let terms = ["spec", "template", "spec", "affinity"];
    let expression =
        || value!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]});
    let to_pods = value!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": expression(), "topologyKey": "k"}
    ]}});
    let to_nodes = value!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [expression()]}}});
    let spread = value!([{
        "maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": expression(),
    }]);
    let cost = value!({"controller.kubernetes.io/pod-deletion-cost": "much"});
    for (keys, wrong) in [
        (&terms[..], to_pods),
        (&terms[..], to_nodes),
        (
            &["spec", "template", "spec", "topologySpreadConstraints"],
            spread,
        ),
        (&["spec", "template", "metadata", "annotations"], cost),
    ] {
        let right = deployment();
        let mut old = deployment();
        old.set_at(keys, wrong);
        let mut new = old.clone();
        new.set_at(&["spec", "replicas"], 7);
        check_update(&Deployment, &old, new.clone(), &[]);
        let mut errors = meta::Errors::new();
        let (new, right) = (Field::root(&new), Field::root(&right));
        Deployment.validate_update(&new, &right, Door::Main, &mut errors);
        assert_eq!(errors.0.len(), 1, "{}", errors.aggregate());
    }
}
