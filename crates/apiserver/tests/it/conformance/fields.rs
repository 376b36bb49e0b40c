//! Fields that nobody knows, or that come twice, are told of.

use crate::cluster::Cluster;

const DEPLOYMENTS: &str =
    "/apis/apps/v1/namespaces/ns/deployments?fieldManager=m&fieldValidation=Strict";

/// A deployment as text, for what a tree cannot say.
fn deployment(meta: &str, spec: &str) -> String {
    format!(
        r#"{{"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {{"name": "d", {meta} "labels": {{"app": "n"}}}},
            "spec": {{{spec} "selector": {{"matchLabels": {{"app": "n"}}}},
                "template": {{"metadata": {{"labels": {{"app": "n"}}}},
                    "spec": {{"containers": [{{"name": "n", "image": "n:1"}}]}}}}}}}}"#
    )
}

async fn refusal(meta: &str, spec: &str) -> String {
    let cluster = Cluster::start().await;
    let body = deployment(meta, spec);
    let reply = cluster.ask("POST", DEPLOYMENTS, &[], body).await;
    reply.failure()
}

#[tokio::test]
async fn unknown_and_repeated_fields() {
    let words = refusal(
        "",
        r#""unknownField": "foo", "replicas": 2, "replicas": 3,"#,
    )
    .await;
    assert!(words.ends_with(
        "strict decoding error: unknown field \"spec.unknownField\", duplicate field \"spec.replicas\""
    ), "{words}");
}

#[tokio::test]
async fn unknown_fields_of_metadata() {
    let words = refusal(r#""unknownMeta": "foo","#, "").await;
    assert!(
        words.ends_with("strict decoding error: unknown field \"metadata.unknownMeta\""),
        "{words}"
    );
}
