//! The node's lease: a small object that says that the node lives.
//!
//! Renewed every 10 s for 40 s. Follows
//! component-helpers/apimachinery/lease/controller.go.

use std::sync::Arc;
use std::time::Duration;

use stdx::Backoff;
use typed::Typed;
use typed::api::coordination::v1::{Lease, LeaseSpec};
use typed::meta::{MicroTime, OwnerReference};

use crate::context::Context;

const NAMESPACE: &str = "kube-node-lease";
const SECONDS: i32 = 40;
const RENEWAL: Duration = Duration::from_secs(10);

/// Renews the lease until it is dropped.
pub async fn run(cx: Arc<Context>) {
    let mut known: Option<Lease> = None;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(7));
    loop {
        match renew(&cx, known.take()).await {
            Ok(lease) => {
                known = Some(lease);
                backoff.reset();
                cx.clock.sleep(cx.rng.jitter(RENEWAL, 0.04)).await;
            }
            Err(error) => {
                let error = error.message();
                tracing::debug!(error, "cannot renew the node's lease");
                cx.clock.sleep(backoff.next(&cx.rng)).await;
            }
        }
    }
}

async fn renew(cx: &Context, known: Option<Lease>) -> Result<Lease, client::Error> {
    let api = cx.client.api::<Lease>().namespace(NAMESPACE);
    let name = &cx.config.node_name;
    let known = match known {
        Some(lease) => lease,
        None => match api.get(name).await {
            Ok(lease) => lease,
            Err(error) if error.is_not_found() => {
                return api.create(&lease(cx, Lease::default())).await;
            }
            Err(error) => return Err(error),
        },
    };
    api.replace(&lease(cx, known)).await
}

/// The lease as it shall be now.
fn lease(cx: &Context, mut lease: Lease) -> Lease {
    let name = &cx.config.node_name;
    lease.metadata.name = Some(name.clone());
    lease.metadata.namespace = Some(NAMESPACE.to_owned());
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = Some(name.clone());
    spec.lease_duration_seconds = Some(SECONDS);
    spec.renew_time = Some(MicroTime(cx.clock.wall()));
    if lease.owner_references().is_empty()
        && let Some(node) = cx.node()
    {
        lease.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: name.clone(),
            uid: node.uid().to_owned(),
            ..OwnerReference::default()
        }]);
    }
    lease
}
