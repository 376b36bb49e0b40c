//! What users ask for, by chance.

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
