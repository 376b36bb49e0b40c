//! What users ask for, by chance.

use crate::workload::GROUP;
use serde_json::{Value, json};
use stdx::Rng;

/// A deployment of an app.
pub fn deployment(rng: &Rng, app: &str) -> Value {
    json!({
        "metadata": {"name": app},
        "spec": {
            "replicas": rng.below(6),
            "minReadySeconds": rng.choose(&[0, 0, 3, 10]),
            "revisionHistoryLimit": rng.range(0..4),
            "selector": {"matchLabels": {"app": app}},
            "strategy": strategy(rng),
            "template": template(rng, app)
        }
    })
}

/// How pods are replaced.
pub fn strategy(rng: &Rng) -> Value {
    if rng.chance(0.2) {
        return json!({"type": "Recreate", "rollingUpdate": null});
    }
    let posts = [
        (json!("25%"), json!("25%")),
        (json!(1), json!(0)),
        (json!(0), json!(1)),
        (json!(2), json!(1)),
        (json!("100%"), json!("50%")),
    ];
    let (surge, unavailable) = rng.choose(&posts).cloned().unwrap_or_default();
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

/// One of a few templates of an app, so that old ones come back.
pub fn template(rng: &Rng, app: &str) -> Value {
    let image = format!("image-{}", rng.below(3));
    let milli_cpu = 50 + 50 * (image.len() as u64 % 3) + 100 * rng.below(2);
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "terminationGracePeriodSeconds": 10,
            "containers": [{"name": "c", "image": image, "ports": [{"name": "web", "containerPort": 8080}],
                "resources": {"requests": {"cpu": format!("{milli_cpu}m")}}}]
        }
    })
}

/// A service in front of an app.
pub fn service(rng: &Rng, app: &str) -> Value {
    let port = json!({"name": "web", "port": 80, "targetPort": "web"});
    let mut spec = json!({"selector": {"app": app}, "ports": [port]});
    match rng.below(4) {
        0 => spec["type"] = json!("NodePort"),
        1 => spec["clusterIP"] = json!("None"),
        _ => {}
    }
    json!({"metadata": {"name": app}, "spec": spec})
}

/// A replication controller of an app; its pods are told from a deployment's by
/// their tier.
pub fn controller(rng: &Rng, app: &str) -> Value {
    let labels = json!({"tier": "old", "controller": app});
    let mut template = template(rng, app);
    template["metadata"]["labels"] = labels.clone();
    template["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("50m");
    json!({
        "metadata": {"name": app},
        "spec": {"replicas": rng.below(4), "selector": labels, "template": template}
    })
}

/// How many pods of an app must stay when pods are evicted.
pub fn budget(rng: &Rng, app: &str) -> Value {
    let bounds = [
        json!({"minAvailable": 1}),
        json!({"minAvailable": 2}),
        json!({"minAvailable": "50%"}),
        json!({"maxUnavailable": 1}),
        json!({"maxUnavailable": "30%"}),
    ];
    let mut spec = rng.choose(&bounds).cloned().unwrap_or_default();
    spec["selector"] = json!({"matchLabels": {"app": app}});
    json!({"metadata": {"name": app}, "spec": spec})
}

/// What a namespace may use.
pub fn quota(rng: &Rng) -> Value {
    let mut hard = json!({"pods": rng.range(3..15).to_string()});
    let others = [
        ("requests.cpu", format!("{}m", rng.range(400..3000))),
        ("services", rng.range(1..4).to_string()),
        ("configmaps", rng.range(1..5).to_string()),
        ("count/deployments.apps", rng.range(1..4).to_string()),
    ];
    for (name, limit) in others {
        if rng.chance(0.4) {
            hard[name] = json!(limit);
        }
    }
    json!({"metadata": {"name": "quota"}, "spec": {"hard": hard}})
}

/// A kind of the users' own.
pub fn definition() -> Value {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "size": {"type": "integer", "minimum": 0},
        "colour": {"type": "string", "default": "blue"}}}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{GROUP}")},
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}]
        }
    })
}
