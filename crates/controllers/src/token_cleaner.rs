//! Bootstrap tokens end at their time. Follows pkg/controller/bootstrap/tokencleaner.go.

use crate::Controller;
use crate::context::{Context, enqueue_changed};
use crate::rule::EVENTS;
use client::{Api, DeleteOptions, ListOptions};
use informer::{Action, BoxError, ObjectKey, Reconcile, Store, Workers};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Timestamp};
use typed::Typed;
use typed::api::core::v1::Secret;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "token-cleaner-controller",
    identity: "token-cleaner",
    // Upstream grants the secrets by a Role in kube-system rather than cluster-wide.
    rules: &[EVENTS],
    start,
};

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";
const EXPIRATION: &str = "expiration";

fn start(context: &Context) {
    let secrets = context
        .factory
        .selected::<Secret>(ListOptions::fields(format!("type={TYPE}")));
    let queue = context.queue();
    enqueue_changed(&secrets, &queue);
    let cleaner = Arc::new(Cleaner {
        secrets: secrets.store(),
        api: context.client.api(),
        clock: context.clock.clone(),
    });
    let synced = async move { secrets.synced().await };
    context.reconcile(queue, Workers::new(1), synced, cleaner);
}

struct Cleaner {
    secrets: Store<Secret>,
    api: Api<Secret>,
    clock: Clock,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Cleaner {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(secret) = self
            .secrets
            .by_key(key)
            .filter(|_| key.namespace == NAMESPACE)
        else {
            return Ok(Action::Done);
        };
        let Some(expiration) = expiration(&secret) else {
            return Ok(Action::Done);
        };
        let left = expiration.map(|time| {
            Duration::try_from(time.duration_since(self.clock.wall())).unwrap_or_default()
        });
        match left {
            Some(left) if !left.is_zero() => Ok(Action::After(left)),
            // What cannot be read as a time must not keep a token alive.
            _ => {
                let options = DeleteOptions::uid(secret.uid());
                match self
                    .api
                    .namespace(NAMESPACE)
                    .delete(&key.name, &options)
                    .await
                {
                    Err(error) if error.is_not_found() || error.is_conflict() => Ok(Action::Done),
                    outcome => Ok(outcome.map(|()| Action::Done)?),
                }
            }
        }
    }
}

/// When the token ends, if it does; nothing within if that cannot be read.
fn expiration(secret: &Secret) -> Option<Option<Timestamp>> {
    let text = secret
        .data
        .as_ref()?
        .get(EXPIRATION)
        .filter(|text| !text.0.is_empty())?;
    Some(
        std::str::from_utf8(&text.0)
            .ok()
            .and_then(|text| text.parse().ok()),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::Cluster;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn tokens_end_at_their_time() {
        let cluster = Cluster::start(&["token-cleaner-controller"]);
        // 2026-01-01T01:00:00Z and nonsense, in base64.
        for (name, expiration) in [
            ("hour", "MjAyNi0wMS0wMVQwMTowMDowMFo="),
            ("broken", "bm9uc2Vuc2U="),
        ] {
            cluster.api.create(
                "secrets",
                json!({"metadata": {"name": name, "namespace": "kube-system"},
                "type": "bootstrap.kubernetes.io/token", "data": {"expiration": expiration}}),
            );
        }
        cluster.api.create(
            "secrets",
            json!({"metadata": {"name": "eternal", "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token", "data": {}}),
        );
        cluster.pass(3000).await;
        assert_eq!(cluster.api.list("secrets").len(), 2);
        cluster.pass(700).await;
        let left = cluster.api.list("secrets");
        assert_eq!(
            (left.len(), &left[0]["metadata"]["name"]),
            (1, &json!("eternal"))
        );
    }
}
