//! Every namespace has a service account "default". Follows
//! pkg/controller/serviceaccount/serviceaccounts_controller.go.

use crate::context::Context;
use crate::root_ca::ignore_ending;
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use client::Api;
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Store, Workers};
use std::sync::Arc;
use typed::Typed;
use typed::api::core::v1::{Namespace, ServiceAccount};
use typed::meta::ObjectMeta;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "serviceaccount-controller",
    identity: "service-account-controller",
    rules: &[Rule::new(&[""], &["serviceaccounts"], &["create"]), EVENTS],
    start,
};

const NAME: &str = "default";

fn start(context: &Context) {
    let namespaces = context.factory.informer::<Namespace>();
    let accounts = context.factory.informer::<ServiceAccount>();
    let queue = context.queue();
    let changed = queue.clone();
    namespaces.on_change(move |change: &Change<Namespace>| {
        if let Some(namespace) = &change.new {
            changed.add(ObjectKey::of(&**namespace));
        }
    });
    let changed = queue.clone();
    accounts.on_change(move |change: &Change<ServiceAccount>| {
        if change.is_removal() && change.object().name() == NAME {
            changed.add(ObjectKey::new("", change.object().namespace()));
        }
    });
    let controller = Arc::new(Accounts {
        namespaces: namespaces.store(),
        accounts: accounts.store(),
        api: context.client.api(),
    });
    let synced = async move {
        namespaces.synced().await;
        accounts.synced().await;
    };
    context.reconcile(queue, Workers::new(1), synced, controller);
}

struct Accounts {
    namespaces: Store<Namespace>,
    accounts: Store<ServiceAccount>,
    api: Api<ServiceAccount>,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Accounts {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let active = self
            .namespaces
            .by_key(key)
            .is_some_and(|namespace| !namespace.is_deleting());
        if !active || self.accounts.get(&key.name, NAME).is_some() {
            return Ok(Action::Done);
        }
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(key.name.clone()),
                ..Default::default()
            },
            ..Default::default()
        };
        match self.api.create(&account).await {
            Err(error) if error.is_already_exists() => {}
            outcome => outcome.map(drop).or_else(ignore_ending)?,
        }
        Ok(Action::Done)
    }
}
