//! What kinds have of their own: a status that is kept, a word of warning, a
//! condition of a row, plugins that see what is posted below an object.

use crate::cluster::Cluster;
use admission::{Chain, Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::{Status, Value, value};

#[tokio::test]
async fn a_node_comes_with_its_status() {
    let cluster = Cluster::start().await;
    let status = value!({"capacity": {"cpu": "2"}});
    let node = value!({"metadata": {"name": "a"}, "status": status.clone()});
    let made = cluster.post("/api/v1/nodes", &node).await.ok();
    assert_eq!(made.at(&["status", "capacity"]), status.get("capacity"));
    let pod = value!({
        "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running"},
    });
    let made = cluster.post("/api/v1/namespaces/ns/pods", &pod).await.ok();
    assert_eq!(made.str_at(&["status", "phase"]), "Pending");
}

#[tokio::test]
async fn whoever_touches_endpoints_is_told_of_their_heirs() {
    let cluster = Cluster::start().await;
    const AT: &str = "/api/v1/namespaces/ns/endpoints";
    let wanted =
        ["299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\""];
    let made = cluster.post(AT, &value!({"metadata": {"name": "a"}})).await;
    assert_eq!(made.warnings(), wanted);
    let one = format!("{AT}/a");
    for (method, uri) in [
        ("GET", AT),
        ("GET", &*one),
        ("DELETE", &*one),
        ("GET", &*one),
    ] {
        let reply = cluster.ask(method, uri, &[], "").await;
        assert_eq!(reply.warnings(), wanted, "{method} {uri} {}", reply.code);
    }
    let others = cluster.get("/api/v1/namespaces/ns/services").await;
    assert_eq!(others.warnings(), [""; 0]);
}

#[tokio::test]
async fn rows_of_pods_that_ended_say_so() {
    let cluster = Cluster::start().await;
    const AT: &str = "/api/v1/namespaces/ns/pods";
    let pod =
        value!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    cluster.post(AT, &pod).await.ok();
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let conditions = async || {
        let list = cluster.ask("GET", AT, &table, "").await.ok();
        list.items_at(&["rows"])[0].get("conditions").cloned()
    };
    assert_eq!(conditions().await, None);
    let ended = value!({"status": {"phase": "Succeeded"}});
    let status = format!("{AT}/a/status");
    cluster.patch("merge", &status, &ended).await.ok();
    let wanted = value!([{
        "type": "Completed", "status": "True", "reason": "Succeeded",
        "message": "The pod has completed successfully.",
    }]);
    assert_eq!(conditions().await, Some(wanted));
}

/// Refuses tokens.
struct NoTokens;

#[async_trait]
impl Plugin for NoTokens {
    fn name(&self) -> &'static str {
        "NoTokens"
    }

    async fn validate(
        &self,
        request: &Request<'_>,
        asked: &Value,
        _: Option<&Value>,
        _: &dyn View,
        _: &mut Vec<String>,
    ) -> Result<(), Status> {
        if (request.resource, request.subresource) != ("serviceaccounts", "token") {
            return Ok(());
        }
        assert_eq!(request.operation, Operation::Create);
        assert_eq!(&*request.kind.kind, "TokenRequest");
        let audience = asked.items_at(&["spec", "audiences"])[0].to_json();
        Err(request.forbidden(format!("no token for {audience}")))
    }
}

#[tokio::test]
async fn plugins_see_requests_for_tokens() {
    let cluster = Cluster::with(Chain::new(vec![Box::new(NoTokens)])).await;
    const AT: &str = "/api/v1/namespaces/ns/serviceaccounts";
    cluster
        .post(AT, &value!({"metadata": {"name": "a"}}))
        .await
        .ok();
    let asked =
        value!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let refused = cluster.post(&format!("{AT}/a/token"), &asked).await;
    assert_eq!(
        refused.failure(),
        "403 Forbidden: serviceaccounts \"a\" is forbidden: no token for \"test\""
    );
}
