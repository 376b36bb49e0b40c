//! Cases of [`environment`].

use super::*;
use crate::objects::FakeObjects;
use crate::testing::pod;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

async fn check(container: Value, after: Expect) {
    let pod = pod(json!({"containers": [container]}));
    let objects = FakeObjects::default();
    objects.add_config_map(
        "default",
        "settings",
        json!({"color": "blue", "size": "big"}),
    );
    objects.add_secret("default", "keys", &[("password", "hunter2")]);
    let node = NodeFacts {
        pod_ips: vec!["10.42.0.7".into()],
        ..NodeFacts::default()
    };
    let sources = Sources {
        objects: &objects,
        services: &[],
        node: &node,
    };
    let subject = &crate::pod::spec(&pod).containers[0];
    let text = match environment(&pod, subject, &sources).await {
        Ok(variables) => {
            let lines: Vec<String> = variables
                .iter()
                .map(|variable| format!("{}={}", variable.name, variable.value))
                .collect();
            lines.join("\n")
        }
        Err(error) => format!("error: {error}"),
    };
    after.assert_eq(&text);
}

#[tokio::test]
async fn literals_see_what_is_before_them() {
    let env = json!([
        {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"},
        {"name": "C", "value": "$(D)"}, {"name": "D", "value": "late"}, {"name": "A", "value": "again"},
    ]);
    check(
        json!({"name": "a", "env": env}),
        expect![[r#"
            A=again
            B=12
            C=$(D)
            D=late"#]],
    )
    .await;
}

#[tokio::test]
async fn references_are_resolved() {
    let env = json!([
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "x", "optional": true}}},
    ]);
    let from = json!([{"prefix": "S_", "configMapRef": {"name": "settings"}}]);
    check(
        json!({"name": "a", "env": env, "envFrom": from}),
        expect![[r#"
            S_color=blue
            S_size=big
            IP=10.42.0.7
            COLOR=blue
            PASS=hunter2"#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let key =
        json!([{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "x"}}}]);
    check(
        json!({"name": "a", "env": key}),
        expect!["error: couldn't find key x in ConfigMap default/settings"],
    )
    .await;
    let object =
        json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "x"}}}]);
    check(
        json!({"name": "a", "env": object}),
        expect![[r#"error: secret "nope" not found"#]],
    )
    .await;
}
