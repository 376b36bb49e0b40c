//! Every namespace has the certificate authority that its pods shall believe. Follows
//! pkg/controller/certificates/rootcacertpublisher/publisher.go.

use crate::context::Context;
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use client::{Api, Error, ListOptions};
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Store, Workers};
use std::sync::Arc;
use typed::Typed;
use typed::api::core::v1::{ConfigMap, Namespace};
use typed::meta::ObjectMeta;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "root-ca-certificate-publisher-controller",
    identity: "root-ca-cert-publisher",
    rules: &[
        Rule::new(&[""], &["configmaps"], &["create", "update"]),
        EVENTS,
    ],
    start,
};

const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const DESCRIPTION_TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

fn start(context: &Context) {
    let namespaces = context.factory.informer::<Namespace>();
    let maps = context
        .factory
        .selected::<ConfigMap>(ListOptions::fields(format!("metadata.name={NAME}")));
    let queue = context.queue();
    let changed = queue.clone();
    namespaces.on_change(move |change: &Change<Namespace>| {
        if let Some(namespace) = &change.new {
            changed.add(ObjectKey::of(&**namespace));
        }
    });
    let changed = queue.clone();
    maps.on_change(move |change: &Change<ConfigMap>| {
        if change.old.is_some() {
            changed.add(ObjectKey::new("", change.object().namespace()));
        }
    });
    let controller = Arc::new(Publisher {
        namespaces: namespaces.store(),
        maps: maps.store(),
        api: context.client.api(),
        root_ca: context.options.root_ca.clone(),
    });
    let synced = async move {
        namespaces.synced().await;
        maps.synced().await;
    };
    context.reconcile(queue, Workers::new(1), synced, controller);
}

struct Publisher {
    namespaces: Store<Namespace>,
    maps: Store<ConfigMap>,
    api: Api<ConfigMap>,
    root_ca: String,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Publisher {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let namespace = self.namespaces.by_key(key);
        if namespace.is_none_or(|namespace| namespace.is_deleting()) {
            return Ok(Action::Done);
        }
        let current = self.maps.get(&key.name, NAME);
        let wanted = wanted(&key.name, &self.root_ca, current.as_deref());
        let written = match &current {
            Some(current) if **current == wanted => return Ok(Action::Done),
            Some(_) => self.api.replace(&wanted).await,
            None => self.api.create(&wanted).await,
        };
        written.map(drop).or_else(ignore_ending)?;
        Ok(Action::Done)
    }
}

fn wanted(namespace: &str, root_ca: &str, current: Option<&ConfigMap>) -> ConfigMap {
    let new = || ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..Default::default()
        },
        ..Default::default()
    };
    let mut map = current.cloned().unwrap_or_else(new);
    map.data = Some([(KEY.to_owned(), root_ca.to_owned())].into());
    map.annotations_mut()
        .insert(DESCRIPTION.to_owned(), DESCRIPTION_TEXT.to_owned());
    map
}

/// A namespace that is ending or gone needs nothing any more.
pub(crate) fn ignore_ending(error: Error) -> Result<(), Error> {
    if error.is_namespace_terminating() || error.is_not_found() {
        Ok(())
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::testing::Cluster;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn every_namespace_has_account_and_authority() {
        let options = Options {
            root_ca: "PEM".into(),
            ..Options::default()
        };
        let cluster = Cluster::start_with(
            &[
                "root-ca-certificate-publisher-controller",
                "serviceaccount-controller",
            ],
            options,
        );
        cluster
            .api
            .create("namespaces", json!({"metadata": {"name": "a"}}));
        cluster.settle().await;
        assert_eq!(
            cluster
                .api
                .get("configmaps", "a", "kube-root-ca.crt")
                .unwrap()["data"],
            json!({"ca.crt": "PEM"})
        );
        assert!(cluster.api.get("serviceaccounts", "a", "default").is_some());
        cluster
            .api
            .edit("configmaps", "a", "kube-root-ca.crt", |map| {
                map["data"] = json!({"ca.crt": "other", "x": "y"})
            });
        cluster.api.remove("serviceaccounts", "a", "default");
        cluster.settle().await;
        assert_eq!(
            cluster
                .api
                .get("configmaps", "a", "kube-root-ca.crt")
                .unwrap()["data"],
            json!({"ca.crt": "PEM"})
        );
        assert!(cluster.api.get("serviceaccounts", "a", "default").is_some());
        cluster.api.remove("configmaps", "a", "kube-root-ca.crt");
        cluster.settle().await;
        assert!(
            cluster
                .api
                .get("configmaps", "a", "kube-root-ca.crt")
                .is_some()
        );
        cluster.api.take_writes();
        cluster.api.edit("namespaces", "", "a", |namespace| {
            namespace["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")
        });
        cluster.api.remove("serviceaccounts", "a", "default");
        cluster.api.remove("configmaps", "a", "kube-root-ca.crt");
        cluster.pass(3600).await;
        assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
    }
}
